"""What is true at one moment, and what the statuses say at that moment. Times are of time.monotonic(), in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Holders = Mapping[str, frozenset[str]]
"""Device → `namespace/pod/container`."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One node as it really is. Devices are named by their IDs, which are the names of their nodes in /dev."""

    present: frozenset[str]
    """Devices that have a device node."""
    agent: int = 1
    """PID of the agent's process; 0 when none runs."""
    reaches_api: bool = True
    """Whether the node's way to the API server is open."""
    offered: frozenset[str] | None
    """Devices that the kubelet would hand out, or has, by podresources; None when it did not answer."""
    held: Holders | None
    """Who has which, by podresources; None when it did not answer."""
    running: Holders = field(default_factory=dict)
    """Whose process runs with which."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the config wants, as the API server has it."""

    selected: frozenset[str]
    """Devices that are selected wherever they are."""
    replicas: Mapping[str, int] = field(default_factory=dict)
    """How many containers may have a device at once, where it is more than one."""
    resources: Mapping[str, str] = field(default_factory=dict)
    """The resource of each device that is selected."""
    cordoned: frozenset[tuple[str, str]] = frozenset()
    """Node and device."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a NodeDevicePlugin says of one device."""

    state: str
    reason: str = ""
    holders: frozenset[str] = frozenset()
    since: float | None = None
    """Unix time."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a condition says."""

    status: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a NodeDevicePlugin's status says."""

    devices: Mapping[str, Told] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    """`<count>` for all devices, `<resource> <count>` for those of one resource."""
    registered: Mapping[str, bool] = field(default_factory=dict)
    """Of each resource: whether the kubelet knows it."""
    conditions: Mapping[str, Said] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One of the `problems` of a config; `device` is empty when it concerns the node."""

    node: str
    device: str
    state: str
    reason: str
    since: float | None = None
    """Unix time."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What the config's status says."""

    counts: Mapping[str, int]
    """As in a Report, and `nodes <count>` for nodes."""
    conditions: Mapping[str, Said]
    problems: frozenset[Complaint] = frozenset()
    truncated: bool = False
    """Whether there are more problems than are listed."""

    @property
    def reason(self) -> str:
        """Of the condition Ready: what kubectl shows as STATUS."""
        ready = self.conditions.get("Ready")
        return ready.reason if ready is not None else ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The truth and the statements of one moment."""

    at: float
    wall: float = 0.0
    """The same moment as Unix time."""
    api: bool = True
    """Whether the API server answers."""
    looks: Mapping[str, Look]
    """Node → how it is."""
    wanted: Wanted
    reports: Mapping[str, Report]
    """Node → what is said of it."""
    summary: Summary
