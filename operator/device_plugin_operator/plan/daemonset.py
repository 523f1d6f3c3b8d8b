"""The DaemonSet of a config's agents: the whole template.

No text of a config becomes a mount, an image, a ServiceAccount or a right of an agent: the tables here are closed.
"""

import hashlib
from typing import Any

import msgspec

from device_plugin_api import group, names
from device_plugin_api.config import ConfigSpec
from device_plugin_api.hostpaths import DEVICE_INFO, HEARTBEATS
from device_plugin_operator.facts import Config
from device_plugin_operator.plan import images, matching, revision
from device_plugin_operator.settings import Settings

Json = dict[str, Any]

AGENT = "device-plugin-agent"
MANAGER = "device-plugin-operator"
_HTTP_PORT = 8081


def owner(config: Config) -> Json:
    """The reference that makes garbage collection remove what belongs to a config."""
    return {
        "apiVersion": group.API_VERSION,
        "kind": group.CONFIG_KIND,
        "name": config.name,
        "uid": config.uid,
        "controller": True,
    }


def labels(config: str) -> dict[str, str]:
    """On everything that the operator makes for a config."""
    return {
        "app.kubernetes.io/name": AGENT,
        "app.kubernetes.io/component": "agent",
        "app.kubernetes.io/part-of": "device-plugin-operator",
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/instance": config,
        group.CONFIG_LABEL: config,
    }


def selector(config: str) -> dict[str, str]:
    """What tells a config's agents from all other pods. It can never be changed."""
    return {"app.kubernetes.io/name": AGENT, group.CONFIG_LABEL: config}


