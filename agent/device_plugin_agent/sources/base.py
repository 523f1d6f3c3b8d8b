"""What every source answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from device_plugin_agent.uevents import Uevent
from device_plugin_api.node import SelectionStep


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One physical device as it is now."""

    id: str
    """Stable over restarts, unique on the node, made by `identity` (R9)."""
    path: str = ""
    """What people call it: its path on the host; empty for a device without a node."""
    nodes: tuple[str, ...] = ()
    """Host paths of its own device nodes, links followed."""
    shared_nodes: tuple[str, ...] = ()
    """Host paths of nodes that a container needs too, and that every device of the kind has: /dev/vfio/vfio."""
    sysfs: str = ""
    """Its directory in the host's /sys, links followed; empty when it has none."""
    numa_node: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None
    """Why its state could not be seen, when it could not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Discovery:
    """What one look at the host found, and how the selection came to it."""

    candidates: tuple[Candidate, ...]
    steps: tuple[SelectionStep, ...]
    changes_in: float | None = None
    """Seconds after which it is different without any event; None when that cannot be known."""
    withheld: Mapping[str, str] = field(default_factory=dict)
    """IDs of what is there and belongs to another config, and why it is not offered."""


class Source(Protocol):
    """One way to find devices. Looks only; decides nothing about health."""

    def discover(self) -> Discovery:
        """Look at the host once. Never raises for what a host may contain."""
        ...

    def watched(self) -> frozenset[Path]:
        """Directories whose changes mean that another look is due."""
        ...

    def concerns(self, event: Uevent) -> bool:
        """Whether an event of the kernel means that."""
        ...
