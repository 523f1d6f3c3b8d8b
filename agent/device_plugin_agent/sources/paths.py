"""Devices found by path: globs below the host's /dev."""

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from device_plugin_agent.sources import device_directory, plain_file
from device_plugin_agent.sources.base import Candidate, Discovery
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.identity import id_of_path
from device_plugin_agent.sources.selection import MAX_DROPPED_SHOWN, printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.hostpaths import DEVICE_ROOT
from device_plugin_api.node import SelectionStep
from device_plugin_api.sources import PathsSource

_GLOB = frozenset("*?[")

_RIGHT_TYPE = {"Device": "device nodes", "Directory": "directories of device nodes", "File": "plain files"}


class _Refused(Exception):
    """Why a match is not offered."""


class Paths:
    """Each match of an include that no exclude names is one device, if it is of the right type and may be offered."""

    def __init__(self, spec: PathsSource, host: HostView) -> None:
        self._include = tuple(_relative(pattern) for pattern in spec.include)
        self._exclude = tuple(_relative(pattern) for pattern in spec.exclude)
        self._type = spec.type
        self._host = host

    def discover(self) -> Discovery:
        """Look at /dev once."""
        matched = sorted({name for pattern in self._include for name in self._matches(pattern)})
        included = [name for name in matched if not any(_fits(name, pattern) for pattern in self._exclude)]
        found: list[Candidate] = []
        owners: dict[str, str] = {}
        dropped: list[str] = []
        for name in included:
            try:
                node, candidate = self._examine(name, dropped)
                places = (f"{DEVICE_ROOT}/{node}", *candidate.nodes)
                same = next((owners[place] for place in places if place in owners), None)
                if same is not None:
                    raise _Refused(f"the same device as {same}")
            except _Refused as refusal:
                dropped.append(f"{DEVICE_ROOT}/{name}: {refusal}")
                continue
            owners |= dict.fromkeys(places, candidate.path)
            found.append(candidate)
        shown = tuple(map(printable, dropped[:MAX_DROPPED_SHOWN]))
        return Discovery(
            candidates=tuple(sorted(found, key=lambda candidate: candidate.id)),
            steps=(
                SelectionStep(step="matched by include", kept=len(matched)),
                SelectionStep(step="not excluded", kept=len(included)),
                SelectionStep(step=_RIGHT_TYPE[self._type], kept=len(found), dropped=shown),
            ),
        )

    def watched(self) -> frozenset[Path]:
        """The directories that a match can appear in; for one that does not exist yet, the nearest that does."""
        directories: set[Path] = set()
        for pattern in self._include:
            directories |= set(self._directories(pattern))
            for name in self._matches(pattern):
                directories.update(self._behind(name))
        return frozenset(directories)

    def concerns(self, event: Uevent) -> bool:
        """Its directories tell all there is to know."""
        return False

    def _behind(self, name: str) -> Iterator[Path]:
        """The directories in which what /dev/`name` leads to comes and goes, beside its own."""
        try:
            node = self._host.resolve(name)
        except ValueError:
            return
        if self._type == "Directory":
            yield from device_directory.below(self._host.dev_root / node)
        elif node != name:
            parent = (self._host.dev_root / node).parent
            if os.path.isdir(parent):
                yield parent

    def _matches(self, pattern: tuple[str, ...]) -> Iterator[str]:
        names = [""]
        for part in pattern:
            names = [f"{name}/{entry}" if name else entry for name in names for entry in self._entries(name, part)]
        return iter(names)

    def _entries(self, directory: str, part: str) -> list[str]:
        path = self._directory(directory)
        if path is None:
            return []
        if not _GLOB & set(part):
            return [part] if os.path.lexists(path / part) else []
        try:
            return [entry for entry in os.listdir(path) if fnmatchcase(entry, part)]
        except OSError:
            return []

    def _directories(self, pattern: tuple[str, ...]) -> Iterator[Path]:
        level = [""]
        yield self._host.dev_root
        for part in pattern[:-1]:
            level = [f"{name}/{entry}" if name else entry for name in level for entry in self._entries(name, part)]
            for name in level:
                directory = self._directory(name)
                if directory is not None and os.path.isdir(directory):
                    yield directory

    def _directory(self, name: str) -> Path | None:
        """Where /dev/`name` is, links followed inside the host's /dev; None when they lead elsewhere."""
        if not name:
            return self._host.dev_root
        try:
            return self._host.dev_root / self._host.resolve(name)
        except ValueError:
            return None

    def _examine(self, name: str, dropped: list[str]) -> tuple[str, Candidate]:
        """What `name` leads to below /dev, and the device it is; raises _Refused when it may not be offered.

        What a directory has to do without is added to `dropped`.
        """
        path = f"{DEVICE_ROOT}/{name}"
        if not path.isprintable():
            raise _Refused("its name has unprintable characters")
        attributes: dict[str, str] = {}
        try:
            node = self._host.resolve(name)
        except ValueError as error:
            raise _Refused(str(error)) from None
        if node != name:
            attributes["target"] = f"{DEVICE_ROOT}/{node}"
        try:
            seen = os.lstat(self._host.dev_root / node)
        except FileNotFoundError:
            raise _Refused("it is a link to nothing" if node != name else "it vanished while being looked at") from None
        except OSError as error:
            failure = f"cannot be looked at: {error.strerror}"
            return node, Candidate(id=id_of_path(name), path=path, attributes=attributes, failure=failure)
        if self._type == "File":
            refusal = plain_file.refusal(self._host.dev_root, node, seen)
            if refusal is not None:
                raise _Refused(refusal)
            return node, Candidate(id=id_of_path(name), path=path, file=f"{DEVICE_ROOT}/{node}", attributes=attributes)
        if self._type == "Directory":
            if not stat.S_ISDIR(seen.st_mode):
                raise _Refused("it is no directory")
            return node, self._directory_of_nodes(name, node, attributes, dropped)
        hardware = self._host.behind(seen)
        refusal = self._host.refusal(seen, hardware)
        if refusal is not None:
            raise _Refused(refusal)
        attributes["device"] = f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}"
        return node, Candidate(
            id=id_of_path(name),
            path=path,
            nodes=(f"{DEVICE_ROOT}/{node}",),
            sysfs="" if hardware is None else self._host.sysfs_path(hardware),
            numa_node=None if hardware is None else self._host.numa_node_of(hardware),
            attributes=attributes,
        )

    def _directory_of_nodes(
        self, name: str, directory: str, attributes: dict[str, str], dropped: list[str]
    ) -> Candidate:
        try:
            content = device_directory.look(self._host, directory)
        except device_directory.Unfit as unfit:
            raise _Refused(str(unfit)) from None
        dropped += content.left_out
        inside = [node.removeprefix(f"{DEVICE_ROOT}/{directory}/") for node in content.nodes]
        return Candidate(
            id=id_of_path(name),
            path=f"{DEVICE_ROOT}/{name}",
            nodes=content.nodes,
            directory=f"{DEVICE_ROOT}/{directory}",
            numa_node=content.numa_node,
            attributes=attributes | {"nodes": ",".join(inside)},
        )


def _relative(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.removeprefix(f"{DEVICE_ROOT}/").split("/"))


def _fits(name: str, pattern: tuple[str, ...]) -> bool:
    parts = name.split("/")
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))