def wanted(config: Config, spec: ConfigSpec, settings: Settings) -> Json:
    """The DaemonSet as it is applied. `resources` are not in it: agents get those through the NodeDevicePlugin."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": names.daemonset_name(config.name),
            "namespace": settings.agents_namespace,
            "labels": labels(config.name),
            "ownerReferences": [owner(config)],
        },
        "spec": {
            "selector": {"matchLabels": selector(config.name)},
            "revisionHistoryLimit": 3,
            # Two agents of one config must never be on a node at once: the old one's end makes the kubelet drop what
            # the new one has registered. So no surge.
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 0, "maxUnavailable": spec.rollout.max_unavailable},
            },
            "template": {"metadata": {"labels": labels(config.name)}, "spec": _pod(config, spec, settings)},
        },
    }


def _pod(config: Config, spec: ConfigSpec, settings: Settings) -> Json:
    volumes, mounts = _volumes(spec, settings)
    pod: Json = {
        "serviceAccountName": settings.agent_service_account,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "priorityClassName": spec.agent.priority_class_name,
        "terminationGracePeriodSeconds": 5,
        # Else it would be the first process of its PID namespace, and the kernel keeps a SIGTERM from that until it
        # listens: one that is told to end as it begins would not hear of it.
        "shareProcessNamespace": True,
        "nodeSelector": matching.labels(spec),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(config, spec, settings, mounts)],
        "volumes": volumes,
    }
    if spec.agent.runtime_class_name is not None:
        pod["runtimeClassName"] = spec.agent.runtime_class_name
    if spec.affinity is not None:
        pod["affinity"] = revision.canonical(spec.affinity)
    if spec.tolerations:
        # Kubernetes has the same default for `operator`, but says it by leaving it out.
        pod["tolerations"] = [revision.canonical(toleration) for toleration in spec.tolerations]
    return pod


def _container(config: Config, spec: ConfigSpec, settings: Settings, mounts: list[Json]) -> Json:
    arguments = [
        f"--config-name={config.name}",
        f"--config-uid={config.uid}",
        f"--log-level={spec.agent.log_level}",
        f"--http-port={_HTTP_PORT}",
    ]
    if settings.allow_block_devices:
        arguments.append("--allow-block-devices")
    if settings.allow_memory_devices:
        arguments.append("--allow-memory-devices")
    gpus = [resource.source.nvidia for resource in spec.resources if resource.source.nvidia is not None]
    mig_monitor = settings.allow_mig_monitor and any(gpu.mig.mode != "None" for gpu in gpus)
    if mig_monitor:
        arguments.append("--allow-mig-monitor")
    nvidia = _of_nvidia_runtime(mig_monitor=mig_monitor) if gpus else {}
    return {
        "name": "agent",
        "image": images.chosen(spec, settings.agent_image, settings.source_images),
        "imagePullPolicy": settings.agent_image_pull_policy,
        "args": arguments,
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            *({"name": name, "value": value} for name, value in nvidia.items()),
        ],
        "ports": [{"name": "http", "containerPort": _HTTP_PORT}],
        "resources": _quantities(spec),
        # Not /readyz: an agent that waits for its configuration or that the kubelet refuses is not to be killed for it.
        "startupProbe": _probe("/livez", period=1, failures=60),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        # A node that has no time for its agents has even less for starting them anew.
        "livenessProbe": _probe("/livez", period=10, failures=3, timeout=10),
        # Uid 0 owns the kubelet's directories; it has no capability and cannot open a device.
        "securityContext": {
            "runAsUser": 0,
            "runAsNonRoot": False,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            # NVIDIA's runtime gives the device that shows MIG instances only to containers with this capability.
            "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]} if mig_monitor else {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
            "seLinuxOptions": {"type": "container_device_plugin_t"},
        },
        "volumeMounts": mounts,
    }


def _of_nvidia_runtime(*, mig_monitor: bool) -> dict[str, str]:
    """What it reads: an agent sees all GPUs, and has of the driver no more than its management library."""
    variables = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "utility"}
    return variables | ({"NVIDIA_MIG_MONITOR_DEVICES": "all"} if mig_monitor else {})


def _probe(path: str, *, period: int, failures: int, timeout: int = 3) -> Json:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def _quantities(spec: ConfigSpec) -> Json:
    chosen = {
        "requests": {"cpu": spec.agent.resources.requests.cpu, "memory": spec.agent.resources.requests.memory},
        "limits": {"cpu": spec.agent.resources.limits.cpu, "memory": spec.agent.resources.limits.memory},
    }
    return {
        kind: {name: value for name, value in quantities.items() if value is not None}
        for kind, quantities in chosen.items()
        if any(value is not None for value in quantities.values())
    }


def _volumes(spec: ConfigSpec, settings: Settings) -> tuple[list[Json], list[Json]]:
    """Name, path on the host, path in the agent, writable, type, propagation."""
    table = [
        # Part of the kubelet's API: this path does not follow the kubelet's root.
        ("device-plugins", "/var/lib/kubelet/device-plugins", None, True, "Directory", None),
        ("pod-resources", f"{settings.kubelet_root}/pod-resources", "/var/lib/kubelet/pod-resources", False, "", None),
        # What is mounted below later (a hot-plugged device's own file system) is to be seen too.
        ("dev", "/dev", "/host/dev", False, "Directory", "HostToContainer"),
        ("sys", "/sys", "/host/sys", False, "Directory", "HostToContainer"),
        ("heartbeats", HEARTBEATS, None, False, "DirectoryOrCreate", None),
        ("state", "/var/lib/deviceplugins.dev", None, True, "DirectoryOrCreate", None),
    ]
    writes_cdi = any(resource.allocation.by_cdi(runtime=True) for resource in spec.resources)
    reads_cdi = any(
        resource.source.nvidia is not None and resource.source.nvidia.device_list != "Environment"
        for resource in spec.resources
    )
    if writes_cdi or reads_cdi:
        # Who writes there can run programs on the node: only agents that need it may.
        table.append(("cdi", "/var/run/cdi", None, writes_cdi, "DirectoryOrCreate", None))
    if reads_cdi:
        table.append(("static-cdi", "/etc/cdi", None, False, "DirectoryOrCreate", None))
    if any(resource.source.network is not None for resource in spec.resources):
        table.append(("device-info", DEVICE_INFO, None, True, "DirectoryOrCreate", None))
        # The host's routes: who uses a network card. No more of /proc, and not the host's network namespace itself.
        table.append(("net", "/proc/1/net", "/host/net", False, "Directory", None))
    volumes: list[Json] = []
    mounts: list[Json] = []
    for name, host, inside, writable, type_, propagation in table:
        volumes.append({"name": name, "hostPath": {"path": host, "type": type_}})
        mount: Json = {"name": name, "mountPath": inside or host}
        if not writable:
            mount["readOnly"] = True
        if propagation:
            mount["mountPropagation"] = propagation
        mounts.append(mount)
    return volumes, mounts


def digest(wanted_: Json) -> str:
    """Names a content of `wanted`."""
    return hashlib.sha256(msgspec.json.encode(wanted_, order="sorted")).hexdigest()
