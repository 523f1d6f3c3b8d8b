"""What every source answers."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from device_plugin_agent.uevents import Uevent
from device_plugin_api.node import SelectionStep

DRIVER = "driver"
"""The attribute of a device that names the driver it is bound to."""

DRIVER_CHANGED = "DriverChanged"
"""Reason of a device that is there, bound to another driver than the one it is wanted or was handed out with."""

NODE_MISSING = "NodeMissing"
"""Reason of a device that is there, without a device node that a container needs."""


class Unfit(msgspec.Struct, frozen=True, kw_only=True):
    """Why a device that is there is not offered."""

    reason: str
    """One word."""
    why: str
    """For people."""
    seen: bool = True
    """False: nothing can be known of the device."""
    leaves: bool = False
    """Whether it is as good as ever, and another resource's now: it goes as soon as no container has it."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One physical device as it is now."""

    id: str
    """Stable over restarts, unique on the node, made by `identity` (R9)."""
    path: str = ""
    """What people call it: its path on the host; empty for a device without a node."""
    nodes: tuple[str, ...] = ()
    """Host paths of its own device nodes, links followed."""
    directory: str = ""
    """Host path of the directory that it is, links followed: its nodes keep their places in it. Empty for most."""
    file: str = ""
    """Host path of the plain file that it is, links followed: it has no nodes then. Empty for most."""
    shared_nodes: tuple[str, ...] = ()
    """Host paths of nodes that a container needs too, and that every device of the kind has: /dev/vfio/vfio."""
    hardware: tuple[str, ...] = ()
    """Directories in the host's /sys that are its own, for a device that may have no node, or have another one soon."""
    sysfs: str = ""
    """Its directory in the host's /sys, links followed; empty when it has none."""
    uplink: str = ""
    """The directory in the host's /sys of what it reaches its network through, when that is another device."""
    numa_node: int | None = None
    attributes: Mapping[str, str] = msgspec.field(default_factory=dict)
    failure: str | None = None
    """Why its state could not be seen, when it could not."""
    trouble: Unfit | None = None
    """What is wrong with it, when its own driver says so: so certain that one look is enough."""

    @property
    def marks(self) -> frozenset[str]:
        """What makes another device the same one, if it has any of these too."""
        return frozenset((*self.nodes, *self.hardware, *((self.file,) if self.file else ())))


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the host found, and how the selection came to it."""

    candidates: tuple[Candidate, ...]
    steps: tuple[SelectionStep, ...]
    changes_in: float | None = None
    """Seconds after which it is different without any event; None when that cannot be known."""
    withheld: Mapping[str, str] = msgspec.field(default_factory=dict)
    """IDs of what is there and belongs to another config, and why it is not offered."""
    unfit: Mapping[str, Unfit] = msgspec.field(default_factory=dict)
    """IDs of what is there and cannot be offered now, for reasons better than that it is gone."""
    pending: bool = False
    """Whether the look goes on elsewhere, and nothing is known yet."""


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


@runtime_checkable
class Watching(Protocol):
    """A source that looks in a thread of its own, because what it asks may hang."""

    def begin(self, news: Callable[[], None]) -> None:
        """Start to look; `news` is called from that thread when `discover` would tell something else."""
        ...

    def pardon(self, devices: Iterable[str]) -> None:
        """Forget what happened to these: somebody who cordoned them lifted that."""
        ...
