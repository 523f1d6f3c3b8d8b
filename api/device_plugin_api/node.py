"""NodeDevicePlugin: what one node shall run for one config (the operator's), and what is there (the agent's)."""

from enum import Enum
from typing import Annotated

from msgspec import Struct, field

from device_plugin_api import rules
from device_plugin_api.conditions import Condition
from device_plugin_api.config import MAX_CORDONED, PREVIEW, SERVE, DeviceCounts, SlotCounts
from device_plugin_api.resource import Resource
from device_plugin_api.schema import ATOMIC, ATOMIC_MAP, DATE_TIME, doc, enum, list_map

MAX_LISTED_DEVICES = 500
MAX_HOLDERS = 64
MAX_CONTESTED = 64
MAX_RIVALS = 8


class DeviceState(Enum):
    """How a device is. The kubelet is told Healthy, or Unhealthy for all the others."""

    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    UNKNOWN = "Unknown"
    CORDONED = "Cordoned"


class CordonedDevice(Struct, rename="camel", frozen=True, kw_only=True):
    """A device of this node that shall not be handed out."""

    resource: Annotated[str, doc("Resource name.", min_length=3, max_length=308)]
    device: Annotated[str, doc("Device ID.", min_length=1, max_length=63)]
    reason: Annotated[str, doc("Why, for people.", min_length=1, max_length=128)]


class WithheldResource(Struct, rename="camel", frozen=True, kw_only=True):
    """A resource that another config has on this node; the kubelet knows one plugin for each name."""

    name: Annotated[str, doc("Resource name.", min_length=3, max_length=308)]
    config: Annotated[str, doc("The config that has it.", min_length=1, max_length=45)]
    since: Annotated[str, doc("Since when it is withheld.", max_length=32, openapi=DATE_TIME)]


