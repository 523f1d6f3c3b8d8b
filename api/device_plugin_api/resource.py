"""One extended resource: where its devices come from, what a container gets, when a device is healthy.

The same type stands in a DevicePluginConfig and, copied for each node, in a NodeDevicePlugin.
"""

from typing import Annotated

from msgspec import Struct, field

from device_plugin_api import rules
from device_plugin_api.schema import ATOMIC, ATOMIC_MAP, DEFAULT_EMPTY, doc, enum, list_map
from device_plugin_api.sources import Source


class Sharing(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Several containers on one device. Nothing keeps them apart there: what they share, they must agree on."""

    replicas: Annotated[int, doc("How many slots each device is offered as.", ge=1, le=1000)] = 1
    max_per_container: (
        Annotated[
            int,
            doc(
                "How many slots one container may have; any number when absent. A pod that asks for more fails.",
                ge=1,
                le=10000,
            ),
        ]
        | None
    ) = None


class EnvVar(Struct, rename="camel", frozen=True, kw_only=True):
    """One environment variable of the user's container."""

    name: Annotated[str, doc("Variable name.", min_length=1, max_length=128, rules=rules.ENV_NAME)]
    value: Annotated[
        str,
        doc(
            "Its value. $(DEVICE_ID) and $(DEVICE_PATH) are the first device's; $(DEVICE_IDS), $(DEVICE_PATHS), "
            "$(INDEX) and $(attributes.<name>) those of all, joined by commas.",
            max_length=1024,
            rules=rules.TEMPLATE,
        ),
    ]


class Mount(Struct, rename="camel", frozen=True, kw_only=True):
    """One host path that the user's container sees."""

    host_path: Annotated[
        str,
        doc(
            "Path on the node. With $(DEVICE_ID), $(INDEX) or $(attributes.<name>) here or in containerPath there is "
            "one mount for each device.",
            max_length=256,
            rules=rules.HOST_MOUNT_PATH,
        ),
    ]
    container_path: Annotated[str, doc("Path in the container.", max_length=256, rules=rules.CONTAINER_MOUNT_PATH)]
    read_only: Annotated[bool, doc("Whether the container may only read.")] = True


class Cdi(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Devices from the container runtime (Container Device Interface), with an owner and a mode of their own."""

    mode: Annotated[
        str,
        doc(
            "Auto: where the node's container runtime is known to take them, containerd from 2.0 and CRI-O from 1.28. "
            "Elsewhere containers get device nodes as without `cdi`.",
            openapi=enum("Auto", "Always", "Never"),
            max_length=6,
        ),
    ] = "Auto"
    uid: Annotated[int, doc("Who owns the device nodes in the container.", ge=0, le=2**31 - 1)] | None = None
    gid: Annotated[int, doc("Whose group they belong to in the container.", ge=0, le=2**31 - 1)] | None = None
    file_mode: (
        Annotated[str, doc("Their mode in the container, such as 0660.", max_length=4, rules=rules.FILE_MODE)] | None
    ) = None


class PreStart(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """What happens before each start of a container, restarts included."""

    verify_healthy: Annotated[
        bool, doc("A container does not start while a device of it does not work; the kubelet tries again.")
    ] = False


class Allocation(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """What a container that was given devices gets."""

    policy: Annotated[
        str,
        doc(
            "Which free devices a container gets. Aligned: on as few NUMA nodes, then PCI roots, as can be. Packed: "
            "devices that are in use already, and few of them, so that others stay wholly free. Distributed: slots of "
            "as many devices as can be, the least used first.",
            openapi=enum("Aligned", "Packed", "Distributed"),
            max_length=11,
        ),
    ] = "Aligned"
    permissions: Annotated[
        str, doc("Access to the device nodes: r, w or rw (never mknod).", openapi=enum("r", "w", "rw"), max_length=2)
    ] = "rw"
    writable_files: Annotated[
        bool, doc("Whether a container may write to the plain files that it gets as devices (`paths: {type: File}`).")
    ] = False
    container_path: (
        Annotated[
            str,
            doc(
                "Where a device node appears in the container; the host's path when absent. "
                "$(INDEX) counts the container's devices of this resource from 0. $(DEVICE_ID) and "
                "$(attributes.<name>) can be used too.",
                max_length=256,
                rules=rules.CONTAINER_DEVICE_PATH,
            ),
        ]
        | None
    ) = None
    env: Annotated[
        tuple[EnvVar, ...],
        doc(
            "Variables beside the default <NAME>_ID and <NAME>_PATH. A variable that the pod sets itself wins.",
            max_length=16,
            openapi=list_map("name"),
        ),
    ] = ()
    mounts: Annotated[
        tuple[Annotated[Mount, doc("A mount.", rules=rules.MOUNT)], ...],
        doc("Host paths for the user's container.", max_length=16, openapi=list_map("containerPath")),
    ] = ()
    annotations: Annotated[
        dict[
            str, Annotated[str, doc("Annotation value; variables as in `env`.", max_length=1024, rules=rules.TEMPLATE)]
        ],
        doc(
            "Annotations of the container in the container runtime.",
            max_length=16,
            rules=rules.ANNOTATIONS,
            openapi=ATOMIC_MAP,
        ),
    ] = {}
    cdi: (
        Annotated[Cdi, doc("Devices for containers that do not run as root. Absent: the kubelet's own way.")] | None
    ) = None
    pre_start: Annotated[PreStart, doc("Before a container starts.")] = field(default_factory=PreStart)

    def by_cdi(self, *, runtime: bool) -> bool:
        """Whether containers get the devices by CDI. `runtime`: whether the node's container runtime takes them so."""
        return self.cdi is not None and (self.cdi.mode == "Always" or (self.cdi.mode == "Auto" and runtime))


class Probe(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One look at a device."""

    type: Annotated[
        str,
        doc(
            "Exists: the device is there; always looked at, given here or not. SysfsAttribute: an attribute of the "
            "device in sysfs has a wanted value. HeartbeatFile: somebody touches a file below /run/deviceplugins.dev "
            "often enough. Link: each network device that belongs to it, or that it is a virtual function of, has a "
            "link; looked at every second, and a lost one is told at once.",
            openapi=enum("Exists", "SysfsAttribute", "HeartbeatFile", "Link"),
            max_length=32,
        ),
    ]
    path: Annotated[
        str,
        doc(
            "SysfsAttribute: the attribute's file, relative to the device's directory in sysfs (device/health), or "
            "absolute (/sys/class/net/eth0/mtu).",
            min_length=1,
            max_length=256,
            rules=rules.SYSFS_PATH,
        ),
    ] = ""
    equals: Annotated[
        tuple[Annotated[str, doc("A good value, without white space at its ends.", max_length=128)], ...],
        doc("SysfsAttribute: the value is one of these.", min_length=1, max_length=16, openapi=ATOMIC),
    ] = ()
    matches: Annotated[
        str,
        doc(
            "SysfsAttribute: a regular expression that matches the whole value: characters, sets such as [a-z], "
            "\\d \\w \\s, '|' between alternatives, and up to three of * + ?. It has no groups.",
            min_length=1,
            max_length=128,
            rules=rules.PATTERN,
        ),
    ] = ""
    min: (
        Annotated[int, doc("SysfsAttribute: the value is a number of at least this.", ge=-(10**15), le=10**15)] | None
    ) = None
    max: (
        Annotated[int, doc("SysfsAttribute: the value is a number of at most this.", ge=-(10**15), le=10**15)] | None
    ) = None
    name: Annotated[
        str,
        doc(
            "HeartbeatFile: the file, relative to /run/deviceplugins.dev; $(DEVICE_ID) in it stands for the device.",
            min_length=1,
            max_length=128,
            rules=rules.HEARTBEAT_NAME,
        ),
    ] = ""
    max_age_seconds: (
        Annotated[int, doc("HeartbeatFile: how old its last modification may be.", ge=1, le=86400)] | None
    ) = None


class Health(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """When a device counts as healthy. What is gone, or has no link, is told at once, whatever the thresholds."""

    probes: Annotated[
        tuple[Annotated[Probe, doc("A probe.", rules=rules.PROBE)], ...],
        doc(
            "All must be content: the worst counts, and of equally bad ones the first. Each is counted by itself.",
            min_length=1,
            max_length=8,
            openapi=ATOMIC | {"default": [{"type": "Exists"}]},
        ),
    ] = (Probe(type="Exists"),)
    period_seconds: Annotated[
        int,
        doc(
            "How often SysfsAttribute and HeartbeatFile look, and how often devices are looked for behind the "
            "kernel's events, in seconds.",
            ge=1,
            le=3600,
        ),
    ] = 10
    failure_threshold: Annotated[
        int,
        doc("Looks of a probe in a row that saw trouble, or nothing, until a device is Unhealthy.", ge=1, le=100),
    ] = 3
    success_threshold: Annotated[
        int,
        doc(
            "Good looks of a probe in a row, at least one second apart, until a device is Healthy again.", ge=1, le=100
        ),
    ] = 2


class Resource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One extended resource that pods can ask for."""

    name: Annotated[
        str,
        doc(
            "Extended resource name, <domain>/<name>. Another name is another resource.",
            min_length=3,
            max_length=308,
            rules=rules.RESOURCE_NAME,
        ),
    ]
    source: Annotated[Source, doc("Where its devices come from.", rules=rules.ONE_SOURCE)]
    sharing: Annotated[Sharing, doc("Whether containers share a device.", openapi=DEFAULT_EMPTY)] = field(
        default_factory=Sharing
    )
    allocation: Annotated[Allocation, doc("What containers get.", openapi=DEFAULT_EMPTY, rules=rules.ALLOCATION)] = (
        field(default_factory=Allocation)
    )
    health: Annotated[Health, doc("When a device is healthy.", openapi=DEFAULT_EMPTY)] = field(default_factory=Health)
