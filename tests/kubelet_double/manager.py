"""The kubelet's device manager: ManagerImpl of devicemanager/manager.go."""

import asyncio
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from kubelet_double import checkpoint
from kubelet_double.choice import Ask, ChoiceError, Wanted, choose
from kubelet_double.clients import PluginClient, PluginError
from kubelet_double.clock import Clock
from kubelet_double.devices import HEALTHY, Counts, DeviceSets, devices_of, grace_expired, violations
from kubelet_double.endpoints import Endpoint
from kubelet_double.faults import Faults
from kubelet_double.journal import Journal
from kubelet_double.node import Node
from kubelet_double.pods import (
    WITHOUT_TOPOLOGY,
    Assignment,
    Assignments,
    ContainerKind,
    Pod,
    RunOptions,
    merged,
)


class AdmissionError(Exception):
    """The pod failed for good; the text is the message of its status, and the reason UnexpectedAdmissionError."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"Allocate failed due to {cause}, which is unexpected")
        self.cause = cause


class StartError(Exception):
    """The container did not start; the kubelet would try again."""


@dataclass(frozen=True)
class Granted:
    """A container that was admitted."""

    devices: Mapping[str, frozenset[str]]
    """Resource → device IDs, those it had already included."""
    options: RunOptions


class DeviceManager:
    """Counts, allocates and forgets the devices of one kubelet process."""

    def __init__(
        self, directory: Path, node: Node, *, journal: Journal, clock: Clock, rng: random.Random, faults: Faults
    ) -> None:
        self.sets = DeviceSets()
        self.endpoints: dict[str, Endpoint] = {}
        self.assignments = Assignments()
        self._in_use: dict[str, set[str]] = {}
        self._last_health: dict[tuple[str, str], str] = {}
        self._reusable: tuple[str, dict[str, set[str]]] = ("", {})
        self._directory = directory
        self._node = node
        self._journal = journal
        self._clock = clock
        self._rng = rng
        self._faults = faults
        self._admission = asyncio.Lock()

    def restore(self) -> None:
        """ReadCheckpoint at the start of a process; without the file all numbers of the node are reset."""
        kept = checkpoint.read(self._directory)
        if kept is None:
            self._node.reset()
            return
        self.assignments = Assignments(kept.assignments)
        self._in_use = self.assignments.devices()
        for resource in kept.resources:
            self.sets.expect(resource)
            self.endpoints[resource] = Endpoint(resource, stopped=self._clock.monotonic())
        self.publish()

    def publish(self) -> None:
        """GetCapacity, which forgets plugins whose grace has passed, and the node status made of it."""
        for resource in self.sets.resources():
            endpoint = self.endpoints.get(resource)
            if endpoint is None or grace_expired(endpoint.stopped, self._clock.monotonic()):
                self.endpoints.pop(resource, None)
                self.sets.forget(resource)
                self._node.set(resource, Counts(0, 0))
                self._write_checkpoint()
            else:
                self._node.set(resource, self.sets.counts(resource))

    async def connected(self, client: PluginClient) -> None:
        """PluginConnected: asks for the options while Register waits."""
        if self._faults.options_error is not None:
            raise PluginError(f"failed to get device plugin options: {self._faults.options_error}")
        self._journal.called("GetDevicePluginOptions", client.resource, client.socket.name)
        try:
            options = await client.options()
        except PluginError as error:
            raise PluginError(f"failed to get device plugin options: {error}") from None
        self.endpoints[client.resource] = Endpoint(client.resource, client, options)

    def disconnected(self, resource: str) -> None:
        """PluginDisconnected."""
        endpoint = self.endpoints.get(resource)
        if endpoint is not None:
            self.sets.mark_unhealthy(resource)
            endpoint.stopped = self._clock.monotonic()
        self.publish()
        self._journal.notify()

    def received(self, client: PluginClient, response: api.ListAndWatchResponse) -> None:
        """PluginListAndWatchReceiver."""
        resource, devices = client.resource, devices_of(response)
        self._journal.violations += violations(
            resource,
            devices,
            allocated=self._in_use.get(resource, ()),
            offered_elsewhere={id_ for other, ids in self.sets.healthy.items() if other != resource for id_ in ids},
        )
        self.sets.replace(resource, devices)
        for device in devices:
            self._last_health[resource, device.id] = HEALTHY if device.healthy else "Unhealthy"
        self._write_checkpoint()
        self.publish()
        self._journal.list_received(resource, client.socket.name, devices)

    def health(self, pod: Pod, container: str) -> dict[str, dict[str, str]]:
        """UpdateAllocatedResourcesStatus: the last health told of each device; a plugin's end changes nothing."""
        return {
            line.resource: {id_: self._last_health.get((line.resource, id_), HEALTHY) for id_ in sorted(line.devices)}
            for line in self.assignments.of(pod.key, container)
        }

    def collect_garbage(self) -> None:
        """UpdateAllocatedDevices: takes back what pods that are gone had."""
        if self.assignments.keep(self._node.active):
            self._in_use = self.assignments.devices()

    async def admit(
        self,
        pod: Pod,
        container: str,
        limits: Mapping[str, int],
        kind: ContainerKind,
        affinity: frozenset[int] | None,
    ) -> Granted:
        """Allocate: one pod at a time for the whole node. AdmissionError when the pod fails."""
        async with self._admission:
            self._node.add(pod, container, limits, kind)
            try:
                await self._allocate(pod, container, limits, kind, affinity)
            except (ChoiceError, PluginError) as error:
                self._node.remove(pod)
                raise AdmissionError(str(error)) from None
            finally:
                self._journal.notify()
        return Granted(
            {line.resource: line.devices for line in self.assignments.of(pod.key, container)},
            self._options(pod, container),
        )

    async def start_container(self, pod: Pod, container: str) -> RunOptions:
        """GetDeviceRunContainerOptions: PreStartContainer where asked for, then the answers kept from Allocate."""
        spec = self._node.containers(pod)[container]
        try:
            for resource, size in self._ours(spec.limits):
                await self._pre_start(pod, container, resource)
                if size and self.assignments.get(pod.key, container, resource) is None:
                    async with self._admission:
                        await self._allocate(pod, container, {resource: size}, spec.kind, None)
        except (ChoiceError, PluginError) as error:
            raise StartError(str(error)) from None
        return self._options(pod, container)

    def _options(self, pod: Pod, container: str) -> RunOptions:
        lines = self.assignments.of(pod.key, container)
        # The kubelet walks a map, so any resource may come first.
        return merged(line.response for line in self._rng.sample(lines, len(lines)))

    def _ours(self, limits: Mapping[str, int]) -> list[tuple[str, int]]:
        """isDevicePluginResource: registered, or in use; in a map's order."""
        ours = [(name, size) for name, size in limits.items() if name in self.sets.healthy or name in self._in_use]
        return self._rng.sample(ours, len(ours))

    async def _allocate(
        self,
        pod: Pod,
        container: str,
        limits: Mapping[str, int],
        kind: ContainerKind,
        affinity: frozenset[int] | None,
    ) -> None:
        """allocateContainerResources, and what init containers leave to the containers after them."""
        if self._reusable[0] != pod.key:
            self._reusable = (pod.key, {})
        reusable = self._reusable[1]
        for resource, size in self._ours(limits):
            self.collect_garbage()
            await self._allocate_resource(pod, container, resource, size, reusable.get(resource, set()), affinity)
        for line in self.assignments.of(pod.key, container):
            if kind is ContainerKind.INIT:
                reusable.setdefault(line.resource, set()).update(line.devices)
            else:
                reusable.setdefault(line.resource, set()).difference_update(line.devices)
        self._write_checkpoint()

    async def _allocate_resource(
        self,
        pod: Pod,
        container: str,
        resource: str,
        size: int,
        reusable: Collection[str],
        affinity: frozenset[int] | None,
    ) -> None:
        chosen = await self._choose(pod, container, resource, size, reusable, affinity)
        if not chosen:
            return
        endpoint = self.endpoints.get(resource)
        if endpoint is None:
            self._in_use = self.assignments.devices()
            raise PluginError(f"unknown Device Plugin {resource}")
        self._in_use.setdefault(resource, set()).update(chosen)
        try:
            client = endpoint.live()
            self._journal.called("Allocate", resource, endpoint.name, chosen)
            response = await client.allocate(self._rng.sample(sorted(chosen), len(chosen)))
        except PluginError:
            self._in_use = self.assignments.devices()
            raise
        if not response.container_responses:
            # The devices stay marked as used until garbage is next collected.
            raise PluginError(f"no containers return in allocation response {response}")
        by_numa_node: dict[int, tuple[str, ...]] = {}
        for device_id in sorted(chosen):
            if device_id not in self.sets.all.get(resource, {}):
                self._journal.violations.append(f"{resource}: {device_id} left the list during its Allocate")
            for node in self.sets.numa_nodes(resource, device_id) or (WITHOUT_TOPOLOGY,):
                by_numa_node[node] = (*by_numa_node.get(node, ()), device_id)
        self.assignments.insert(Assignment(pod.key, container, resource, by_numa_node, response.container_responses[0]))

    async def _choose(
        self,
        pod: Pod,
        container: str,
        resource: str,
        size: int,
        reusable: Collection[str],
        affinity: frozenset[int] | None,
    ) -> frozenset[str]:
        """devicesToAllocate, with its one question put to the plugin."""
        healthy = self.sets.healthy.get(resource)
        line = self.assignments.get(pod.key, container, resource)
        known = self.sets.all.get(resource, {})
        choosing = choose(
            Wanted(
                resource=resource,
                size=size,
                healthy=None if healthy is None else frozenset(healthy),
                in_use=frozenset(self._in_use.get(resource, ())),
                assigned=line.devices if line else None,
                reusable=frozenset(reusable),
                numa_nodes={id_: device.numa_nodes for id_, device in known.items()},
                affinity=affinity,
            ),
            self._rng,
        )
        try:
            ask = next(choosing)
            while True:
                ask = choosing.send(await self._preferred(resource, ask))
        except StopIteration as done:
            chosen: frozenset[str] = done.value
            return chosen

    async def _preferred(self, resource: str, ask: Ask) -> frozenset[str]:
        """CallGetPreferredAllocationIfAvailable."""
        endpoint = self._registered(resource)
        if endpoint.options is None or not endpoint.options.get_preferred_allocation_available:
            return frozenset()
        request = api.PreferredAllocationRequest()
        request.container_requests.add(
            available_deviceIDs=self._rng.sample(sorted(ask.available), len(ask.available)),
            must_include_deviceIDs=self._rng.sample(sorted(ask.must_include), len(ask.must_include)),
            allocation_size=ask.size,
        )
        client = endpoint.live()
        self._journal.called(
            "GetPreferredAllocation", resource, endpoint.name, ask.available, ask.must_include, ask.size
        )
        try:
            response = await client.preferred(request)
        except PluginError as error:
            raise PluginError(f"device plugin GetPreferredAllocation rpc failed with err: {error}") from None
        return frozenset(response.container_responses[0].deviceIDs if response.container_responses else ())

    async def _pre_start(self, pod: Pod, container: str, resource: str) -> None:
        """CallPreStartContainerIfNeeded."""
        endpoint = self._registered(resource)
        if endpoint.options is None or not endpoint.options.pre_start_required:
            return
        line = self.assignments.get(pod.key, container, resource)
        if line is None:
            raise PluginError(f"no devices found allocated in local cache for {pod.key}, {container}, {resource}")
        client = endpoint.live()
        self._journal.called("PreStartContainer", resource, endpoint.name, line.devices)
        try:
            await client.pre_start(sorted(line.devices))
        except PluginError as error:
            raise PluginError(f"device plugin PreStartContainer rpc failed with err: {error}") from None

    def _registered(self, resource: str) -> Endpoint:
        endpoint = self.endpoints.get(resource)
        if endpoint is None:
            raise PluginError(f"endpoint not found in cache for a registered resource: {resource}")
        return endpoint

    def _write_checkpoint(self) -> None:
        checkpoint.write(self._directory, self.assignments.all(), self.sets.healthy)
