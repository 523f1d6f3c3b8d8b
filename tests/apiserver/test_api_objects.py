"""What the API server takes and refuses, in its own words. All are dry runs: nothing stays behind."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from apiserver.objects import (
    API_VERSION,
    CONFIG,
    NODE,
    Json,
    allocating,
    config,
    including,
    largest_config,
    node_object,
    of,
    resource,
    selecting,
)
from apiserver_fixture import ApiError, Client
from device_plugin_api import crd
from device_plugin_api.hostpaths import mount_error
from device_plugin_api.names import node_device_plugin_name, resource_name_error

FIRST = "spec.resources[0]"
INCLUDE = f"{FIRST}.source.paths.include"
AFFINITY = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def bad(sentence: str, item: Json, field: str, allowed: str) -> Any:
    return pytest.param(item, field, allowed, id=sentence)


def good(sentence: str, item: Json) -> Any:
    return pytest.param(item, id=sentence)


def env(name: str, value: str = "x") -> Json:
    return allocating(env=[{"name": name, "value": value}])


def mount(host_path: str = "/opt/vendor", container_path: str = "/vendor", **more: Any) -> Json:
    return allocating(mounts=[{"hostPath": host_path, "containerPath": container_path} | more])


def health(**members: Any) -> Json:
    return of(health=members)


VIDEO: Json = {"name": "camera", "paths": {"include": ["/dev/video*"]}}
LIGHT: Json = {"name": "light", "usb": {"vendorID": "0403"}}


def rig(*members: Json, **more: Any) -> Json:
    return of(source={"groups": {"members": list(members)} | more})


def quantities(**members: Any) -> Json:
    return config(agent={"resources": members})


BAD_NAMES = [
    bad("a name over 45 characters", config("c" * 46), "metadata.name", "at most 45 characters"),
    bad("a name with a dot", config("cameras.front"), "metadata.name", "must be a DNS label"),
    bad("a resource without domain", of(name="camera"), f"{FIRST}.name", "must be <domain>/<name>"),
    bad("a resource with two slashes", of(name="example.com/a/b"), f"{FIRST}.name", "must be <domain>/<name>"),
    bad("a resource of Kubernetes", of(name="kubernetes.io/camera"), f"{FIRST}.name", "kubernetes.io domain"),
    bad("a resource below Kubernetes", of(name="a.kubernetes.io/camera"), f"{FIRST}.name", "kubernetes.io domain"),
    bad("a resource of a quota", of(name="requests.a.com/camera"), f"{FIRST}.name", "must not start with 'requests.'"),
    bad("a domain with capitals", of(name="Example.com/camera"), f"{FIRST}.name", "lower-case DNS name"),
    bad("a domain over 244 characters", of(name="d" * 245 + "/camera"), f"{FIRST}.name", "at most 244 characters"),
    bad("a resource over 63 characters", of(name="example.com/" + "n" * 64), f"{FIRST}.name", "at most 63 letters"),
    bad("a resource ending in a dash", of(name="example.com/camera-"), f"{FIRST}.name", "letter or digit at both ends"),
    bad("a resource of 2 characters", of(name="a/"), f"{FIRST}.name", "at least 3 chars long"),
    bad("a resource over 308 characters", of(name="d" * 244 + "/" + "n" * 64), f"{FIRST}.name", "than 308"),
    *(
        bad(
            f"{first} and {second}, whose variables are the same",
            config(resources=[resource(first), resource(second)]),
            "spec",
            "resources must differ in what stands behind '/'",
        )
        for first, second in (
            ("a.com/gpu", "b.com/gpu"),
            ("a.com/big-gpu", "a.com/big_gpu"),
            ("a.com/gpu", "a.com/GPU"),
        )
    ),
    bad(
        "two resources with one path in a container",
        config(
            resources=[
                resource(name, allocation={"containerPath": "/dev/camera$(INDEX)"}) for name in ("a.com/x", "a.com/y")
            ]
        ),
        "spec",
        "resources must differ in allocation.containerPath",
    ),
    bad("the same resource twice", config(resources=[resource(), resource()]), "spec.resources[1]", "Duplicate value"),
]

BAD_SOURCES = [
    bad("a source of no kind", of(source={}), f"{FIRST}.source", "exactly one source must be given"),
    bad(
        "a source of two kinds",
        of(source={"paths": {"include": ["/dev/video*"]}, "simulated": {"count": 1}}),
        f"{FIRST}.source",
        "exactly one source must be given: paths, usb, pci, network, fpga, nvidia, groups, custom, simulated",
    ),
    bad("a resource without source", config(resources=[{"name": "a.com/b"}]), f"{FIRST}.source", "Required value"),
    bad("no globs", including(), INCLUDE, "should have at least 1 items"),
    bad("33 globs", including(*(f"/dev/{i}" for i in range(33))), INCLUDE, "must have at most 32 items"),
    bad("a relative path", including("video0"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("a path outside /dev", including("/etc/passwd"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("a path beside /dev", including("/devices/a"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("/dev itself", including("/dev/"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("an empty part", including("/dev//video0"), f"{INCLUDE}[0]", "without empty parts"),
    bad("a control character", including("/dev/video\t0"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("an unprintable space", including("/dev/video\u00a00"), f"{INCLUDE}[0]", "must be an absolute path below /dev"),
    bad("a way out by ..", including("/dev/a", "/dev/../etc/shadow"), f"{INCLUDE}[1]", "must not contain '.' or '..'"),
    bad("a dot as a part", including("/dev/./video0"), f"{INCLUDE}[0]", "must not contain '.' or '..'"),
    bad("a .. at the end", including("/dev/dri/.."), f"{INCLUDE}[0]", "must not contain '.' or '..'"),
    bad("a double star", including("/dev/**/render*"), f"{INCLUDE}[0]", "'**' is not supported: name each level"),
    bad("an unclosed set", including("/dev/video[0-9"), f"{INCLUDE}[0]", "a set of characters is written [abc]"),
    bad("an unopened set", including("/dev/video0-9]"), f"{INCLUDE}[0]", "a set of characters is written [abc]"),
    bad("an empty set", including("/dev/video[]"), f"{INCLUDE}[0]", "a set of characters is written [abc]"),
    bad("a set over two levels", including("/dev/[a/b]"), f"{INCLUDE}[0]", "without '/'"),
    bad("a glob over 256 characters", including("/dev/" + "a" * 252), f"{INCLUDE}[0]", "may not be more than 256"),
    bad(
        "an exclude outside /dev",
        of(source={"paths": {"include": ["/dev/a*"], "exclude": ["a9"]}}),
        f"{FIRST}.source.paths.exclude[0]",
        "must be an absolute path below /dev",
    ),
    bad(
        "33 excludes",
        of(source={"paths": {"include": ["/dev/a*"], "exclude": [f"/dev/a{i}" for i in range(33)]}}),
        f"{FIRST}.source.paths.exclude",
        "must have at most 32 items",
    ),
    bad(
        "an unknown type of paths",
        of(source={"paths": {"include": ["/dev/a*"], "type": "Socket"}}),
        f"{FIRST}.source.paths.type",
        '"Device", "Directory", "File"',
    ),
    bad(
        "an FPGA's mode by another name",
        of(source={"fpga": {"mode": "af"}}),
        f"{FIRST}.source.fpga.mode",
        'supported values: "AcceleratorFunction", "Region", "RegionManagement"',
    ),
    bad(
        "an accelerator function with capitals",
        of(source={"fpga": {"afuIDs": ["D8424DC4A4A3C413F89E433683F9040B"]}}),
        f"{FIRST}.source.fpga.afuIDs[0]",
        "must be 32 hexadecimal digits in lower case",
    ),
    bad(
        "the id of an accelerator that does not answer",
        of(source={"fpga": {"afuIDs": ["f" * 32]}}),
        f"{FIRST}.source.fpga.afuIDs[0]",
        "must not be all zeros or all ones",
    ),
    bad(
        "no interfaces",
        of(source={"fpga": {"mode": "Region", "interfaceIDs": []}}),
        f"{FIRST}.source.fpga.interfaceIDs",
        "should have at least 1 items",
    ),
    bad(
        "the accelerator function of a region",
        of(source={"fpga": {"mode": "Region", "afuIDs": ["d8424dc4a4a3c413f89e433683f9040b"]}}),
        f"{FIRST}.source.fpga",
        "afuIDs and ports belong to mode: AcceleratorFunction",
    ),
    bad(
        "a port without number",
        of(source={"fpga": {"ports": [-1]}}),
        f"{FIRST}.source.fpga.ports[0]",
        "greater than or equal to 0",
    ),
    bad(
        "a negative number of simulated devices",
        of(source={"simulated": {"count": -1}}),
        f"{FIRST}.source.simulated.count",
        "greater than or equal to 0",
    ),
    bad(
        "10001 simulated devices",
        of(source={"simulated": {"count": 10001}}),
        f"{FIRST}.source.simulated.count",
        "less than or equal to 10000",
    ),
    bad(
        "more slots than the kubelet takes",
        of(source={"simulated": {"count": 10000}}, sharing={"replicas": 4}),
        FIRST,
        "source.simulated.count times sharing.replicas must be at most 32768",
    ),
    bad(
        "a USB vendor in upper case",
        of(source={"usb": {"vendorID": "04D8"}}),
        f"{FIRST}.source.usb.vendorID",
        "must be four hexadecimal digits in lower case, such as 0403",
    ),
    bad("a USB source without vendor", of(source={"usb": {}}), f"{FIRST}.source.usb.vendorID", "Required value"),
    bad(
        "a PCI source that selects everything",
        of(source={"pci": {}}),
        f"{FIRST}.source.pci",
        "at least one of vendors, devices, classes, drivers and addresses must be given",
    ),
    bad(
        "a PCI source of empty lists",
        of(source={"pci": {"vendors": []}}),
        f"{FIRST}.source.pci.vendors",
        "should have at least 1 items",
    ),
    bad(
        "a USB source of no subsystems",
        of(source={"usb": {"vendorID": "0403", "subsystems": []}}),
        f"{FIRST}.source.usb.subsystems",
        "should have at least 1 items",
    ),
    bad(
        "a PCI vendor of five digits",
        of(source={"pci": {"vendors": ["0x80861"]}}),
        f"{FIRST}.source.pci.vendors[0]",
        "Too long",
    ),
    bad(
        "a PCI address without its domain",
        of(source={"pci": {"addresses": ["3b:00.0"]}}),
        f"{FIRST}.source.pci.addresses[0]",
        "must be a full PCI address in lower case, such as 0000:3b:00.0",
    ),
    bad(
        "a PCI class of three digits",
        of(source={"pci": {"classes": ["030"]}}),
        f"{FIRST}.source.pci.classes[0]",
        "must be two, four or six hexadecimal digits",
    ),
    bad(
        "a port with a slash in its name",
        of(source={"network": {"pfNames": ["a/b"]}}),
        f"{FIRST}.source.network.pfNames[0]",
        "must be the name of a network device, with numbers of functions or without",
    ),
    bad(
        "functions without a number",
        of(source={"network": {"pfNames": ["eth0", "eth0#"]}}),
        f"{FIRST}.source.network.pfNames[1]",
        "enp2s0f0 or enp2s0f0#0,2-7",
    ),
    bad(
        "a range of functions that ends before it begins",
        of(source={"network": {"pfNames": ["eth0#1,7-2"]}}),
        f"{FIRST}.source.network.pfNames[0]",
        "must not have a range that ends before it begins",
    ),
    bad(
        "functions of an address without its domain",
        of(source={"network": {"rootDevices": ["3b:00.0#1"]}}),
        f"{FIRST}.source.network.rootDevices[0]",
        "must be a full PCI address, with numbers of functions or without",
    ),
    bad(
        "a link type that there is not",
        of(source={"network": {"linkTypes": ["wifi"]}}),
        f"{FIRST}.source.network.linkTypes[0]",
        "must be ether or infiniband",
    ),
    bad(
        "a GPU by half a UUID",
        of(source={"nvidia": {"uuids": ["GPU-1"]}}),
        f"{FIRST}.source.nvidia.uuids[0]",
        "must be a UUID as nvidia-smi -L shows it",
    ),
    bad(
        "MIG instances of no profile",
        of(source={"nvidia": {"mig": {"mode": "Mixed"}}}),
        f"{FIRST}.source.nvidia.mig",
        "profiles must be given with mode: Mixed",
    ),
    bad(
        "profiles without MIG",
        of(source={"nvidia": {"mig": {"profiles": ["1g.5gb"]}}}),
        f"{FIRST}.source.nvidia.mig",
        "must not be with mode: None",
    ),
    bad(
        "a profile of nothing",
        of(source={"nvidia": {"mig": {"mode": "Single", "profiles": ["0g.5gb"]}}}),
        f"{FIRST}.source.nvidia.mig.profiles[0]",
        "must be a MIG profile, such as 1g.10gb",
    ),
    bad(
        "GPUs with more memory than themselves",
        of(source={"nvidia": {"minMemoryMiB": 2, "maxMemoryMiB": 1}}),
        f"{FIRST}.source.nvidia",
        "minMemoryMiB must not exceed maxMemoryMiB",
    ),
    bad(
        "both lists of Xids",
        of(source={"nvidia": {"ignoredXids": [13], "criticalXids": [79]}}),
        f"{FIRST}.source.nvidia",
        "ignoredXids and criticalXids must not both be given",
    ),
    bad(
        "another way to tell of GPUs",
        of(source={"nvidia": {"deviceList": "VolumeMounts"}}),
        f"{FIRST}.source.nvidia.deviceList",
        '"Environment", "CDI", "Both"',
    ),
    bad(
        "a network function by an address without its domain",
        of(source={"network": {"pciAddresses": ["3b:00.0"]}}),
        f"{FIRST}.source.network.pciAddresses[0]",
        "must be a full PCI address in lower case",
    ),
    bad(
        "a driver with a slash",
        of(source={"pci": {"drivers": ["../vfio"]}}),
        f"{FIRST}.source.pci.drivers[0]",
        "must be letters, digits, '_', '.' and '-'",
    ),
    bad(
        "a simulated failure that does not end before the next",
        of(source={"simulated": {"count": 1, "failures": [{"device": 0, "forSeconds": 9, "everySeconds": 9}]}}),
        f"{FIRST}.source.simulated.failures[0]",
        "everySeconds must be longer than forSeconds, or 0",
    ),
    bad(
        "a simulated failure of an unknown kind",
        of(source={"simulated": {"count": 1, "failures": [{"device": 0, "forSeconds": 9, "how": "Loud"}]}}),
        f"{FIRST}.source.simulated.failures[0].how",
        'supported values: "Missing", "Unknown"',
    ),
    bad("simulated, but how many", of(source={"simulated": {}}), f"{FIRST}.source.simulated.count", "Required value"),
    bad(
        "nine simulated NUMA nodes",
        of(source={"simulated": {"count": 1, "numaNodes": 9}}),
        f"{FIRST}.source.simulated.numaNodes",
        "less than or equal to 8",
    ),
]

ALLOCATION = f"{FIRST}.allocation"
PATH = f"{ALLOCATION}.containerPath"
ENV = f"{ALLOCATION}.env[0]"
MOUNT = f"{ALLOCATION}.mounts[0]"
KNOWN = "known are $(DEVICE_ID), $(DEVICE_IDS), $(DEVICE_PATH), $(DEVICE_PATHS), $(INDEX), $(attributes.<name>)"
KNOWN_IN_PATHS = "known are $(DEVICE_ID), $(INDEX), $(attributes.<name>)"

BAD_SHARING = [
    bad("a device shared by nobody", of(sharing={"replicas": 0}), f"{FIRST}.sharing.replicas", "or equal to 1"),
    bad("a device shared by 1001", of(sharing={"replicas": 1001}), f"{FIRST}.sharing.replicas", "or equal to 1000"),
    bad(
        "containers that may have nothing",
        of(sharing={"maxPerContainer": 0}),
        f"{FIRST}.sharing.maxPerContainer",
        "greater than or equal to 1",
    ),
]

BAD_ALLOCATIONS = [
    bad("devices by CDI in an unknown mode", allocating(cdi={"mode": "On"}), f"{ALLOCATION}.cdi.mode", '"Always"'),
    bad("a file mode that is none", allocating(cdi={"fileMode": "rw"}), f"{ALLOCATION}.cdi.fileMode", "octal digits"),
    bad("a file mode with setuid", allocating(cdi={"fileMode": "4755"}), f"{ALLOCATION}.cdi.fileMode", "octal digits"),
    bad("a negative owner", allocating(cdi={"uid": -1}), f"{ALLOCATION}.cdi.uid", "or equal to 0"),
    bad(
        "a path by index with CDI",
        allocating(cdi={}, containerPath="/dev/camera$(INDEX)"),
        ALLOCATION,
        "must not use $(INDEX) with cdi",
    ),
    bad("an unknown policy", allocating(policy="Random"), f"{ALLOCATION}.policy", '"Aligned", "Packed", "Distributed"'),
    bad("mknod", allocating(permissions="rwm"), f"{ALLOCATION}.permissions", "than 2"),
    bad("permissions that are none", allocating(permissions="x"), f"{ALLOCATION}.permissions", '"r", "w", "rw"'),
    bad("a container path outside /dev", allocating(containerPath="/tmp/$(INDEX)"), PATH, "absolute path below /dev"),
    bad("a container path with ..", allocating(containerPath="/dev/../$(INDEX)"), PATH, "must not contain '.' or '..'"),
    bad("one container path for all", allocating(containerPath="/dev/camera"), PATH, "must contain $(INDEX) or"),
    bad(
        "a container path by another variable",
        allocating(containerPath="/dev/$(INDEX)$(DEVICE_PATH)"),
        PATH,
        KNOWN_IN_PATHS,
    ),
    bad(
        "a container path with an unclosed variable",
        allocating(containerPath="/dev/$(INDEX)$(INDEX"),
        PATH,
        KNOWN_IN_PATHS,
    ),
    bad("a container path over 256", allocating(containerPath="/dev/$(INDEX)" + "a" * 244), PATH, "than 256"),
    bad("a variable that starts with a digit", env("1ST"), f"{ENV}.name", "not starting with a digit"),
    bad("a variable with a dash", env("MY-CAMERA"), f"{ENV}.name", "must be letters, digits and '_'"),
    bad("a variable without name", env(""), f"{ENV}.name", "at least 1 chars long"),
    bad("a variable over 128 characters", env("V" * 129), f"{ENV}.name", "may not be more than 128"),
    bad("a preloaded library", env("LD_PRELOAD"), f"{ENV}.name", "must not steer how programs are loaded"),
    bad("another PATH", env("PATH"), f"{ENV}.name", "must not steer how programs are loaded"),
    bad("another ENV", env("BASH_ENV"), f"{ENV}.name", "must not steer how programs are loaded"),
    bad("a value with an unknown variable", env("A", "$(DEVICE)"), f"{ENV}.value", KNOWN),
    bad("a value with an attribute of no name", env("A", "$(attributes.)"), f"{ENV}.value", KNOWN),
    bad("a value with an attribute of a bad name", env("A", "$(attributes.a/b)"), f"{ENV}.value", KNOWN),
    bad("an unknown variable behind a dollar", env("A", "$$(NODE)"), f"{ENV}.value", KNOWN),
    bad("an unknown variable behind a known one", env("A", "$(DEVICE_ID)$(NODE)"), f"{ENV}.value", KNOWN),
    bad("an unclosed variable", env("A", "$(DEVICE_ID"), f"{ENV}.value", "unclosed $("),
    bad("a value over 1024 characters", env("A", "a" * 1025), f"{ENV}.value", "may not be more than 1024"),
    bad("a variable without value", allocating(env=[{"name": "A"}]), f"{ENV}.value", "Required value"),
    bad(
        "the same variable twice",
        allocating(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        f"{ALLOCATION}.env[1]",
        "Duplicate value",
    ),
    bad(
        "17 variables",
        allocating(env=[{"name": f"A{i}", "value": ""} for i in range(17)]),
        f"{ALLOCATION}.env",
        "must have at most 16 items",
    ),
    bad("a mount of /etc", mount("/etc"), f"{MOUNT}.hostPath", "must be in one of /opt, /srv, /usr/share, /usr/local"),
    bad("a mount beside /opt", mount("/optional"), f"{MOUNT}.hostPath", "must be in one of /opt, /srv"),
    bad("a mount of the root", mount("/"), f"{MOUNT}.hostPath", "must be an absolute path without '.', '..' or empty"),
    bad("a mount by ..", mount("/opt/../etc"), f"{MOUNT}.hostPath", "must be an absolute path without '.', '..'"),
    bad("a mount ending in a slash", mount("/opt/"), f"{MOUNT}.hostPath", "or empty parts"),
    bad("a relative mount", mount("opt"), f"{MOUNT}.hostPath", "must be an absolute path"),
    bad("a mount over 256 characters", mount("/opt/" + "a" * 252), f"{MOUNT}.hostPath", "may not be more than 256"),
    bad("a writable mount of /opt", mount("/opt/a", readOnly=False), MOUNT, "only in /srv, /run/deviceplugins.dev"),
    bad("a mount onto /dev", mount(container_path="/dev/a"), f"{MOUNT}.containerPath", "not be in /dev, /proc or /sys"),
    bad("a mount onto /proc", mount(container_path="/proc"), f"{MOUNT}.containerPath", "not be in /dev, /proc or /sys"),
    bad("a mount onto /sys", mount(container_path="/sys/a"), f"{MOUNT}.containerPath", "not be in /dev, /proc or /sys"),
    bad("a mount of all devices", mount("/srv/$(DEVICE_IDS)"), f"{MOUNT}.hostPath", KNOWN_IN_PATHS),
    bad("a mount onto a path", mount("/srv", "/a/$(DEVICE_PATH)"), f"{MOUNT}.containerPath", KNOWN_IN_PATHS),
    bad("mounts of all devices onto one path", mount("/srv/$(DEVICE_ID)", "/a"), MOUNT, "when the mount differs"),
    bad("mounts told apart by an attribute", mount("/srv", "/a/$(attributes.a)"), MOUNT, "when the mount differs"),
    bad("a mount onto the root", mount(container_path="/"), f"{MOUNT}.containerPath", "must be an absolute path"),
    bad("a mount onto ..", mount(container_path="/a/../b"), f"{MOUNT}.containerPath", "must be an absolute path"),
    bad(
        "two mounts onto one path",
        allocating(mounts=[{"hostPath": "/opt", "containerPath": "/a"}, {"hostPath": "/srv", "containerPath": "/a"}]),
        f"{ALLOCATION}.mounts[1]",
        "Duplicate value",
    ),
    bad(
        "17 mounts",
        allocating(mounts=[{"hostPath": "/opt", "containerPath": f"/a{i}"} for i in range(17)]),
        f"{ALLOCATION}.mounts",
        "must have at most 16 items",
    ),
    bad(
        "an annotation with a bad key",
        allocating(annotations={"-lens": "x"}),
        f"{ALLOCATION}.annotations",
        "each key must be a qualified name",
    ),
    bad(
        "an annotation of a domain with an empty label",
        allocating(annotations={"a..b/lens": "x"}),
        f"{ALLOCATION}.annotations",
        "each key must be a qualified name",
    ),
    bad(
        "an annotation of a domain over 253 characters",
        allocating(annotations={"d" * 254 + "/a": "x"}),
        f"{ALLOCATION}.annotations",
        "each key must be a qualified name",
    ),
    *(
        bad(
            f"an annotation {key}",
            allocating(annotations={key: "x"}),
            f"{ALLOCATION}.annotations",
            "keys of Kubernetes and of container runtimes are refused",
        )
        for key in (
            "kubernetes.io/a",
            "cdi.k8s.io/a",
            "io.kubernetes.cri-o.userns-mode",
            "containerd.io/a",
            "io.containerd.a",
            "org.crio.io/a",
            "run.oci.keep_original_groups",
            "io.katacontainers.config.a",
        )
    ),
    bad(
        "an annotation over 1024 characters",
        allocating(annotations={"lens": "a" * 1025}),
        f"{ALLOCATION}.annotations.lens",
        "may not be more than 1024",
    ),
    bad(
        "an annotation with an unknown variable",
        allocating(annotations={"lens": "$(LENS)"}),
        f"{ALLOCATION}.annotations[lens]",
        KNOWN,
    ),
    bad(
        "17 annotations",
        allocating(annotations={f"a{i}": "" for i in range(17)}),
        f"{ALLOCATION}.annotations",
        "must have at most 16 items",
    ),
]

HEALTH = f"{FIRST}.health"
PROBE = f"{HEALTH}.probes[0]"


def probing(**members: Any) -> Json:
    return health(probes=[{key: value for key, value in members.items() if value is not None}])


def attribute(**members: Any) -> Json:
    return probing(**({"type": "SysfsAttribute", "path": "device/health", "equals": ["ok"]} | members))


def matching(pattern: str) -> Json:
    return attribute(equals=None, matches=pattern)


def heartbeat(**members: Any) -> Json:
    return probing(**({"type": "HeartbeatFile", "name": "cameras/$(DEVICE_ID)", "maxAgeSeconds": 30} | members))


def cordoned(*cordons: Json) -> Json:
    return config(cordonedDevices=list(cordons))


CORDON: Json = {"node": "worker-1", "resource": "example.com/camera", "device": "video3", "reason": "lens broken"}
CORDONS = "spec.cordonedDevices"

BAD_CORDONS = [
    bad("a cordon twice", cordoned(CORDON, CORDON), f"{CORDONS}[1]", "Duplicate value"),
    bad("a cordon without reason", cordoned(CORDON | {"reason": ""}), f"{CORDONS}[0].reason", "at least 1 chars"),
    bad(
        "a cordon of another resource", cordoned(CORDON | {"resource": "a.b/c"}), "spec", "must name resources of this"
    ),
    bad("a cordon of no node", cordoned(CORDON | {"node": "A b"}), f"{CORDONS}[0].node", "must be the name of a node"),
    bad("a cordon of no device", cordoned(CORDON | {"device": "a/b"}), f"{CORDONS}[0].device", "must be a device's ID"),
    bad(
        "129 cordons",
        cordoned(*(CORDON | {"device": f"d{number}"} for number in range(129))),
        CORDONS,
        "must have at most 128 items",
    ),
]

BAD_HEALTH = [
    bad("an unknown probe", health(probes=[{"type": "Ping"}]), f"{HEALTH}.probes[0].type", '"Exists"'),
    bad("no probes", health(probes=[]), f"{HEALTH}.probes", "should have at least 1 items"),
    bad("9 probes", health(probes=[{"type": "Exists"}] * 9), f"{HEALTH}.probes", "must have at most 8 items"),
    bad("an attribute without path", attribute(path=None), PROBE, "path must be given"),
    bad("an attribute that climbs out", attribute(path="../power"), f"{PROBE}.path", "must not contain '.' or '..'"),
    bad("an attribute of the kernel", attribute(path="/sys/kernel/a"), f"{PROBE}.path", "must be relative to"),
    bad("an attribute of no name", attribute(path="a//b"), f"{PROBE}.path", "without empty parts"),
    bad("an attribute compared with nothing", attribute(equals=None), PROBE, "exactly one comparison"),
    bad("an attribute compared in two ways", attribute(min=1), PROBE, "exactly one comparison"),
    bad("a range that is none", attribute(equals=None, min=2, max=1), PROBE, "min must not exceed max"),
    bad("a pattern with a group", matching("(a+)+"), f"{PROBE}.matches", "no groups"),
    bad("a pattern of many repetitions", matching("a*b*c*d*"), f"{PROBE}.matches", "at most 3 of"),
    bad("a pattern that is none", matching("[z-a]"), f"{PROBE}.matches", "must be a regular expression"),
    bad("a heartbeat without age", heartbeat(maxAgeSeconds=None), PROBE, "must be given with type: HeartbeatFile"),
    bad("a heartbeat elsewhere", heartbeat(name="../a"), f"{PROBE}.name", "must be relative to /run/deviceplugins.dev"),
    bad("an absolute heartbeat", heartbeat(name="/a"), f"{PROBE}.name", "must be relative to /run/deviceplugins.dev"),
    bad("a heartbeat of anything", heartbeat(name="$(NODE)"), f"{PROBE}.name", "only use the variable $(DEVICE_ID)"),
    bad("a link with a path", health(probes=[{"type": "Link", "path": "a"}]), PROBE, "belong to type: SysfsAttribute"),
    bad("a link with a name", health(probes=[{"type": "Link", "name": "a"}]), PROBE, "belong to type: HeartbeatFile"),
    bad("a period of 0", health(periodSeconds=0), f"{HEALTH}.periodSeconds", "greater than or equal to 1"),
    bad("a period over an hour", health(periodSeconds=3601), f"{HEALTH}.periodSeconds", "less than or equal to 3600"),
    bad("half a second", health(periodSeconds=0.5), f"{HEALTH}.periodSeconds", "must be of type integer"),
    bad("no failures", health(failureThreshold=0), f"{HEALTH}.failureThreshold", "greater than or equal to 1"),
    bad("101 failures", health(failureThreshold=101), f"{HEALTH}.failureThreshold", "less than or equal to 100"),
    bad("no successes", health(successThreshold=0), f"{HEALTH}.successThreshold", "greater than or equal to 1"),
    bad("101 successes", health(successThreshold=101), f"{HEALTH}.successThreshold", "less than or equal to 100"),
]

EXPRESSION = f"{AFFINITY}[0].matchExpressions"
FIELDS = f"{AFFINITY}[0].matchFields"


def expression(**members: Any) -> Json:
    return selecting(matchExpressions=[{"key": "cameras"} | members])


def field(**members: Any) -> Json:
    return selecting(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["worker-1"]} | members])


def tolerating(**members: Any) -> Json:
    return config(tolerations=[members])


BAD_PLACEMENT = [
    bad("a label with a bad key", config(nodeSelector={"a b": "c"}), "spec.nodeSelector", "must be a label name"),
    bad("a label with a bad value", config(nodeSelector={"a": "b c"}), "spec.nodeSelector", "must be a label value"),
    bad("a label over 63 characters", config(nodeSelector={"a": "v" * 64}), "spec.nodeSelector.a", "more than 63"),
    bad("17 labels", config(nodeSelector={f"a{i}": "" for i in range(17)}), "spec.nodeSelector", "at most 16 items"),
    bad("an operator that is none", expression(operator="Has"), f"{EXPRESSION}[0].operator", '"In", "NotIn", "Exists"'),
    bad("In without values", expression(operator="In"), f"{EXPRESSION}[0]", "values must be given"),
    bad("Exists with values", expression(operator="Exists", values=["a"]), f"{EXPRESSION}[0]", "must be left out"),
    bad("Gt with a word", expression(operator="Gt", values=["a"]), f"{EXPRESSION}[0]", "values must be one integer"),
    bad("Lt with two values", expression(operator="Lt", values=["1", "2"]), f"{EXPRESSION}[0]", "must be one integer"),
    bad("a bad label in affinity", expression(key="a b", operator="Exists"), f"{EXPRESSION}[0].key", "a label name"),
    bad("an unknown field", field(key="spec.x"), FIELDS, "only the field metadata.name can be compared"),
    bad("a field by Exists", field(operator="Exists", values=[]), FIELDS, "by operator: In or NotIn with one value"),
    bad("a field with two values", field(values=["a", "b"]), FIELDS, "by operator: In or NotIn with one value"),
    bad(
        "affinity without terms",
        config(
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
        ),
        AFFINITY,
        "should have at least 1 items",
    ),
    bad("an empty toleration", tolerating(), "spec.tolerations[0]", "key may be empty only with operator: Exists"),
    bad("a bad taint", tolerating(key="a b"), "spec.tolerations[0]", "key must be the name of a taint"),
    bad(
        "Exists with a value",
        tolerating(key="a", operator="Exists", value="b"),
        "spec.tolerations[0]",
        "value must be left out with operator: Exists",
    ),
    bad("a bad taint value", tolerating(key="a", value="b c"), "spec.tolerations[0]", "value must be at most 63"),
    bad("a toleration by In", tolerating(key="a", operator="In"), "spec.tolerations[0].operator", '"Exists", "Equal"'),
    bad("an unknown effect", tolerating(key="a", effect="Never"), "spec.tolerations[0].effect", '"NoSchedule"'),
    bad(
        "seconds without NoExecute",
        tolerating(key="a", effect="NoSchedule", tolerationSeconds=5),
        "spec.tolerations[0]",
        "tolerationSeconds may be given only with effect: NoExecute",
    ),
    bad(
        "seconds below 0",
        tolerating(key="a", effect="NoExecute", tolerationSeconds=-1),
        "spec.tolerations[0].tolerationSeconds",
        "greater than or equal to 0",
    ),
    bad("33 tolerations", config(tolerations=[{"key": "a"}] * 33), "spec.tolerations", "at most 32 items"),
]

BAD_SPECS = [
    bad("no spec", {"apiVersion": API_VERSION, "kind": CONFIG, "metadata": {"name": "a"}}, "spec", "Required value"),
    bad("no resources", config(resources=[]), "spec.resources", "should have at least 1 items"),
    bad(
        "17 resources",
        config(resources=[resource(f"example.com/a{i}") for i in range(17)]),
        "spec.resources",
        "must have at most 16 items",
    ),
    bad(
        "an unknown log level", config(agent={"logLevel": "loud"}), "spec.agent.logLevel", '"debug", "info", "warning"'
    ),
    *(
        bad(
            f"{most!r} nodes at a time",
            config(rollout={"maxUnavailable": most}),
            "spec.rollout.maxUnavailable",
            "must be a number of nodes of at least 1, or a percentage from 1% to 100%",
        )
        for most in (0, -1, "0%", "101%", "5", "%")
    ),
    bad("another mode", config(mode="Try"), "spec.mode", '"Serve", "Preview"'),
    bad(
        "another answer to a regression",
        config(rollout={"onRegression": "Rollback"}),
        "spec.rollout.onRegression",
        '"Pause", "Continue"',
    ),
    bad(
        "a priority class with capitals",
        config(agent={"priorityClassName": "High"}),
        "spec.agent.priorityClassName",
        "must be the name of a PriorityClass",
    ),
    bad(
        "a runtime class with capitals",
        config(agent={"runtimeClassName": "NVIDIA"}),
        "spec.agent.runtimeClassName",
        "must be the name of a RuntimeClass",
    ),
    bad(
        "no priority class", config(agent={"priorityClassName": ""}), "spec.agent.priorityClassName", "at least 1 chars"
    ),
    bad(
        "memory in words",
        quantities(limits={"memory": "much"}),
        "spec.agent.resources.limits.memory",
        "must be a quantity of at least 0, such as 50m or 64Mi",
    ),
    bad(
        "less CPU than none",
        quantities(requests={"cpu": -1}),
        "spec.agent.resources.requests.cpu",
        "must be a quantity of at least 0",
    ),
    bad(
        "more CPU reserved than allowed",
        quantities(requests={"cpu": "2"}, limits={"cpu": "1500m"}),
        "spec.agent.resources",
        "requests.cpu (defaults count) must not exceed limits.cpu",
    ),
    bad(
        "less memory allowed than is reserved by default",
        quantities(limits={"memory": "32Mi"}),
        "spec.agent.resources",
        "requests.memory (defaults count) must not exceed limits.memory",
    ),
]

BAD_NODE_OBJECTS = [
    bad(
        "a node object named otherwise", node_object("a.worker-1"), "metadata.name", "<spec.configName>.<spec.nodeName>"
    ),
    bad(
        "a node object with a bad resource", node_object(resources=[resource("a")]), f"{FIRST}.name", "at least 3 chars"
    ),
    bad(
        "a node object with a resource of Kubernetes",
        node_object(resources=[resource("kubernetes.io/a")]),
        f"{FIRST}.name",
        "kubernetes.io domain",
    ),
    bad("a node object without resources", node_object(resources=[]), "spec.resources", "should have at least 1 items"),
    *(
        bad(f"a node object without {name}", node_object(without=name), f"spec.{name}", "Required value")
        for name in ("configName", "configUID", "nodeName", "nodeUID", "revision", "resources")
    ),
    *(
        bad(f"a node object with an empty {name}", node_object(**{name: ""}), f"spec.{name}", "at least 1 chars long")
        for name in ("configName", "configUID", "nodeName", "nodeUID", "revision")
    ),
]


MEMBERS = f"{FIRST}.source.groups.members"

BAD_GROUPS = [
    bad("a group of one", rig(VIDEO), MEMBERS, "should have at least 2 items"),
    bad("a group of nine", rig(*(VIDEO | {"name": f"a{i}"} for i in range(9))), MEMBERS, "must have at most 8 items"),
    bad("two members of one name", rig(VIDEO, VIDEO), f"{MEMBERS}[1]", "Duplicate value"),
    bad("a member with capitals", rig(VIDEO, LIGHT | {"name": "Li"}), f"{MEMBERS}[1].name", "must be lower-case"),
    bad("a member with a long name", rig(VIDEO, LIGHT | {"name": "l" * 17}), f"{MEMBERS}[1].name", "more than 16"),
    bad(
        "a member of no kind",
        rig(VIDEO, {"name": "light"}),
        f"{MEMBERS}[1]",
        "exactly one source must be given: paths, usb or pci",
    ),
    bad("a member of two kinds", rig(VIDEO, VIDEO | LIGHT), f"{MEMBERS}[1]", "exactly one source must be given: paths"),
    bad(
        "a group of which nothing has to be there",
        rig(VIDEO | {"optional": True}, LIGHT | {"optional": True}),
        MEMBERS,
        "at least one member must not be optional",
    ),
    bad(
        "a member outside /dev",
        rig(VIDEO, {"name": "a", "paths": {"include": ["/etc/a"]}}),
        f"{MEMBERS}[1].paths.include[0]",
        "must be an absolute path below /dev",
    ),
    bad(
        "a member that is a plain file",
        rig(VIDEO, {"name": "a", "paths": {"include": ["/dev/a"], "type": "File"}}),
        f"{MEMBERS}[1]",
        "a plain file cannot be a member",
    ),
    bad(
        "a package with capitals",
        of(source={"custom": {"name": "Scales"}}),
        f"{FIRST}.source.custom.name",
        "must be lower-case letters, digits and '-'",
    ),
    bad(
        "a parameter with a space",
        of(source={"custom": {"name": "scales", "parameters": {"a b": ""}}}),
        f"{FIRST}.source.custom.parameters",
        "each name must be at most 63 letters, digits",
    ),
    bad(
        "17 parameters",
        of(source={"custom": {"name": "scales", "parameters": {f"a{i}": "" for i in range(17)}}}),
        f"{FIRST}.source.custom.parameters",
        "must have at most 16 items",
    ),
    bad("groups by luck", rig(VIDEO, LIGHT, pairBy="Luck"), f"{FIRST}.source.groups.pairBy", '"Single", "Number"'),
]

BAD = [
    *BAD_NAMES,
    *BAD_SOURCES,
    *BAD_GROUPS,
    *BAD_SHARING,
    *BAD_ALLOCATIONS,
    *BAD_HEALTH,
    *BAD_CORDONS,
    *BAD_PLACEMENT,
    *BAD_SPECS,
    *BAD_NODE_OBJECTS,
]


def messages(schema: Any) -> Iterator[str]:
    """Of every CEL rule below."""
    for value in schema if isinstance(schema, list) else schema.values():
        if isinstance(value, list | dict):
            yield from messages(value)
    if isinstance(schema, dict) and isinstance(schema.get("x-kubernetes-validations"), list):
        yield from (rule["message"] for rule in schema["x-kubernetes-validations"])


RULES = sorted({message for made in (crd.config_definition(), crd.node_definition()) for message in messages(made)})


@pytest.mark.parametrize("message", [message for message in RULES if "immutable" not in message])
def test_an_object_below_breaks_the_rule(message: str) -> None:
    assert [case.id for case in BAD if case.values[2] in message]


@pytest.mark.parametrize(("item", "field", "allowed"), BAD)
def test_refused_is(api: Client, item: Json, field: str, allowed: str) -> None:
    with pytest.raises(ApiError) as refusal:
        api.create(item, dry_run=True)
    assert refusal.value.status == 422
    about_field = [
        cause["message"]
        # Rules over the whole object have no field in the server's words: ours name it.
        for cause in refusal.value.causes
        if cause["field"] == field or (cause["field"] == "<nil>" and field in cause["message"])
    ]
    assert any(allowed in message for message in about_field), refusal.value.message
    assert field in refusal.value.message


GOOD_OBJECTS = [
    good("a config with what must be there", config()),
    good("a name of 45 characters", config("c" * 45)),
    good("a name of one character", config("c")),
    good("a resource name as long as may be", of(name="d" * 244 + "/" + "n" * 63)),
    good("a resource of k8s.io", of(name="k8s.io/camera")),
    good("a resource with capitals and dots", of(name="example.com/Camera_v1.5-hd")),
    good("two resources", config(resources=[resource(), resource("example.com/microphone")])),
    good("all GPUs", of(source={"nvidia": {}})),
    good(
        "every selector of GPUs",
        of(
            source={
                "nvidia": {
                    "models": ["NVIDIA A100*"],
                    "uuids": [
                        "GPU-00000000-0000-4000-8000-000000000000",
                        "MIG-00000000-0000-4000-8000-000000000000",
                        "MIG-GPU-00000000-0000-4000-8000-000000000000/7/0",
                    ],
                    "pciAddresses": ["0000:07:00.0"],
                    "minMemoryMiB": 40960,
                    "maxMemoryMiB": 40960,
                    "mig": {"mode": "Mixed", "profiles": ["1g.5gb", "1g.5gb+me", "1c.3g.20gb"]},
                    "deviceList": "Both",
                    "deviceNodes": True,
                    "ignoredXids": [],
                }
            }
        ),
    ),
    good("MIG of one kind", of(source={"nvidia": {"mig": {"mode": "Single"}}})),
    good("some Xids alone", of(source={"nvidia": {"criticalXids": [79]}})),
    good("a runtime class", config(agent={"runtimeClassName": "nvidia"})),
    good("all network functions", of(source={"network": {}})),
    good(
        "every selector of network functions",
        of(
            source={
                "network": {
                    "vendors": ["8086", "0x15b3"],
                    "devices": ["1889"],
                    "drivers": ["iavf", "vfio-pci"],
                    "pciAddresses": ["0000:3b:02.1"],
                    "pfNames": ["enp2s0f0#0,2-7", "ens1f0np0"],
                    "rootDevices": ["0000:86:00.0#0-3", "0000:86:00.1"],
                    "linkTypes": ["ether", "infiniband"],
                    "isRdma": True,
                    "needVhostNet": True,
                    "excludeTopology": True,
                    "ignoreLink": True,
                }
            }
        ),
    ),
    good("all ports of FPGAs", of(source={"fpga": {}})),
    good(
        "every selector of FPGA ports",
        of(
            source={
                "fpga": {
                    "mode": "AcceleratorFunction",
                    "afuIDs": ["d8424dc4a4a3c413f89e433683f9040b", "f7df405c-bd7a-cf72-22f1-44b0b93acd18"],
                    "interfaceIDs": ["69528db6eb31577a8c3668f9faa081f6"],
                    "ports": [0, 63],
                }
            }
        ),
    ),
    good(
        "regions of FPGAs",
        of(source={"fpga": {"mode": "RegionManagement", "interfaceIDs": ["69528db6eb31577a8c3668f9faa081f6"]}}),
    ),
    good("every wildcard", including("/dev/video?", "/dev/snd/pcm*", "/dev/tty[A-Z][!0]", "/dev/bus/usb/001/*")),
    good("a name with dots and a space", including("/dev/.hidden", "/dev/a..b", "/dev/a b")),
    good("everything in /dev", including("/dev/*")),
    good(
        "two resources with paths of their own in a container",
        config(
            resources=[
                resource(f"a.com/{name}", allocation={"containerPath": f"/dev/{name}$(INDEX)"}) for name in ("x", "y")
            ]
            + [resource("a.com/z")]
        ),
    ),
    good("directories", of(source={"paths": {"include": ["/dev/dvb/adapter*"], "type": "Directory"}})),
    good("plain files", of(source={"paths": {"include": ["/dev/keys/*"], "type": "File"}})),
    good("plain files to write to", allocating(writableFiles=True)),
    good("excludes", of(source={"paths": {"include": ["/dev/a*"], "exclude": ["/dev/a9", "/dev/mem"]}})),
    good(
        "a package of somebody's", of(source={"custom": {"name": "my-scales", "parameters": {"min.Grams_1-a": "5 kg"}}})
    ),
    good(
        "groups of every kind of member",
        rig(VIDEO, LIGHT | {"optional": True}, {"name": "card0", "pci": {"vendors": ["1234"]}}, pairBy="Number"),
    ),
    good("simulated devices", of(source={"simulated": {"count": 10000, "numaNodes": 8}})),
    good("no simulated devices", of(source={"simulated": {"count": 0}})),
    good("shared devices", of(sharing={"replicas": 1000, "maxPerContainer": 2})),
    *(good(policy, allocating(policy=policy)) for policy in ("Aligned", "Packed", "Distributed")),
    good("read only", allocating(permissions="r")),
    good("write only", allocating(permissions="w")),
    good("a container path by index", allocating(containerPath="/dev/camera$(INDEX)")),
    good("a container path by ID", allocating(containerPath="/dev/by-id/$(DEVICE_ID)")),
    good("every variable", env("A", "$(DEVICE_ID),$(DEVICE_IDS),$(DEVICE_PATH),$(DEVICE_PATHS),$(INDEX)")),
    good("an attribute", env("A", "$(attributes.serial)")),
    good("a container path by an attribute", allocating(containerPath="/dev/$(attributes.port)/$(INDEX)")),
    good("a mount for each device", mount("/srv/$(attributes.serial)", "/calibration/$(DEVICE_ID)")),
    good("devices by CDI", allocating(cdi={}, containerPath="/dev/camera-$(DEVICE_ID)")),
    good("devices by CDI with an owner", allocating(cdi={"mode": "Always", "uid": 0, "gid": 44, "fileMode": "0660"})),
    good("no CDI and a path by index", allocating(cdi={"mode": "Never"}, containerPath="/dev/camera$(INDEX)")),
    good("a look before each start", allocating(preStart={"verifyHealthy": True})),
    good("dollars that are no variables", env("A", "$HOME costs 5$, $$ or $$$(DEVICE_ID)$")),
    good("a value of several lines", env("A", "1\n2 $(DEVICE_ID)\n")),
    good("an empty value", env("_", "")),
    good("a mount", mount()),
    good("a whole allowlisted directory", mount("/usr/share")),
    good("a mount of the firmware", mount("/usr/lib/firmware", "/lib/firmware")),
    good("a writable mount", mount("/srv/data", readOnly=False)),
    good("a writable mount of our sockets", mount("/run/deviceplugins.dev/sockets", readOnly=False)),
    good("annotations", allocating(annotations={"lens": "", "example.com/lens": "wide $(DEVICE_ID)"})),
    good("slow health", health(periodSeconds=3600, failureThreshold=100, successThreshold=100)),
    good("quick health", health(periodSeconds=1, failureThreshold=1, successThreshold=1)),
    good("labels of nodes", config(nodeSelector={"cameras": "true", "example.com/rack": "", "a": "B_1.c"})),
    good("affinity by label", expression(operator="In", values=["a", "b"])),
    good("affinity by a number", expression(operator="Gt", values=["-5"])),
    good("affinity by presence", expression(operator="DoesNotExist")),
    good("affinity by name", field()),
    good("a toleration of all", tolerating(operator="Exists")),
    good("a toleration of one taint", tolerating(key="example.com/a", value="b", effect="NoSchedule")),
    good("a toleration for a while", tolerating(key="a", effect="NoExecute", tolerationSeconds=30)),
    good("quantities in every way", quantities(requests={"cpu": 1, "memory": "1e6"}, limits={"cpu": "1000m"})),
    good("as much reserved as allowed", quantities(requests={"memory": "1Gi"}, limits={"memory": 1073741824})),
    good("no limits", quantities(limits={})),
    good("a preview", config(mode="Preview")),
    good("so many nodes at a time", config(rollout={"maxUnavailable": 5, "paused": True})),
    good("a share of the nodes at a time", config(rollout={"maxUnavailable": "100%", "onRegression": "Continue"})),
    good("another priority class", config(agent={"priorityClassName": "devices.high"})),
    good("a probe of an attribute", attribute()),
    good(
        "a probe of an attribute anywhere", attribute(path="/sys/class/net/eth0/speed", equals=None, min=-1, max=1000)
    ),
    good("a probe with a pattern", matching(r"[a-z_]+ \d*\.5|ok?")),
    good("a heartbeat of each device", heartbeat()),
    good("two probes of one type", health(probes=[{"type": "Link"}, {"type": "Link"}])),
    good("a cordoned device", cordoned(CORDON)),
    good(
        "a cordoned device in a node object",
        node_object(cordonedDevices=[{key: CORDON[key] for key in ("resource", "device", "reason")}]),
    ),
    good("a node object", node_object()),
    good("a node object of a node with dots", node_object("cameras.a.b", nodeName="a.b")),
    good(
        "a node object whose name had to be cut",
        node_object(node_device_plugin_name("cameras", "n" * 253), nodeName="n" * 253),
    ),
]


@pytest.mark.parametrize("item", GOOD_OBJECTS)
def test_accepted_and_kept_as_sent_is(api: Client, item: Json) -> None:
    created = api.create(item, dry_run=True)
    assert lost(item["spec"], created["spec"], "spec") == []


def lost(sent: Any, kept: Any, path: str) -> list[str]:
    """Paths of what was sent and is not there."""
    if isinstance(sent, dict):
        return [item for key in sent for item in lost(sent[key], kept.get(key), f"{path}.{key}")]
    if isinstance(sent, list):
        if len(kept or ()) != len(sent):
            return [path]
        return [item for i, (one, other) in enumerate(zip(sent, kept, strict=True)) for item in lost(one, other, path)]
    return [] if sent == kept else [path]


DEFAULT_RESOURCE: Json = {
    "source": {"paths": {"include": ["/dev/video*"], "type": "Device"}},
    "sharing": {"replicas": 1},
    "allocation": {"permissions": "rw", "policy": "Aligned", "writableFiles": False},
    "health": {"probes": [{"type": "Exists"}], "periodSeconds": 10, "failureThreshold": 3, "successThreshold": 2},
}
DEFAULT_ROLLOUT: Json = {"maxUnavailable": "10%", "paused": False, "onRegression": "Pause"}
DEFAULT_AGENT: Json = {
    "logLevel": "info",
    "priorityClassName": "system-node-critical",
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
}


def test_a_config_comes_back_with_the_documented_defaults_and_no_others(api: Client) -> None:
    created = api.create(config(), dry_run=True)
    assert created["spec"] == {
        "mode": "Serve",
        "resources": [resource() | DEFAULT_RESOURCE],
        "rollout": DEFAULT_ROLLOUT,
        "agent": DEFAULT_AGENT,
    }
    assert "status" not in created


def test_a_node_object_comes_back_with_the_same_defaults_for_its_resources(api: Client) -> None:
    created = api.create(node_object(), dry_run=True)
    assert created["spec"]["resources"] == [resource() | DEFAULT_RESOURCE]
    assert "status" not in created


@pytest.mark.parametrize(
    ("item", "path", "expected"),
    [
        pytest.param(
            of(source={"simulated": {"count": 1}}),
            ("resources", 0, "source"),
            {"simulated": {"count": 1, "numaNodes": 0}},
            id="simulated devices have no topology",
        ),
        pytest.param(
            mount(),
            ("resources", 0, "allocation", "mounts", 0, "readOnly"),
            True,
            id="a mount is read only",
        ),
        pytest.param(
            health(periodSeconds=5),
            ("resources", 0, "health"),
            DEFAULT_RESOURCE["health"] | {"periodSeconds": 5},
            id="health keeps the defaults of what is not given",
        ),
        pytest.param(
            tolerating(key="a"),
            ("tolerations", 0),
            {"key": "a", "operator": "Equal"},
            id="a toleration compares by Equal",
        ),
        pytest.param(
            config(agent={"logLevel": "debug"}),
            ("agent",),
            DEFAULT_AGENT | {"logLevel": "debug"},
            id="the agent keeps the defaults of what is not given",
        ),
        pytest.param(
            quantities(requests={"cpu": "10m"}),
            ("agent", "resources"),
            {"requests": {"cpu": "10m"}, "limits": {"memory": "128Mi"}},
            id="requests replace the default requests as a whole",
        ),
    ],
)
def test_by_default(api: Client, item: Json, path: tuple[str | int, ...], expected: Any) -> None:
    found: Any = api.create(item, dry_run=True)["spec"]
    for step in path:
        found = found[step]
    assert found == expected


TYPO = of(source={"paths": {"include": ["/dev/video*"], "exlude": ["/dev/video9"]}})


def test_a_misspelt_field_is_refused_by_name_as_kubectl_asks_for(api: Client) -> None:
    with pytest.raises(ApiError, match=r'unknown field "spec\.resources\[0\]\.source\.paths\.exlude"') as refusal:
        api.create(TYPO, dry_run=True)
    assert refusal.value.status == 400


def test_a_misspelt_field_is_dropped_when_the_client_does_not_ask_for_checks(api: Client) -> None:
    created = api.create(TYPO, dry_run=True, field_validation="Ignore")
    assert created["spec"]["resources"][0]["source"] == DEFAULT_RESOURCE["source"]


def test_a_status_sent_with_a_new_object_is_dropped(api: Client) -> None:
    assert "status" not in api.create(config() | {"status": {"observedGeneration": 1}}, dry_run=True)


def test_a_group_in_a_group_is_refused(api: Client) -> None:
    with pytest.raises(ApiError, match=r'unknown field "spec\.resources\[0\]\.source\.groups\.members\[1\]\.groups"'):
        api.create(rig(VIDEO, {"name": "rig", "groups": {"members": [VIDEO, LIGHT]}}), dry_run=True)


def test_the_largest_legal_config_is_accepted(api: Client) -> None:
    item = largest_config()
    created = api.create(item, dry_run=True)
    assert lost(item["spec"], created["spec"], "spec") == []


def test_the_largest_legal_config_fits_a_node_object_too(api: Client) -> None:
    api.create(node_object(resources=largest_config()["spec"]["resources"]), dry_run=True)


def test_each_fault_is_told_at_once(api: Client) -> None:
    faulty = config("cameras.front", resources=[resource("camera"), resource("example.com/a", source={})])
    with pytest.raises(ApiError) as refusal:
        api.create(faulty, dry_run=True)
    for field in ("metadata.name", "spec.resources[0].name", "spec.resources[1].source"):
        assert field in refusal.value.message


@pytest.fixture
def kept_node_object(api: Client) -> Iterator[Json]:
    yield api.create(node_object("immutable.worker-1", configName="immutable"))
    api.delete(API_VERSION, NODE, "immutable.worker-1", missing_ok=True)


@pytest.mark.parametrize("name", ["configName", "configUID", "nodeName", "nodeUID"])
def test_of_a_node_object_stays_for_ever(api: Client, kept_node_object: Json, name: str) -> None:
    with pytest.raises(ApiError) as refusal:
        api.patch(API_VERSION, NODE, kept_node_object["metadata"]["name"], {"spec": {name: "other"}})
    assert [cause["message"] for cause in refusal.value.causes if f"{name} is immutable" in cause["message"]]


def test_revision_and_resources_of_a_node_object_may_change(api: Client, kept_node_object: Json) -> None:
    change = {"spec": {"revision": "r2", "resources": [resource("example.com/other")]}}
    changed = api.patch(API_VERSION, NODE, kept_node_object["metadata"]["name"], change)
    assert (changed["spec"]["revision"], len(changed["spec"]["resources"])) == ("r2", 1)
    assert changed["metadata"]["generation"] == 2


def test_node_objects_are_found_by_node_and_by_config(api: Client, kept_node_object: Json) -> None:
    name = kept_node_object["metadata"]["name"]
    for selector in ("spec.nodeName=worker-1", "spec.configName=immutable"):
        found = [item["metadata"]["name"] for item in api.list(API_VERSION, NODE, fieldSelector=selector)]
        assert name in found
    assert name not in [
        item["metadata"]["name"] for item in api.list(API_VERSION, NODE, fieldSelector="spec.nodeName=worker-2")
    ]


def refused(api: Client, item: Json) -> bool:
    try:
        api.create(item, dry_run=True)
    except ApiError as error:
        assert error.status == 422, error
        return True
    return False


_labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
_ends = st.sampled_from(["a", "b-c", "A", "_", "-", ".", "", "0", "ä", " ", "\n", "n" * 62, "n" * 63, "n" * 64, "a/b"])
_bad_domains = ["", "requests.a", "A.b", "a..b", "a.", "-a", "a_b", "ä.com", "d" * 245]
_theirs = ["kubernetes.io", "a.kubernetes.io", "xkubernetes.io"]
_odd_domains = ["requests", "k8s.io", "kubernetes.io.example.com", "d" * 243, "d" * 244]
_starts = st.sampled_from(_bad_domains + _theirs + _odd_domains)
_names = st.one_of(
    st.builds("{}/{}".format, st.one_of(_labels, _starts), st.one_of(_labels, _ends)),
    st.builds("{}.{}/{}{}".format, _labels, _starts, _labels, _ends),
    st.text(alphabet="aA0-_./ \n", min_size=1, max_size=12),
)


def test_the_api_server_and_the_agent_agree_on_resource_names(api: Client) -> None:
    outcomes = {True: 0, False: 0}

    @settings(max_examples=150, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(_names)
    def agree(name: str) -> None:
        theirs = refused(api, of(name=name))
        assert theirs == (resource_name_error(name) is not None), name
        outcomes[theirs] += 1

    agree()
    assert min(outcomes.values()) > 20, "the names tried are too much alike"


@pytest.mark.parametrize("read_only", [True, False], ids=["read only", "writable"])
@pytest.mark.parametrize(
    "path",
    [
        *("/opt", "/opt/", "/opt/a", "/opt//a", "/opt/.", "/opt/..", "/opt/.a", "/opt/a b", "/opt/a\n", "/opt/ä"),
        *("/opt/\u00a0", "/opt/\u200b", "/opt/\u2028", "/optional", "opt", "", "/", "/srv", "/srv/a/b", "/etc", "/usr"),
        *("/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local/etc", "/run/deviceplugins.dev/a", "/run/a", "/dev/a"),
    ],
    ids=repr,
)
def test_the_api_server_and_the_agent_agree_on_mounts(api: Client, path: str, read_only: bool) -> None:
    theirs = refused(api, mount(path, readOnly=read_only))
    assert theirs == (mount_error(path, read_only=read_only) is not None)
