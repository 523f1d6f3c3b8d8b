"""Sources from packages that somebody else wrote, found by their entry points and fenced in.

What such a package raises ends no agent, and what it names is judged as if a user had written it: a container gets no
device node that a config could not select.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from device_plugin_agent.sources import sysfs_device
from device_plugin_agent.sources.base import Candidate, Discovery, Source, Unfit
from device_plugin_agent.sources.fence import described
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.identity import is_id
from device_plugin_agent.sources.selection import MAX_DROPPED_SHOWN, Selection, printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.hostpaths import DEVICE_ROOT
from device_plugin_api.node import SelectionStep
from device_plugin_api.sources import CustomSource

ENTRY_POINTS = "device_plugin_agent.sources"
"""The group of entry points (packaging.python.org, "Entry points specification")."""

_MAX_STEPS, _MAX_ATTRIBUTES, _MAX_NUMA_NODE, _MAX_REASON = 8, 16, 63, 64
_ATTRIBUTE = re.compile("[A-Za-z][A-Za-z0-9]*")


class Factory(Protocol):
    """What an entry point is: it makes a source. Raises ValueError, worded for people, for parameters it cannot use."""

    def __call__(self, parameters: Mapping[str, str], host: HostView) -> Source:
        """A source for one resource."""
        ...


class Unusable(ValueError):
    """There is no such source in this image, or it cannot be made; the text says why."""


class Custom:
    """A package's source. What that raises, and what cannot be made of its answers, this raises too: see `fence`."""

    def __init__(self, spec: CustomSource, host: HostView) -> None:
        self._name = spec.name
        self._host = host
        try:
            self._source = _factory(spec.name)(dict(spec.parameters), host)
        except Unusable:
            raise
        except Exception as error:
            raise Unusable(f"source.custom: {spec.name}: {described(error)}") from error

    def discover(self) -> Discovery:
        """One look of the package's, checked."""
        return self._checked(self._source.discover())

    def watched(self) -> frozenset[Path]:
        """The package's answer."""
        return frozenset(map(Path, self._source.watched()))

    def concerns(self, event: Uevent) -> bool:
        """The package's answer."""
        return bool(self._source.concerns(event))

    def _checked(self, found: Discovery) -> Discovery:
        """What may be offered of it, in the bounds of a status."""
        chosen = Selection(f"source {self._name}", found.candidates, lambda each: each.path or each.id)
        chosen.keep("with good IDs and nodes", _Judge(self._host))
        own = (
            SelectionStep(
                step=printable(step.step),
                kept=max(0, int(step.kept)),
                dropped=tuple(map(printable, step.dropped[:MAX_DROPPED_SHOWN])),
            )
            for step in found.steps[:_MAX_STEPS]
        )
        return Discovery(
            candidates=tuple(map(_bounded, chosen.items)),
            steps=(*own, *chosen.steps),
            changes_in=None if found.changes_in is None else float(found.changes_in),
            unfit={id_: _worded(unfit) for id_, unfit in found.unfit.items()},
        )


class _Judge:
    """Why a device of one look cannot be offered."""

    def __init__(self, host: HostView) -> None:
        self._host = host
        self._ids: set[str] = set()

    def __call__(self, candidate: Candidate) -> str | None:
        if not is_id(candidate.id):
            return f"its ID {candidate.id!r} is none: letters, digits, '_', '.', ':' and '-'"
        if candidate.id in self._ids:
            return f"another one has the ID {candidate.id}"
        self._ids.add(candidate.id)
        return next(self._bad_nodes(candidate), None)

    def _bad_nodes(self, candidate: Candidate) -> Iterator[str]:
        if candidate.file:
            yield f"{candidate.file}: plain files are offered by paths alone"
        for path in (*candidate.nodes, *candidate.shared_nodes):
            if not path.startswith(f"{DEVICE_ROOT}/"):
                yield f"{path} is not below {DEVICE_ROOT}"
                continue
            try:
                sysfs_device.checked(self._host, path.removeprefix(f"{DEVICE_ROOT}/"))
            except sysfs_device.NoNode as refusal:
                yield f"{path}: {refusal}"


def _bounded(candidate: Candidate) -> Candidate:
    attributes = {
        name: printable(str(value)) for name, value in candidate.attributes.items() if _ATTRIBUTE.fullmatch(name)
    }
    known = candidate.numa_node is not None and 0 <= candidate.numa_node <= _MAX_NUMA_NODE
    return replace(
        candidate,
        path=candidate.nodes[0] if candidate.nodes else "",
        numa_node=candidate.numa_node if known else None,
        attributes=dict(list(attributes.items())[:_MAX_ATTRIBUTES]),
        failure=None if candidate.failure is None else printable(candidate.failure),
        trouble=None if candidate.trouble is None else _worded(candidate.trouble),
    )


def _worded(unfit: Unfit) -> Unfit:
    return replace(unfit, reason=printable(unfit.reason)[:_MAX_REASON], why=printable(unfit.why))


def _factory(name: str) -> Factory:
    known = entry_points(group=ENTRY_POINTS)
    for entry in known:
        if entry.name == name:
            made: Factory = entry.load()
            return made
    there = ", ".join(sorted(entry.name for entry in known)) or "none"
    raise Unusable(f"source.custom: this agent's image has no source {name}; it has {there}")
