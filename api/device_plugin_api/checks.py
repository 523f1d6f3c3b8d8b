"""What the API server refuses by CEL, once more in Python: for agents, which do not rely on it alone.

A CRD may be older or edited by hand, and a stand-alone agent has no API server. Only what matters for safety and for
the kubelet is checked here; bounds are checked by the types themselves.
"""

import re
from collections.abc import Iterable, Iterator

from device_plugin_api import hostpaths, source_checks, templates
from device_plugin_api.names import env_prefix, resource_name_error
from device_plugin_api.resource import Allocation, Probe, Resource

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE_MODE = re.compile(r"0?[0-7]{3}")
_STEERING = ("PATH", "IFS", "ENV", "BASH_ENV")
_RUNTIME_OWNED = (
    "kubernetes.io",
    "k8s.io",
    "io.kubernetes",
    "containerd.io",
    "io.containerd",
    "crio.io",
    "run.oci",
    "io.katacontainers",
)


def problems(resource: Resource) -> Iterator[str]:
    """Everything that is wrong with it, each with the field's path."""
    name = resource_name_error(resource.name)
    if name is not None:
        yield f"name: {name}"
    yield from source_checks.problems(resource)
    yield from _allocation_problems(resource.allocation)
    yield from _template_problems(resource)
    for probe in resource.health.probes:
        yield from _probe_problems(probe)


def together(resources: Iterable[Resource]) -> Iterator[str]:
    """What is wrong with the resources of a config beside each other: one container may have two of them (R13)."""
    variables: dict[str, str] = {}
    paths: dict[str, str] = {}
    for resource in resources:
        prefix, path = env_prefix(resource.name), resource.allocation.container_path
        if prefix in variables:
            yield f"resources: {variables[prefix]} and {resource.name} both set {prefix}_ID in a container"
        if path is not None and path in paths:
            yield f"resources: {paths[path]} and {resource.name} have the same allocation.containerPath"
        variables.setdefault(prefix, resource.name)
        if path is not None:
            paths.setdefault(path, resource.name)


def _allocation_problems(allocation: Allocation) -> Iterator[str]:
    if allocation.permissions not in ("r", "w", "rw"):
        yield "allocation.permissions: must be r, w or rw"
    if allocation.policy not in ("Aligned", "Packed", "Distributed"):
        yield "allocation.policy: must be Aligned, Packed or Distributed"
    path = allocation.container_path
    if path is not None and (hostpaths.device_path_error(path) or not _tells_apart(path)):
        yield "allocation.containerPath: must be a path below /dev with $(INDEX) or $(DEVICE_ID) in it"
    if allocation.by_cdi(runtime=True) and "$(INDEX)" in (path or ""):
        yield "allocation.containerPath: must not use $(INDEX) with cdi"
    if allocation.cdi is not None:
        if allocation.cdi.mode not in ("Auto", "Always", "Never"):
            yield "allocation.cdi.mode: must be Auto, Always or Never"
        if allocation.cdi.file_mode is not None and not _FILE_MODE.fullmatch(allocation.cdi.file_mode):
            yield "allocation.cdi.fileMode: must be three octal digits, such as 0660"
    for variable in allocation.env:
        if not _ENV_NAME.fullmatch(variable.name):
            yield f"allocation.env: {variable.name!r} must be letters, digits and '_', not starting with a digit"
        if variable.name.startswith("LD_") or variable.name in _STEERING:
            yield f"allocation.env: {variable.name} would steer how programs are loaded"
    for mount in allocation.mounts:
        wrong = hostpaths.mount_error(mount.host_path, read_only=mount.read_only)
        if wrong is not None:
            yield f"allocation.mounts: hostPath {mount.host_path!r} {wrong}"
        inside = hostpaths.container_path_error(mount.container_path)
        if inside is not None:
            yield f"allocation.mounts: containerPath {mount.container_path!r} {inside}"
        if templates.used(mount.host_path + mount.container_path) and not _tells_apart(mount.container_path):
            yield (
                f"allocation.mounts: containerPath {mount.container_path!r} must have $(INDEX) or $(DEVICE_ID) in it, "
                "since the mount differs by device"
            )
    for key in allocation.annotations:
        if any(owned in key for owned in _RUNTIME_OWNED):
            yield f"allocation.annotations: {key!r} belongs to Kubernetes or a container runtime"


def _probe_problems(probe: Probe) -> Iterator[str]:
    if probe.type == "SysfsAttribute":
        absolute = probe.path if probe.path.startswith("/") else f"/{probe.path}"
        roots = hostpaths.SYSFS_ROOTS
        if not hostpaths.is_clean_absolute(absolute):
            yield f"health.probes: path {probe.path!r} must be a path without '..', '.' or empty parts"
        elif absolute == probe.path and not any(hostpaths.is_below(absolute, root) for root in roots):
            where = f"relative to the device's directory, or in one of {', '.join(roots)}"
            yield f"health.probes: path {probe.path!r} must be {where}"
    if probe.type == "HeartbeatFile":
        if not hostpaths.is_clean_absolute(f"/{probe.name}"):
            yield (
                f"health.probes: name {probe.name!r} must be relative to {hostpaths.HEARTBEATS}, "
                "without '..', '.' or empty parts"
            )
        if probe.max_age_seconds is None:
            yield "health.probes: maxAgeSeconds must be given with type: HeartbeatFile"


def _template_problems(resource: Resource) -> Iterator[str]:
    allocation = resource.allocation
    own = source_checks.attributes(resource.source)
    attributes = [f"{templates.ATTRIBUTE}{key}" for key in own or ()]
    in_values, in_paths = (*templates.IN_VALUES, *attributes), (*templates.IN_PATHS, *attributes)
    texts = [
        *(("containerPath", path, in_paths) for path in (allocation.container_path,) if path is not None),
        *((f"env[{variable.name}]", variable.value, in_values) for variable in allocation.env),
        *(("mounts.hostPath", mount.host_path, in_paths) for mount in allocation.mounts),
        *(("mounts.containerPath", mount.container_path, in_paths) for mount in allocation.mounts),
        *((f"annotations[{key}]", value, in_values) for key, value in allocation.annotations.items()),
    ]
    for field, text, known in texts:
        for wrong in templates.unknown(text, known, any_attribute=own is None):
            yield f"allocation.{field}: {wrong}"


def _tells_apart(path: str) -> bool:
    return any(f"$({name})" in path for name in templates.IN_PATHS)