class NodeSpec(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """What this node shall run."""

    config_name: Annotated[str, doc("The DevicePluginConfig this comes from.", min_length=1, max_length=45)]
    config_uid: Annotated[str, doc("Its UID.", min_length=1, max_length=36)] = field(name="configUID")
    node_name: Annotated[str, doc("The node.", min_length=1, max_length=253)]
    node_uid: Annotated[
        str, doc("Its UID: another one under the same name is another machine.", min_length=1, max_length=36)
    ] = field(name="nodeUID")
    config_creation_time: (
        Annotated[
            str,
            doc("When it was made: of two configs that want one device, the older.", max_length=32, openapi=DATE_TIME),
        ]
        | None
    ) = None
    cdi: Annotated[bool, doc("Whether the node's container runtime takes CDI devices.")] = False
    mode: Annotated[
        str, doc("Whether resources are registered with the kubelet.", openapi=enum(SERVE, PREVIEW), max_length=7)
    ] = SERVE
    revision: Annotated[str, doc("Names this content of `mode` and `resources`.", min_length=1, max_length=63)]
    resources: Annotated[
        tuple[Annotated[Resource, doc("A resource.", rules=rules.RESOURCE)], ...],
        doc("What the agent offers.", min_length=1, max_length=16, openapi=list_map("name")),
    ]
    cordoned_devices: Annotated[
        tuple[CordonedDevice, ...],
        doc(
            "Devices that are not handed out, whatever their health; containers that have one keep it.",
            max_length=MAX_CORDONED,
            openapi=list_map("resource", "device"),
        ),
    ] = ()
    withheld_resources: Annotated[
        tuple[WithheldResource, ...],
        doc(
            "Of `resources`: those that the agent must not register, or has to let go of.",
            max_length=32,
            openapi=list_map("name"),
        ),
    ] = ()


class Holder(Struct, rename="camel", frozen=True, kw_only=True):
    """A container that was given the device."""

    namespace: Annotated[str, doc("Namespace of the pod.", max_length=63)]
    pod: Annotated[str, doc("The pod.", max_length=253)]
    container: Annotated[str, doc("The container.", max_length=63)]


class Device(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One physical device."""

    id: Annotated[
        str,
        doc(
            "Its ID, the same over restarts; what the kubelet and podresources call it. A share is <id>::<n>.",
            max_length=63,
        ),
    ]
    path: Annotated[str, doc("Its node on the host; empty when it has none.", max_length=256)] = ""
    state: Annotated[
        DeviceState, doc("How it is.", openapi={"maxLength": 16} | enum("Healthy", "Unhealthy", "Unknown", "Cordoned"))
    ]
    reason: Annotated[str, doc("Why, in one word.", max_length=64)]
    message: Annotated[str, doc("Why, for people.", max_length=256)] = ""
    last_transition_time: Annotated[str, doc("Since when it has this state.", max_length=32, openapi=DATE_TIME)]
    numa_node: Annotated[int, doc("Its NUMA node; absent when unknown.", ge=0, le=63)] | None = None
    attributes: Annotated[
        dict[str, Annotated[str, doc("Attribute value.", max_length=256)]],
        doc("What is known about it.", max_length=16, openapi=ATOMIC_MAP),
    ] = {}
    allocated_to: Annotated[tuple[Holder, ...], doc("Who has it.", max_length=MAX_HOLDERS, openapi=ATOMIC)] = ()
    slots: Annotated[SlotCounts, doc("Its shares, when it is shared.")] | None = None


class SelectionStep(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One step from what is on the node to what is offered."""

    step: Annotated[str, doc("What was looked for or left out.", max_length=256)]
    kept: Annotated[int, doc("How many candidates were left after it.", ge=0)]
    dropped: Annotated[
        tuple[Annotated[str, doc("A candidate and why it was dropped.", max_length=256)], ...],
        doc("The first candidates it dropped, and why.", max_length=8, openapi=ATOMIC),
    ] = ()


class ResourceStatus(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One resource on this node."""

    name: Annotated[str, doc("Resource name.", max_length=308)]
    registered: Annotated[bool, doc("Whether the kubelet knows it now.")] = False
    message: Annotated[
        str, doc("Why it is not registered: the kubelet's own words where it gave any.", max_length=512)
    ] = ""
    last_registration_time: (
        Annotated[str, doc("When the kubelet last accepted it.", max_length=32, openapi=DATE_TIME)] | None
    ) = None
    cdi: Annotated[bool, doc("Whether containers get its devices by CDI.")] = False
    counts: Annotated[DeviceCounts, doc("Its devices; exact, also when not all are listed.")] = field(
        default_factory=DeviceCounts
    )
    slots: Annotated[SlotCounts, doc("Its devices as often as they are shared.")] = field(default_factory=SlotCounts)
    devices: Annotated[
        tuple[Device, ...],
        doc(
            "Its devices, sorted by ID; troubled and allocated ones first kept.",
            max_length=MAX_LISTED_DEVICES,
            openapi=ATOMIC,
        ),
    ] = ()
    devices_truncated: Annotated[bool, doc("Whether there are more devices than are listed.")] = False
    candidates: Annotated[
        tuple[SelectionStep, ...],
        doc(
            "What each step of the selection saw and kept: why something is, or is not, here.",
            max_length=16,
            openapi=ATOMIC,
        ),
    ] = ()


class ContestedDevice(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """A device that several configs select on this node. Only its owner offers it."""

    resource: Annotated[str, doc("This config's resource.", max_length=308)]
    device: Annotated[str, doc("Its ID here.", max_length=63)]
    owner: Annotated[str, doc("The config that owns it; empty while it passes on.", max_length=45)] = ""
    configs: Annotated[
        tuple[Annotated[str, doc("A config's name.", max_length=45)], ...],
        doc("All that select it, the older ones first.", max_length=MAX_RIVALS, openapi=ATOMIC),
    ] = ()


class NodeStatus(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """What the agent found."""

    observed_revision: Annotated[
        str, doc("The revision that it runs and has judged its devices by.", max_length=63)
    ] = ""
    agent_version: Annotated[str, doc("The agent's version.", max_length=63)] = ""
    conditions: Annotated[
        tuple[Condition, ...], doc("Registered, ConfigAccepted and KubeletAgrees.", max_length=8, openapi=ATOMIC)
    ] = ()
    counts: Annotated[DeviceCounts, doc("Devices of all resources.")] = field(default_factory=DeviceCounts)
    resources: Annotated[tuple[ResourceStatus, ...], doc("Each resource.", max_length=16, openapi=ATOMIC)] = ()
    contested_devices: Annotated[
        tuple[ContestedDevice, ...],
        doc("Devices that other configs select too.", max_length=MAX_CONTESTED, openapi=ATOMIC),
    ] = ()


class NodeDevicePlugin(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One config on one node. Made and removed by the operator; its status is the agent's."""

    spec: Annotated[NodeSpec, doc("What this node shall run.", rules=rules.NODE_SPEC)]
    status: Annotated[NodeStatus, doc("What the agent found.")] = field(default_factory=NodeStatus)
