"""The kubelet's podresources service: pkg/kubelet/apis/podresources/server_v1.go."""

from collections.abc import Iterable
from typing import Any

import grpc
import grpc.aio

from device_plugin_agent.kubelet_api import podresources_pb2 as api
from device_plugin_agent.kubelet_api import podresources_pb2_grpc as rpc
from kubelet_double.devices import DeviceSets
from kubelet_double.faults import Faults
from kubelet_double.manager import DeviceManager
from kubelet_double.node import Node
from kubelet_double.pods import WITHOUT_TOPOLOGY, Assignment, ContainerKind, Pod
from kubelet_double.ratelimit import RateLimit


class PodResourcesService(rpc.PodResourcesListerServicer):
    """Says who has what; one rate limit for all clients and methods."""

    def __init__(self, manager: DeviceManager, node: Node, *, limit: RateLimit, faults: Faults) -> None:
        self._manager = manager
        self._node = node
        self._limit = limit
        self._faults = faults

    async def List(  # noqa: N802  (the kubelet's name)
        self, request: api.ListPodResourcesRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.ListPodResourcesResponse:
        """All active pods, those without devices too."""
        await self._pass(context)
        self._manager.collect_garbage()
        return api.ListPodResourcesResponse(pod_resources=[self._pod(pod) for pod in self._node.active.values()])

    async def GetAllocatableResources(  # noqa: N802
        self, request: api.AllocatableResourcesRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.AllocatableResourcesResponse:
        """GetAllocatableDevices: the healthy ones, in use or not."""
        await self._pass(context)
        return api.AllocatableResourcesResponse(devices=allocatable(self._manager.sets))

    async def Get(  # noqa: N802
        self, request: api.GetPodResourcesRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.GetPodResourcesResponse:
        """One active pod."""
        await self._pass(context)
        for pod in self._node.active.values():
            if (pod.name, pod.namespace) == (request.pod_name, request.pod_namespace):
                return api.GetPodResourcesResponse(pod_resources=self._pod(pod))
        return await context.abort(
            grpc.StatusCode.UNKNOWN, f"pod {request.pod_name} in namespace {request.pod_namespace} not found"
        )

    async def _pass(self, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        if self._faults.hold_podresources is not None:
            await self._faults.hold_podresources.wait()
        if self._faults.refuse_podresources is not None:
            await context.abort(self._faults.refuse_podresources, "refused by the test")
        if not self._limit.allow():
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")

    def _pod(self, pod: Pod) -> api.PodResources:
        told = api.PodResources(name=pod.name, namespace=pod.namespace)
        for name, container in self._node.containers(pod).items():
            if container.kind is not ContainerKind.INIT:
                told.containers.add(name=name, devices=devices(self._manager.assignments.of(pod.key, name)))
        return told


def devices(lines: Iterable[Assignment]) -> list[api.ContainerDevices]:
    """containerDevicesFromResourceDeviceInstances: one entry per device and NUMA node."""
    return [
        _entry(line.resource, device_id, node)
        for line in lines
        for node, device_ids in line.by_numa_node.items()
        for device_id in device_ids
    ]


def allocatable(sets: DeviceSets) -> list[api.ContainerDevices]:
    """The same for all that is healthy."""
    return [
        _entry(resource, device_id, node)
        for resource, healthy in sets.healthy.items()
        for device_id in sorted(healthy)
        for node in sets.numa_nodes(resource, device_id) or (WITHOUT_TOPOLOGY,)
    ]


def _entry(resource: str, device_id: str, node: int) -> api.ContainerDevices:
    entry = api.ContainerDevices(resource_name=resource, device_ids=[device_id])
    if node != WITHOUT_TOPOLOGY:
        entry.topology.nodes.add(ID=node)
    return entry
