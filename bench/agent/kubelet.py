"""As little of a kubelet as a device plugin notices, so that what is measured is the plugin."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc.aio

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from device_plugin_agent.kubelet_api import podresources_pb2 as pod_api
from device_plugin_agent.kubelet_api import podresources_pb2_grpc as pod_rpc

MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes: the kubelet's gRPC client takes no longer list."""


class Kubelet(rpc.RegistrationServicer, pod_rpc.PodResourcesListerServicer):
    """Takes registrations and reads lists. Times are of time.monotonic(), in seconds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.plugins = directory / "device-plugins"
        self.pod_resources = directory / "pod-resources.sock"
        self.plugins.mkdir()
        self.registered_at: list[float] = []
        self.lists: list[tuple[float, api.ListAndWatchResponse]] = []
        self.resource = ""
        self.endpoint = ""
        self.held: dict[str, str] = {}
        """Slot → the pod that has it."""
        self.news = asyncio.Condition()
        self._readers: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[float]:
        """One life of the kubelet; tells when its socket was there."""
        server, lister = grpc.aio.server(), grpc.aio.server()
        rpc.add_RegistrationServicer_to_server(self, server)
        pod_rpc.add_PodResourcesListerServicer_to_server(self, lister)
        lister.add_insecure_port(f"unix:{self.pod_resources}")
        server.add_insecure_port(f"unix:{self.plugins}/kubelet.sock")
        await lister.start()
        await server.start()
        try:
            yield time.monotonic()
        finally:
            for reader in self._readers:
                reader.cancel()
            await asyncio.gather(*self._readers, return_exceptions=True)
            await server.stop(None)
            await lister.stop(None)

    async def Register(self, request: api.RegisterRequest, context: Any) -> api.Empty:  # noqa: N802
        """A plugin is there: read its devices from now on."""
        self.registered_at.append(time.monotonic())
        self.resource = request.resource_name
        self.endpoint = str(self.plugins / request.endpoint)
        reader = asyncio.create_task(self._read(self.endpoint))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        return api.Empty()

    async def List(self, request: Any, context: Any) -> pod_api.ListPodResourcesResponse:  # noqa: N802
        """Who has what."""
        answer = pod_api.ListPodResourcesResponse()
        for slot, pod in self.held.items():
            container = answer.pod_resources.add(namespace="default", name=pod).containers.add(name="c")
            container.devices.add(resource_name=self.resource, device_ids=[slot])
        return answer

    async def GetAllocatableResources(self, request: Any, context: Any) -> pod_api.AllocatableResourcesResponse:  # noqa: N802
        """What was listed last."""
        answer = pod_api.AllocatableResourcesResponse()
        if self.lists:
            healthy = [device.ID for device in self.lists[-1][1].devices if device.health == "Healthy"]
            answer.devices.add(resource_name=self.resource, device_ids=healthy)
        return answer

    async def Get(self, request: Any, context: Any) -> pod_api.GetPodResourcesResponse:  # noqa: N802
        """No such pod."""
        return pod_api.GetPodResourcesResponse()

    async def until(self, lists: int, timeout: float = 60.0) -> tuple[float, api.ListAndWatchResponse]:
        """The list of that number, counted from 1, and when it came."""
        async with asyncio.timeout(timeout), self.news:
            await self.news.wait_for(lambda: len(self.lists) >= lists)
        return self.lists[lists - 1]

    async def _read(self, endpoint: str) -> None:
        options = (("grpc.max_receive_message_length", MAX_MESSAGE),)
        with suppress(grpc.aio.AioRpcError):
            async with grpc.aio.insecure_channel(f"unix:{endpoint}", options=options) as channel:
                async for response in rpc.DevicePluginStub(channel).ListAndWatch(api.Empty()):
                    self.lists.append((time.monotonic(), response))
                    async with self.news:
                        self.news.notify_all()
