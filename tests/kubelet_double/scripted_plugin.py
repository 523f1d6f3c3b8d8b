"""A device plugin that does what a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from kubelet_double.devices import HEALTHY, Device


class ScriptedPlugin(rpc.DevicePluginServicer):
    """Serves one resource from a socket; attributes say how it answers, and may be changed at any time."""

    def __init__(self, directory: Path, resource: str, endpoint: str = "plugin.sock") -> None:
        self.resource = resource
        self.endpoint = endpoint
        self.options = api.DevicePluginOptions()
        self.options_error: str | None = None
        self.list_error: str | None = None
        self.preferred: tuple[str, ...] = ()
        self.response: api.ContainerAllocateResponse | None = api.ContainerAllocateResponse()
        """None: an answer without any container in it."""
        self.allocate_error: str | None = None
        self.hold_allocate: asyncio.Event | None = None
        self.allocating = asyncio.Event()
        self.pre_start_error: str | None = None
        self.streams = 0
        """How often ListAndWatch was called."""
        self.allocated: list[tuple[str, ...]] = []
        self._directory = directory
        self._lists: list[asyncio.Queue[tuple[Device, ...] | None]] = []
        self._devices: tuple[Device, ...] | None = None
        self._server: grpc.aio.Server | None = None

    async def serve(self) -> None:
        """Listen on the socket."""
        self._server = grpc.aio.server(options=(("grpc.max_receive_message_length", -1),))
        rpc.add_DevicePluginServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{self._directory / self.endpoint}")
        await self._server.start()

    async def register(self, *, version: str = "v1beta1", resource: str | None = None, timeout: float = 5.0) -> None:
        """Call the kubelet; AioRpcError as it comes."""
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(f"unix:{self._directory / 'kubelet.sock'}", options=options) as channel:
            request = api.RegisterRequest(
                version=version, endpoint=self.endpoint, resource_name=resource or self.resource
            )
            await rpc.RegistrationStub(channel).Register(request, timeout=timeout)

    async def stop(self) -> None:
        """Stop serving, as a plugin's process that ends."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    def tell(self, *devices: Device) -> None:
        """Send this list on every stream, open or to come."""
        self._devices = devices
        for queue in self._lists:
            queue.put_nowait(devices)

    def tell_health(self, **health: bool) -> None:
        """Send devices by name."""
        self.tell(*(Device(id_, HEALTHY if healthy else "Unhealthy") for id_, healthy in health.items()))

    def end_streams(self, *, only: int | None = None) -> None:
        """End every stream that is open, or the one with that number (from 0)."""
        for number, queue in enumerate(self._lists):
            if only is None or number == only:
                queue.put_nowait(None)

    async def GetDevicePluginOptions(  # noqa: N802  (the kubelet's name)
        self, request: api.Empty, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.DevicePluginOptions:
        """As scripted."""
        await _fail(context, self.options_error)
        return self.options

    async def ListAndWatch(  # noqa: N802
        self, request: api.Empty, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[api.ListAndWatchResponse]:
        """What `tell` was given, until `end_streams`."""
        self.streams += 1
        await _fail(context, self.list_error)
        queue: asyncio.Queue[tuple[Device, ...] | None] = asyncio.Queue()
        self._lists.append(queue)
        if self._devices is not None:
            queue.put_nowait(self._devices)
        while (devices := await queue.get()) is not None:
            yield as_list(devices)

    async def GetPreferredAllocation(  # noqa: N802
        self, request: api.PreferredAllocationRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.PreferredAllocationResponse:
        """As scripted."""
        response = api.PreferredAllocationResponse()
        response.container_responses.add(deviceIDs=self.preferred)
        return response

    async def Allocate(  # noqa: N802
        self, request: api.AllocateRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.AllocateResponse:
        """As scripted."""
        self.allocated += [tuple(container.devices_ids) for container in request.container_requests]
        self.allocating.set()
        if self.hold_allocate is not None:
            await self.hold_allocate.wait()
        await _fail(context, self.allocate_error)
        return api.AllocateResponse(container_responses=[self.response] if self.response is not None else [])

    async def PreStartContainer(  # noqa: N802
        self, request: api.PreStartContainerRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.PreStartContainerResponse:
        """As scripted."""
        await _fail(context, self.pre_start_error)
        return api.PreStartContainerResponse()


def as_list(devices: Iterable[Device]) -> api.ListAndWatchResponse:
    """Devices in the wire's words."""
    response = api.ListAndWatchResponse()
    for device in devices:
        line = response.devices.add(ID=device.id, health=device.health)
        for node in device.numa_nodes:
            line.topology.nodes.add(ID=node)
    return response


async def _fail(context: "grpc.aio.ServicerContext[Any, Any]", error: str | None) -> None:
    if error is not None:
        await context.abort(grpc.StatusCode.UNKNOWN, error)
