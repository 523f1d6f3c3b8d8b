"""What in sysfs tells one machine from another of its kind: serial numbers, hardware addresses, names it was given."""

import re
from fnmatch import fnmatchcase

LEFT_OUT = b"left-out"

_ATTRIBUTES = (
    "*serial*",
    "*address*",
    "permaddr",
    "uniq*",
    "*uuid",
    "*guid",
    "wwid",
    "eui",
    "*nqn",
    "hostid",
    "phys_port_id",
    "phys_switch_id",
    "cid",
    "edid",
    "inquiry",
    "vpd*",
    "node_desc",  # of an RDMA device: begins with the host's name
    "ifalias",
)
_VARIABLE = re.compile(rb"^([^=\n]*(?:SERIAL|UNIQ|UUID|GUID|WWID|NQN|EUI)[^=\n]*=)[^\n]+", re.MULTILINE)
"""A line of a `uevent`."""

_NAMED_BY_ADDRESS = r"(?:en|ib|sl|wl|ww)x[0-9a-f]{12}"
"""How systemd names a network device that it knows by nothing else; systemd.net-naming-scheme(7)."""

_NAME = re.compile(_NAMED_BY_ADDRESS)
_TEXT = re.compile(
    rb"(?<![0-9a-f:])(?:(?:[0-9a-f]{2}:){5,19}[0-9a-f]{2}|(?:[0-9a-f]{4}:){7}[0-9a-f]{4})(?![0-9a-f:])"
    rb"|" + _NAMED_BY_ADDRESS.encode(),
    re.IGNORECASE,
)
"""Hardware addresses of Ethernet, Bluetooth and InfiniBand, InfiniBand's global identifiers, and names made of them."""


def in_name(name: str) -> bool:
    """Whether a file's own name gives the machine away."""
    return _NAME.search(name) is not None


def without(attribute: str, text: bytes) -> bytes:
    """An attribute's text with nothing personal left in it; an empty one stays empty."""
    if any(fnmatchcase(attribute, pattern) for pattern in _ATTRIBUTES):
        return LEFT_OUT + b"\n" if text.strip() else text
    if attribute == "uevent":
        text = _VARIABLE.sub(rb"\1" + LEFT_OUT, text)
    return _TEXT.sub(LEFT_OUT, text)
