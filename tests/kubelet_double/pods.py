"""Pods, what their containers have, and what a container is started with. No I/O."""

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api

_Value = TypeVar("_Value")

WITHOUT_TOPOLOGY = -1
"""nodeWithoutTopology: where the kubelet files devices that name no NUMA node."""


class ContainerKind(enum.Enum):
    """What a container is to its pod."""

    REGULAR = "regular"
    INIT = "init"
    RESTARTABLE_INIT = "restartable init"


@dataclass(frozen=True)
class Pod:
    """A pod of this node. The same name under another UID is another pod."""

    name: str
    namespace: str = "default"
    uid: str = ""

    @property
    def key(self) -> str:
        """Its UID, or one made from its name."""
        return self.uid or f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Assignment:
    """What one container has of one resource: a line of podDevices."""

    pod: str
    """The pod's key."""
    container: str
    resource: str
    by_numa_node: dict[int, tuple[str, ...]]
    response: api.ContainerAllocateResponse
    """Kept, and used at each start of the container."""

    @property
    def devices(self) -> frozenset[str]:
        """Each once."""
        return frozenset(device for devices in self.by_numa_node.values() for device in devices)


class Assignments:
    """podDevices of devicemanager/pod_devices.go."""

    def __init__(self, lines: Iterable[Assignment] = ()) -> None:
        self._lines = {(line.pod, line.container, line.resource): line for line in lines}

    def insert(self, line: Assignment) -> None:
        """After a successful Allocate."""
        self._lines[line.pod, line.container, line.resource] = line

    def get(self, pod: str, container: str, resource: str) -> Assignment | None:
        """What the container has of the resource."""
        return self._lines.get((pod, container, resource))

    def of(self, pod: str, container: str) -> tuple[Assignment, ...]:
        """All that one container has."""
        return tuple(line for line in self._lines.values() if (line.pod, line.container) == (pod, container))

    def all(self) -> tuple[Assignment, ...]:
        """Every line."""
        return tuple(self._lines.values())

    def keep(self, pods: Collection[str]) -> bool:
        """Drop all but these pods' lines; whether any went."""
        before = len(self._lines)
        self._lines = {key: line for key, line in self._lines.items() if line.pod in pods}
        return len(self._lines) != before

    def devices(self) -> dict[str, set[str]]:
        """Resource → devices that some container has."""
        used: dict[str, set[str]] = {}
        for line in self._lines.values():
            used.setdefault(line.resource, set()).update(line.devices)
        return used


@dataclass
class RunOptions:
    """What the kubelet adds to a container for its devices."""

    envs: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, api.Mount] = field(default_factory=dict)
    """By container path."""
    devices: dict[str, api.DeviceSpec] = field(default_factory=dict)
    """By container path."""
    annotations: dict[str, str] = field(default_factory=dict)
    cdi_devices: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    """What a later resource wanted otherwise than the first; the kubelet only logs it."""


def merged(responses: Iterable[api.ContainerAllocateResponse]) -> RunOptions:
    """deviceRunContainerOptions: the first to name an env, path or annotation wins."""
    options = RunOptions()
    for response in responses:
        _merge("env", options.envs, response.envs, options.conflicts)
        _merge("mount", options.mounts, {mount.container_path: mount for mount in response.mounts}, options.conflicts)
        _merge("device", options.devices, {node.container_path: node for node in response.devices}, options.conflicts)
        _merge("annotation", options.annotations, response.annotations, options.conflicts)
        names = (device.name for device in response.cdi_devices)
        options.cdi_devices += [name for name in names if name not in options.cdi_devices]
    return options


def _merge(kind: str, into: dict[str, _Value], more: Mapping[str, _Value], conflicts: list[str]) -> None:
    for key, value in more.items():
        if into.setdefault(key, value) != value:
            conflicts.append(f"{kind} {key}")
