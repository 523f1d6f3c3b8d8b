"""What outlives a kubelet process: the Node object's numbers and the pods bound to the node. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kubelet_double.devices import Counts
from kubelet_double.pods import ContainerKind, Pod


@dataclass(frozen=True)
class Container:
    """What a pod asks for one of its containers."""

    limits: Mapping[str, int]
    kind: ContainerKind


@dataclass
class Node:
    """Numbers per resource, and active pods."""

    changed: Callable[[str, Counts], None]
    counts: dict[str, Counts] = field(default_factory=dict)
    active: dict[str, Pod] = field(default_factory=dict)
    """By the pod's key."""
    _containers: dict[str, dict[str, Container]] = field(default_factory=dict)

    def set(self, resource: str, counts: Counts) -> None:
        """MachineInfo of nodestatus/setters.go: a resource that was once there keeps its key."""
        if self.counts.get(resource) != counts:
            self.counts[resource] = counts
            self.changed(resource, counts)

    def reset(self) -> None:
        """ShouldResetExtendedResourceCapacity: a kubelet without a checkpoint sets all to nothing."""
        for resource in tuple(self.counts):
            self.set(resource, Counts(0, 0))

    def add(self, pod: Pod, container: str, limits: Mapping[str, int], kind: ContainerKind) -> None:
        """A container of a pod that the node is to run."""
        self.active[pod.key] = pod
        self._containers.setdefault(pod.key, {})[container] = Container(dict(limits), kind)

    def remove(self, pod: Pod) -> None:
        """The pod ended, failed or was deleted."""
        self.active.pop(pod.key, None)
        self._containers.pop(pod.key, None)

    def containers(self, pod: Pod) -> Mapping[str, Container]:
        """By name, in the order in which they were added."""
        return self._containers.get(pod.key, {})
