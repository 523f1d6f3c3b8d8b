"""Network devices of PCI functions as the host's /sys has them, and whether the host itself uses them.

The host's /sys shows the network devices of the network namespace that it was mounted in: the host's. One that was
given to a container is not among them.
"""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from device_plugin_agent.sources import sysfs_device

_REPRESENTOR = re.compile(r"(c[0-9]+)?pf[0-9]+(vf|sf)[0-9]+")
"""phys_port_name of a port of the card's switch; Documentation/networking/representors.rst."""

_LINK_TYPES = {"1": "ether", "32": "infiniband"}
"""Documentation/ABI/testing/sysfs-class-net, `type`; numbers of linux/if_arp.h, names of ip-link(8)."""

_IPV6_OF_NOBODY = ("fe8", "fe9", "fea", "feb", "ff")
"""How link-local and multicast addresses begin, which every device that is up has."""

_RTF_REJECT, _RTF_LOCAL = 0x0200, 0x80000000
"""linux/route.h, linux/ipv6_route.h."""

_MOST = 4 << 20
"""Bytes of a routing table that are read."""


class RoutesUnseen(Exception):
    """Why the host's routes cannot be seen."""


def interfaces(function: Path) -> list[Path]:
    """The network devices of a PCI function, but for those that stand for others' ports."""
    parents = [function, *sysfs_device.matches(function, "virtio*")]
    found = [entry for parent in parents for entry in sysfs_device.matches(parent, "net/*")]
    return [each for each in found if not is_representor(sysfs_device.attribute(each, "phys_port_name"))]


def is_representor(phys_port_name: str) -> bool:
    """Whether a network device of that port stands for a virtual function or a subfunction."""
    return _REPRESENTOR.fullmatch(phys_port_name) is not None


def link_type(interface: Path) -> str:
    """`ether`, `infiniband`, or the kernel's number; empty when it cannot be read."""
    number = sysfs_device.attribute(interface, "type")
    return _LINK_TYPES.get(number, number)


def stacked(interface: Path) -> str | None:
    """What the host built on it, worded for people: a bond, a bridge, a VLAN. None when nothing."""
    master = sysfs_device.target(interface, "master")
    if master:
        return f"{interface.name} belongs to {master}"
    upper = next(iter(sysfs_device.matches(interface, "upper_*")), None)
    return None if upper is None else f"{interface.name} carries {upper.name.removeprefix('upper_')}"


def routed(net: Path) -> frozenset[str]:
    """The network devices that a network namespace routes through; `net` is its /proc/*/net. Raises RoutesUnseen.

    IPv4's main table, which is all that the kernel shows there, and all of IPv6's.
    """
    names = set()
    for line in _lines(net / "route", needed=True)[1:]:  # Iface Destination Gateway Flags …
        match line.split():
            case [name, _, _, flags, *_] if not _flags(flags) & _RTF_REJECT:
                names.add(name)
    for line in _lines(net / "ipv6_route", needed=False):  # there is none without IPv6
        match line.split():
            case [destination, *_, flags, name] if not (
                destination.startswith(_IPV6_OF_NOBODY) or _flags(flags) & (_RTF_REJECT | _RTF_LOCAL)
            ):
                names.add(name)
    return frozenset(names)


def used_by_host(found: Iterable[Path], routes: Collection[str]) -> str | None:
    """How the host uses one of these network devices, worded for people; None when it uses none."""
    for interface in found:
        why = stacked(interface)
        if why is not None:
            return f"the host uses it: {why}"
        if interface.name in routes:
            return f"the host uses it: it routes through {interface.name}"
    return None


def _lines(path: Path, *, needed: bool) -> list[str]:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode(errors="replace").splitlines()
    except OSError as error:
        if needed:
            raise RoutesUnseen(f"{path} cannot be read: {error.strerror}") from None
        return []


def _flags(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
