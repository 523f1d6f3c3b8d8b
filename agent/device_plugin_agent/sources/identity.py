"""Device IDs: readable, stable, unique on the node, and legal as CDI device names."""

import hashlib
import re

MAX_ID = 58
"""Characters. A share of a device is `<id>::<n>` with n below 1,000, and the kubelet's IDs end at 63 (R9)."""

_HASH = 8
# `::` stands before the number of a share.
_PLAIN = re.compile(r"(?!.*::)[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?")


def is_id(text: str) -> bool:
    """Whether the kubelet, CDI and the API server take it, a number of a share behind it included."""
    return len(text) <= MAX_ID and _PLAIN.fullmatch(text) is not None


def id_of_path(relative: str) -> str:
    """`video3` → `video3`, `dri/card0` → `dri--card0`; anything not plain gets a hash of the whole behind it."""
    readable = relative.replace("/", "--")
    if "--" not in relative and is_id(readable):
        return readable
    return _hashed(re.sub(r"[^A-Za-z0-9_.:-]+", "-", readable).strip("-.:_") or "device", relative)


def id_of_parts(*parts: str) -> str:
    """`0403`, `6001`, `A50285BI` → `0403-6001-A50285BI`; anything not plain gets a hash of the whole behind it."""
    readable = "-".join(parts)
    if is_id(readable):
        return readable
    return _hashed(re.sub(r"[^A-Za-z0-9_.:-]+", "-", readable).strip("-.:_") or "device", readable)


def id_of_simulated(resource_name: str, index: int) -> str:
    """Told apart by the whole resource name, since every ID on a node must be unique."""
    return f"{_base(resource_name, 48)}-{index}"


def id_of_group(resource_name: str, number: str) -> str:
    """`example.com/rig`, `3` → `rig-1a2b-3`; without a number where the node has but one group of the resource."""
    base = _base(resource_name, 32)
    return id_of_parts(base, number) if number else base


def _base(resource_name: str, most: int) -> str:
    digest = hashlib.sha256(resource_name.encode()).hexdigest()[:4]
    return f"{resource_name.rpartition('/')[2][:most]}-{digest}"


def _hashed(readable: str, whole: str) -> str:
    digest = hashlib.sha256(whole.encode(errors="surrogateescape")).hexdigest()[:_HASH]
    return f"{readable[: MAX_ID - _HASH - 1]}-{digest}"
