"""Objects to send: whole good ones, and what to change in them."""

from typing import Any

Json = dict[str, Any]

API_VERSION = "deviceplugins.dev/v1alpha1"
CONFIG = "DevicePluginConfig"
NODE = "NodeDevicePlugin"


def resource(name: str = "example.com/camera", **members: Any) -> Json:
    return {"name": name, "source": {"paths": {"include": ["/dev/video*"]}}} | members


def config(name: str = "cameras", **spec: Any) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": CONFIG,
        "metadata": {"name": name},
        "spec": {"resources": [resource()]} | spec,
    }


def of(**members: Any) -> Json:
    """A config with one resource that has these members."""
    return config(resources=[resource(**members)])


def allocating(**members: Any) -> Json:
    return of(allocation=members)


def including(*globs: str) -> Json:
    return of(source={"paths": {"include": list(globs)}})


def selecting(**term: Any) -> Json:
    required = {"nodeSelectorTerms": [term]}
    return config(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}})


def node_object(name: str = "cameras.worker-1", *, without: str = "", **spec: Any) -> Json:
    given = {
        "configName": "cameras",
        "configUID": "11111111-1111-1111-1111-111111111111",
        "nodeName": "worker-1",
        "nodeUID": "22222222-2222-2222-2222-222222222222",
        "revision": "r1",
        "resources": [resource()],
    } | spec
    members = {key: value for key, value in given.items() if key != without}
    return {"apiVersion": API_VERSION, "kind": NODE, "metadata": {"name": name}, "spec": members}


def largest_config() -> Json:
    """As much of everything as the bounds allow, each text as long as it may be."""

    def filled(start: str, size: int, unit: str = "a") -> str:
        whole, rest = divmod(size - len(start), len(unit))
        return start + unit * whole + "a" * rest

    def one(number: int) -> Json:
        return {
            "name": f"{filled(f'd{number:02d}', 244)}/{filled(f'n{number:02d}', 63)}",
            "source": {
                "paths": {
                    "include": [filled(f"/dev/{i:02d}", 256, "/a[0-9]b") for i in range(31)] + [filled("/dev/", 256)],
                    "exclude": [filled(f"/dev/{i:02d}", 256, "/[a]") for i in range(32)],
                }
            },
            "allocation": {
                "permissions": "rw",
                "containerPath": filled(f"/dev/{number:02d}$(INDEX)", 256, "/a$(DEVICE_ID)"),
                "env": [
                    {"name": filled(f"V{i:02d}", 128), "value": filled("", 1024, "$(DEVICE_PATHS)")} for i in range(16)
                ],
                "mounts": [
                    {
                        "hostPath": filled(f"/opt/{i:02d}", 256, "/aaa"),
                        "containerPath": filled(f"/m/{i:02d}", 256, "/aaa"),
                    }
                    for i in range(16)
                ],
                "annotations": {
                    f"{filled(f'd{i:02d}', 253)}/{filled('n', 63)}": filled("", 1024, "$(DEVICE_PATHS)")
                    for i in range(16)
                },
            },
            "health": {
                "probes": [
                    {"type": "SysfsAttribute", "path": filled("aa", 256, "/a"), "matches": filled("a*b*c*", 128)}
                    for _ in range(4)
                ]
                + [
                    {
                        "type": "SysfsAttribute",
                        "path": filled("/sys/class", 256, "/a"),
                        "equals": [filled(f"{i}", 128) for i in range(16)],
                    },
                    {"type": "HeartbeatFile", "name": filled("", 128, "$(DEVICE_ID)"), "maxAgeSeconds": 86400},
                    {"type": "Link"},
                    {"type": "Exists"},
                ],
                "periodSeconds": 3600,
                "failureThreshold": 100,
                "successThreshold": 100,
            },
        }

    key = f"{filled('d', 253)}/{filled('n', 63)}"
    requirement = {"key": key, "operator": "In", "values": [filled(f"v{i:02d}", 63) for i in range(32)]}
    field = {"key": "metadata.name", "operator": "In", "values": [filled("n", 253)]}
    terms = [{"matchExpressions": [requirement] * 8, "matchFields": [field] * 4}] * 8
    return config(
        filled("c", 45),
        nodeSelector={f"{filled(f'd{i:02d}', 253)}/{filled('n', 63)}": filled("v", 63) for i in range(16)},
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}},
        tolerations=[{"key": key, "operator": "Equal", "value": filled("v", 63), "effect": "NoExecute"}] * 32,
        resources=[one(number) for number in range(16)],
        cordonedDevices=[
            {
                "node": filled("n", 253),
                "resource": one(number % 16)["name"],
                "device": filled(f"d{number}", 63),
                "reason": filled("", 128),
            }
            for number in range(128)
        ],
        agent={
            "logLevel": "debug",
            "priorityClassName": filled("p", 253),
            "runtimeClassName": filled("r", 253),
            "resources": {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"cpu": "1", "memory": 134217728}},
        },
    )
