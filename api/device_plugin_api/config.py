"""DevicePluginConfig: what a cluster administrator wants, and the operator's summary of what is."""

from typing import Annotated

from msgspec import Struct, field

from device_plugin_api import rules
from device_plugin_api.conditions import Condition
from device_plugin_api.placement import Affinity, NodeLabels, Toleration
from device_plugin_api.resource import Resource
from device_plugin_api.schema import ATOMIC, DATE_TIME, DEFAULT_EMPTY, doc, enum, list_map

MAX_PROBLEMS = 100
MAX_CORDONED = 128

SERVE, PREVIEW = "Serve", "Preview"

Quantity = Annotated[
    int | str, doc("A Kubernetes quantity, such as 50m or 64Mi.", openapi={"maxLength": 32}, rules=rules.QUANTITY)
]


class AgentQuantities(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """CPU and memory."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class AgentResources(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """What an agent asks for and may use at most."""

    requests: Annotated[
        AgentQuantities, doc("Reserved for an agent.", openapi={"default": {"cpu": "50m", "memory": "64Mi"}})
    ] = AgentQuantities(cpu="50m", memory="64Mi")
    limits: Annotated[AgentQuantities, doc("An agent's ceiling.", openapi={"default": {"memory": "128Mi"}})] = (
        AgentQuantities(memory="128Mi")
    )


class AgentSettings(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """How this config's agents run. A change here rolls the DaemonSet."""

    log_level: Annotated[
        str, doc("How much agents log.", openapi=enum("debug", "info", "warning", "error"), max_length=7)
    ] = "info"
    resources: Annotated[
        AgentResources, doc("Compute resources of an agent.", openapi=DEFAULT_EMPTY, rules=rules.AGENT_RESOURCES)
    ] = field(default_factory=AgentResources)
    priority_class_name: Annotated[
        str, doc("Priority class of agent pods.", min_length=1, max_length=253, rules=rules.PRIORITY_CLASS)
    ] = "system-node-critical"
    runtime_class_name: (
        Annotated[
            str,
            doc(
                "Runtime class of agent pods. With `source.nvidia`: the one of NVIDIA's container runtime, which gives "
                "agents the driver's library.",
                min_length=1,
                max_length=253,
                rules=rules.RUNTIME_CLASS,
            ),
        ]
        | None
    ) = None


class Rollout(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """How a new content of `resources` reaches the nodes. Nodes that are new get it at once."""

    max_unavailable: Annotated[
        int | str,
        doc(
            "Nodes that get it at a time, as a number or a percentage of the nodes, rounded up. The next ones follow "
            "when their agents run it and all that worked before works. So many agents are replaced at a time, too, "
            "when their image or `agent` changes.",
            openapi={"maxLength": 4},
            rules=rules.MAX_UNAVAILABLE,
        ),
    ] = "10%"
    paused: Annotated[bool, doc("Whether no further node gets it for now.")] = False
    on_regression: Annotated[
        str,
        doc(
            "What follows when a node is worse off with it: a device that worked does not any more, a resource has no "
            "device left, the agent refuses it or is lost. Pause keeps it from all further nodes.",
            openapi=enum("Pause", "Continue"),
            max_length=8,
        ),
    ] = "Pause"


class Cordon(Struct, rename="camel", frozen=True, kw_only=True):
    """A device that shall not be handed out."""

    node: Annotated[str, doc("The node it is on.", min_length=1, max_length=253, rules=rules.NODE_NAME)]
    resource: Annotated[str, doc("Resource name.", min_length=3, max_length=308)]
    device: Annotated[
        str,
        doc(
            "Device ID, as status.problems and NodeDevicePlugins show it.",
            min_length=1,
            max_length=63,
            rules=rules.DEVICE_ID,
        ),
    ]
    reason: Annotated[str, doc("Why, for people.", min_length=1, max_length=128)]


class ConfigSpec(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """What shall be offered, and where."""

    mode: Annotated[
        str,
        doc(
            "Whether devices are offered to pods. In Preview agents find and watch them and report what they would "
            "offer, and register nothing. A change reaches the nodes as a new content of `resources` does.",
            openapi=enum(SERVE, PREVIEW),
            max_length=7,
        ),
    ] = SERVE
    node_selector: NodeLabels = {}
    affinity: Annotated[Affinity, doc("Required node affinity, as in a pod.")] | None = None
    tolerations: Annotated[
        tuple[Annotated[Toleration, doc("A toleration.", rules=rules.TOLERATION)], ...],
        doc("Tolerations of the agents, as in a pod.", max_length=32, openapi=ATOMIC),
    ] = ()
    resources: Annotated[
        tuple[Annotated[Resource, doc("A resource.", rules=rules.RESOURCE)], ...],
        doc("The resources that agents offer.", min_length=1, max_length=16, openapi=list_map("name")),
    ]
    cordoned_devices: Annotated[
        tuple[Cordon, ...],
        doc(
            "Devices that are not handed out, whatever their health; containers that have one keep it.",
            max_length=MAX_CORDONED,
            openapi=list_map("node", "resource", "device"),
        ),
    ] = ()
    rollout: Annotated[Rollout, doc("How a new content of `resources` reaches the nodes.", openapi=DEFAULT_EMPTY)] = (
        field(default_factory=Rollout)
    )
    agent: Annotated[AgentSettings, doc("How agents run.", openapi=DEFAULT_EMPTY)] = field(
        default_factory=AgentSettings
    )


class NodeCounts(Struct, rename="camel", frozen=True, kw_only=True):
    """Nodes, counted."""

    desired: Annotated[int, doc("Nodes that agents shall run on.", ge=0)] = 0
    ready: Annotated[
        int, doc("Of these: agent runs and every resource is registered; in Preview none has to be.", ge=0)
    ] = 0
    updated: Annotated[int, doc("Of these: agent runs the current revision of `resources`.", ge=0)] = 0


class DeviceCounts(Struct, rename="camel", frozen=True, kw_only=True):
    """Physical devices, counted."""

    total: Annotated[int, doc("All known devices.", ge=0)] = 0
    healthy: Annotated[int, doc("Devices that work.", ge=0)] = 0
    unhealthy: Annotated[int, doc("Devices that do not work.", ge=0)] = 0
    unknown: Annotated[int, doc("Devices whose state cannot be known now.", ge=0)] = 0
    cordoned: Annotated[int, doc("Devices that are not handed out by `cordonedDevices`.", ge=0)] = 0
    allocated: Annotated[int, doc("Devices given to a container.", ge=0)] = 0

    def __add__(self, other: "DeviceCounts") -> "DeviceCounts":
        return DeviceCounts(
            total=self.total + other.total,
            healthy=self.healthy + other.healthy,
            unhealthy=self.unhealthy + other.unhealthy,
            unknown=self.unknown + other.unknown,
            cordoned=self.cordoned + other.cordoned,
            allocated=self.allocated + other.allocated,
        )

    def __sub__(self, other: "DeviceCounts") -> "DeviceCounts":
        return DeviceCounts(
            total=self.total - other.total,
            healthy=self.healthy - other.healthy,
            unhealthy=self.unhealthy - other.unhealthy,
            unknown=self.unknown - other.unknown,
            cordoned=self.cordoned - other.cordoned,
            allocated=self.allocated - other.allocated,
        )


class SlotCounts(Struct, rename="camel", frozen=True, kw_only=True):
    """What the kubelet counts, counted: a device once, or as often as it is shared."""

    total: Annotated[int, doc("All that the kubelet knows.", ge=0)] = 0
    used: Annotated[int, doc("Of these: given to a container.", ge=0)] = 0

    def __add__(self, other: "SlotCounts") -> "SlotCounts":
        return SlotCounts(total=self.total + other.total, used=self.used + other.used)

    def __sub__(self, other: "SlotCounts") -> "SlotCounts":
        return SlotCounts(total=self.total - other.total, used=self.used - other.used)


class ResourceSummary(Struct, rename="camel", frozen=True, kw_only=True):
    """One resource over all nodes."""

    name: Annotated[str, doc("Resource name.", max_length=308)]
    nodes: Annotated[int, doc("Nodes that have at least one device of it and whose agent is heard.", ge=0)] = 0
    devices: Annotated[DeviceCounts, doc("Its devices.")] = field(default_factory=DeviceCounts)
    slots: Annotated[SlotCounts, doc("Its devices as often as they are shared.")] = field(default_factory=SlotCounts)


class Problem(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong, and since when. Without `device` it concerns the whole node."""

    node: Annotated[str, doc("Node name.", max_length=253)]
    resource: Annotated[str, doc("Resource name.", max_length=308)] = ""
    device: Annotated[str, doc("Device ID.", max_length=63)] = ""
    state: Annotated[str, doc("Unhealthy or Unknown.", max_length=16)]
    reason: Annotated[str, doc("Why, in one word.", max_length=64)]
    message: Annotated[str, doc("Why, for people.", max_length=256)] = ""
    since: Annotated[str, doc("Since when.", max_length=32, openapi=DATE_TIME)]


class ConfigStatus(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """The operator's summary."""

    observed_generation: Annotated[int, doc("The metadata.generation this status is about.", ge=0)] = 0
    conditions: Annotated[
        tuple[Condition, ...],
        doc(
            "Ready, Progressing, Degraded; Reconciling and Stalled while true.", max_length=8, openapi=list_map("type")
        ),
    ] = ()
    nodes: Annotated[NodeCounts, doc("Nodes.")] = field(default_factory=NodeCounts)
    devices: Annotated[DeviceCounts, doc("Devices of all resources.")] = field(default_factory=DeviceCounts)
    resources: Annotated[
        tuple[ResourceSummary, ...], doc("Each resource over all nodes.", max_length=16, openapi=ATOMIC)
    ] = ()
    problems: Annotated[
        tuple[Problem, ...], doc("What is wrong, worst first.", max_length=MAX_PROBLEMS, openapi=ATOMIC)
    ] = ()
    problems_truncated: Annotated[bool, doc("Whether there are more problems than are listed.")] = False


class DevicePluginConfig(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Offers devices of matching nodes to pods as extended resources."""

    spec: Annotated[ConfigSpec, doc("What shall be offered, and where.", rules=rules.CONFIG_SPEC)]
    status: Annotated[ConfigStatus, doc("What is offered, and how it is.")] = field(default_factory=ConfigStatus)
