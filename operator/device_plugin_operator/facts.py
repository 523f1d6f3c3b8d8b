"""What is known about one config, its agents and their nodes: small frozen values that the plan is made from.

A fleet has thousands of agents and NodeDevicePlugins, and all are kept in memory: these hold what the plan needs and
nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from device_plugin_api.config import SERVE, ConfigSpec, ConfigStatus, DeviceCounts, ResourceSummary, SlotCounts
from device_plugin_api.node import CordonedDevice, WithheldResource


class Verdict(Struct, frozen=True, gc=False):
    """A condition that an agent reported: whether it holds, why, since when."""

    holds: bool
    message: str
    since: str


class Trouble(Struct, frozen=True, gc=False):
    """One device that does not work, in an agent's words."""

    resource: str
    device: str
    state: str
    reason: str
    message: str
    since: str


class Offer(Struct, frozen=True, gc=False):
    """One resource on one node."""

    resource: str
    counts: DeviceCounts
    slots: SlotCounts = SlotCounts()
    healthy: tuple[str, ...] = ()
    """IDs of the devices that work, as far as they are listed."""
    registered: bool = False


class Trial(Struct, frozen=True, kw_only=True):
    """What worked on a node before it got its revision, for as long as it is not sure that this still does."""

    healthy: dict[str, tuple[str, ...]] = {}
    """The devices that worked, for each resource that had any device."""
    rejected: bool = False
    """Whether its agent refused the revision before, too."""


class NodeObject(Struct, frozen=True, kw_only=True):
    """A NodeDevicePlugin."""

    name: str
    uid: str
    version: int
    created: str
    terminating: bool
    config: str
    config_uid: str
    node: str
    node_uid: str
    revision: str
    """The revision its spec names, or "" when its resources are not what that revision is."""
    observed_revision: str
    registered: Verdict | None
    """Whether all that shall be registered is."""
    accepted: Verdict | None
    disagrees: Verdict | None
    """Where the kubelet has something else than the agent offers."""
    counts: DeviceCounts
    offers: tuple[Offer, ...]
    troubles: tuple[Trouble, ...]
    """At most as many as a config's status can list."""
    more_troubles: bool
    cordoned: tuple[CordonedDevice, ...] = ()
    """Of its spec."""
    cdi: bool = False
    """Of its spec."""
    trial: Trial | None = None
    readable: bool = True
    """Whether its status is one that this operator knows how to read."""
    config_created: str = ""
    mode: str = SERVE
    """Of its spec."""
    resources: tuple[str, ...] = ()
    """The names of those in its spec."""
    withheld: tuple[WithheldResource, ...] = ()
    """Of its spec."""

    def wants(self, resource: str) -> bool:
        """Whether its config has the agent serve it, if another config does not come first."""
        return self.mode == SERVE and resource in self.resources

    def may_register(self, resource: str) -> bool:
        """Whether the agent may register it, or has not let go of it yet."""
        if self.wants(resource) and all(each.name != resource for each in self.withheld):
            return True
        return any(offer.resource == resource and (offer.registered or self.mode == SERVE) for offer in self.offers)


NODE_UNREACHABLE = "NodeUnreachable"
"""Why a pod does not count as ready: Kubernetes has not heard of its node for longer than it waits (40 to 55 s)."""


class AgentPod(Struct, frozen=True, kw_only=True):
    """A pod of a config's DaemonSet."""

    name: str
    uid: str
    version: int
    created: str
    terminating: bool
    config: str
    node: str
    """The node it is bound to or, before, the one it is meant for."""
    bound: bool
    ready: bool
    since: str
    """Since when it has been ready or not."""
    reason: str
    """Why it does not run, in the kubelet's or the scheduler's word; "" when nothing is said."""
    message: str


@dataclass(frozen=True, kw_only=True)
class Taint:
    """A node's taint."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A Node."""

    name: str
    uid: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    runtime: str = ""
    """Container runtime and version, as the Node says: containerd://2.1.0."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A DevicePluginConfig."""

    name: str
    uid: str
    generation: int
    created: str
    """RFC 3339 in UTC."""
    terminating: bool
    spec: ConfigSpec | None
    invalid: str
    """Why the spec cannot be used; "" when it can."""
    status: ConfigStatus


@dataclass(frozen=True, kw_only=True)
class Daemons:
    """The DaemonSet, as the API server has it, and as it would have it if only we had written it."""

    live: dict[str, Any] | None
    wanted: dict[str, Any]
    expected: dict[str, Any] | None
    """The spec that comes out when the API server fills in its defaults; None while that is not known."""
    refusal: str
    """Why the API server will not take it; "" when it does."""


@dataclass(frozen=True, kw_only=True)
class Calm:
    """Nodes of which nothing has to be done or watched, added up: a look costs what changed, not what there is."""

    nodes: int = 0
    devices: DeviceCounts = field(default_factory=DeviceCounts)
    resources: tuple[ResourceSummary, ...] = ()
    worst: tuple[NodeObject, ...] = ()
    """Of those with devices that do not work the first, worst first: enough to fill a status."""
    more_troubles: bool = False
    """Whether one of them has more than it lists."""


NONE_CALM = Calm()


@dataclass(frozen=True, kw_only=True)
class Rivals:
    """What other configs have on a node."""

    objects: tuple[NodeObject, ...] = ()
    pods: frozenset[str] = frozenset()
    """The configs that have an agent's pod there, bound to the node: one that waits has never run."""
    ready: frozenset[str] = frozenset()
    """Those of them whose agent answers."""


NO_RIVALS = Rivals()


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that matters about one config at one moment."""

    now: float
    config: Config
    fleet_complete: bool
    """Whether both lists have been seen whole: before, nothing is concluded from absence."""
    daemons: Daemons | None
    """None when the spec cannot be used."""
    nodes: Mapping[str, NodeObject] = field(default_factory=dict)
    """By node name."""
    strangers: tuple[NodeObject, ...] = ()
    """NodeDevicePlugins of an earlier config of this name."""
    pods: tuple[AgentPod, ...] = ()
    unready: Mapping[str, float] = field(default_factory=dict)
    """Nodes without a ready agent, and since when (Unix time). "" stands for agents that were never created."""
    machines: Mapping[str, Machine | None] = field(default_factory=dict)
    """The nodes that were looked at; None for one that is gone."""
    unseen: int = 0
    """Nodes that are still to be looked at: there were too many for one time."""
    rivals: Mapping[str, Rivals] = field(default_factory=dict)
    """On the nodes where there are any."""
    calm: Calm = NONE_CALM
    """All further nodes of the config; they are neither in `nodes` nor in `pods`."""
