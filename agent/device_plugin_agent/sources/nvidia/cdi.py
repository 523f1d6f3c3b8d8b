"""Which devices the CDI specs of NVIDIA's own tools name."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

KIND = "nvidia.com/gpu"

_MOST = 4 << 20
"""Bytes of a spec that are read."""


def qualified(uuid: str) -> str:
    """A device's name for the container runtime."""
    return f"{KIND}={uuid}"


class Specs:
    """The names in all specs of the kind. A file is read again only when it changed."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = directories
        self._read: dict[Path, tuple[tuple[int, ...], frozenset[str]]] = {}

    def names(self) -> frozenset[str]:
        """Unqualified names: UUIDs, indexes, `all`."""
        read = {}
        for path, stamp in self._files():
            known = self._read.get(path)
            read[path] = known if known is not None and known[0] == stamp else (stamp, _names(path))
        self._read = read
        return frozenset[str]().union(*(names for _, names in read.values()))

    def _files(self) -> Iterator[tuple[Path, tuple[int, ...]]]:
        for directory in self._directories:
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                if entry.name.endswith((".json", ".yaml")):
                    try:
                        seen = entry.stat()
                    except OSError:
                        continue
                    yield Path(entry.path), (seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _names(path: Path) -> frozenset[str]:
    decode = msgspec.json.decode if path.suffix == ".json" else msgspec.yaml.decode
    try:
        with path.open("rb") as file:
            spec = decode(file.read(_MOST))
    except (OSError, ValueError, ImportError):  # not to be read, or no spec: it names nothing
        return frozenset()
    if not isinstance(spec, dict) or spec.get("kind") != KIND:
        return frozenset()
    devices: Any = spec.get("devices")
    named = (device.get("name") for device in devices if isinstance(device, dict)) if isinstance(devices, list) else ()
    return frozenset(name for name in named if isinstance(name, str))
