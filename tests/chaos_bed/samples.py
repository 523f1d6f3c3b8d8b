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
    agent: bool = True
    """Whether a process of the agent runs."""
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
    cordoned: frozenset[tuple[str, str]] = frozenset()
    """Node and device."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a NodeDevicePlugin says of one device."""

    state: str
    reason: str = ""
    holders: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One of the `problems` of a config; `device` is empty when it concerns the node."""

    node: str
    device: str
    state: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What the config's status says."""

    reason: str
    """Of the condition Ready: what kubectl shows as STATUS."""
    counts: Mapping[str, int]
    """Of `devices`."""
    problems: frozenset[Complaint] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The truth and the statements of one moment."""

    at: float
    api: bool = True
    """Whether the API server answers."""
    looks: Mapping[str, Look]
    """Node → how it is."""
    wanted: Wanted
    reports: Mapping[str, Mapping[str, Told]]
    """Node → device → what is said."""
    summary: Summary
