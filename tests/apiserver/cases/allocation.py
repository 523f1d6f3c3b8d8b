"""Sharing, and what a container gets with a device."""

from typing import Any

from apiserver.cases.parts import FIRST, bad, good
from apiserver.objects import Json, allocating, config, of, resource

ALLOCATION = f"{FIRST}.allocation"

PATH = f"{ALLOCATION}.containerPath"

ENV = f"{ALLOCATION}.env[0]"

MOUNT = f"{ALLOCATION}.mounts[0]"

KNOWN = "known are $(DEVICE_ID), $(DEVICE_IDS), $(DEVICE_PATH), $(DEVICE_PATHS), $(INDEX), $(attributes.<name>)"

KNOWN_IN_PATHS = "known are $(DEVICE_ID), $(INDEX), $(attributes.<name>)"


def env(name: str, value: str = "x") -> Json:
    return allocating(env=[{"name": name, "value": value}])


def mount(host_path: str = "/opt/vendor", container_path: str = "/vendor", **more: Any) -> Json:
    return allocating(mounts=[{"hostPath": host_path, "containerPath": container_path} | more])


BAD = [
    bad("a device shared by nobody", of(sharing={"replicas": 0}), f"{FIRST}.sharing.replicas", "or equal to 1"),
    bad("a device shared by 1001", of(sharing={"replicas": 1001}), f"{FIRST}.sharing.replicas", "or equal to 1000"),
    bad(
        "containers that may have nothing",
        of(sharing={"maxPerContainer": 0}),
        f"{FIRST}.sharing.maxPerContainer",
        "greater than or equal to 1",
    ),
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

GOOD = [
    good(
        "two resources with paths of their own in a container",
        config(
            resources=[
                resource(f"a.com/{name}", allocation={"containerPath": f"/dev/{name}$(INDEX)"}) for name in ("x", "y")
            ]
            + [resource("a.com/z")]
        ),
    ),
    good("shared devices", of(sharing={"replicas": 1000, "maxPerContainer": 2})),
    *(good(policy, allocating(policy=policy)) for policy in ("Aligned", "Packed", "Distributed")),
    good("read only", allocating(permissions="r")),
    good("write only", allocating(permissions="w")),
    good("plain files to write to", allocating(writableFiles=True)),
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
]
