"""The sets of devices that the kubelet keeps for each resource. No I/O, no clock."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api

HEALTHY = "Healthy"
GRACE = 300.0
"""endpointStopGracePeriod: seconds after which a plugin that stopped is forgotten."""

LONGEST_ID = 63


@dataclass(frozen=True)
class Device:
    """One line of a plugin's list."""

    id: str
    health: str
    numa_nodes: tuple[int, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether pods may get it."""
        return self.health == HEALTHY


@dataclass(frozen=True)
class Counts:
    """What the Node object says of a resource."""

    capacity: int
    allocatable: int

    def __str__(self) -> str:
        return f"{self.allocatable}/{self.capacity}"


class DeviceSets:
    """healthyDevices, unhealthyDevices and allDevices of devicemanager.ManagerImpl."""

    def __init__(self) -> None:
        self.healthy: dict[str, set[str]] = {}
        self.unhealthy: dict[str, set[str]] = {}
        self.all: dict[str, dict[str, Device]] = {}

    def resources(self) -> set[str]:
        """All that have a set."""
        return self.healthy.keys() | self.unhealthy.keys()

    def replace(self, resource: str, devices: Iterable[Device]) -> None:
        """genericDeviceUpdateCallback: a message stands for the whole list."""
        devices = tuple(devices)
        self.healthy[resource] = {device.id for device in devices if device.healthy}
        self.unhealthy[resource] = {device.id for device in devices if not device.healthy}
        self.all[resource] = {device.id: device for device in devices}

    def mark_unhealthy(self, resource: str) -> None:
        """markResourceUnhealthy: the plugin is gone, its devices are counted but not given out."""
        gone = self.healthy.get(resource, set())
        self.healthy[resource] = set()
        self.unhealthy[resource] = self.unhealthy.get(resource, set()) | gone

    def expect(self, resource: str) -> None:
        """readCheckpoint: a resource from before the restart, of which no device is known yet."""
        self.healthy[resource] = set()
        self.unhealthy[resource] = set()

    def forget(self, resource: str) -> None:
        """GetCapacity, for a plugin that did not come back."""
        self.healthy.pop(resource, None)
        self.unhealthy.pop(resource, None)

    def counts(self, resource: str) -> Counts:
        """GetCapacity. An ID that is listed with both healths counts twice."""
        healthy = len(self.healthy.get(resource, ()))
        return Counts(capacity=healthy + len(self.unhealthy.get(resource, ())), allocatable=healthy)

    def numa_nodes(self, resource: str, device_id: str) -> tuple[int, ...]:
        """Where a device is; nothing when it says nothing, or has left the list."""
        device = self.all.get(resource, {}).get(device_id)
        return device.numa_nodes if device else ()


def grace_expired(stopped: float | None, now: float) -> bool:
    """endpointImpl.stopGracePeriodExpired."""
    return stopped is not None and now - stopped > GRACE


def devices_of(response: api.ListAndWatchResponse) -> tuple[Device, ...]:
    """A plugin's message in our words."""
    return tuple(
        Device(device.ID, device.health, tuple(node.ID for node in device.topology.nodes))
        for device in response.devices
    )


def violations(
    resource: str, devices: Collection[Device], *, allocated: Collection[str], offered_elsewhere: Collection[str]
) -> list[str]:
    """What the kubelet takes from a plugin without a word although it does harm (R8, R9, R14)."""
    listed = Counter(device.id for device in devices)
    found = [f"{resource}: {id_} is listed {count} times" for id_, count in listed.items() if count > 1]
    found += [f"{resource}: {id_} left the list while allocated" for id_ in sorted(set(allocated) - listed.keys())]
    # By one name Unhealthy is no harm: so is what moves to another resource, and what an agent that is gone had.
    offered = {device.id for device in devices if device.healthy}
    twice = sorted(offered.intersection(offered_elsewhere))
    found += [f"{resource}: {id_} is offered by another resource too" for id_ in twice]
    found += [f"{resource}: the ID {id_} is too long" for id_ in listed if len(id_) > LONGEST_ID]
    for device in devices:
        found += [f"{resource}: {device.id} is on NUMA node {n}" for n in device.numa_nodes if not 0 <= n <= 63]
    return found
