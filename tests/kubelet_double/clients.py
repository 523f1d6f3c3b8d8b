"""The kubelet's connections to plugins: plugin/v1beta1/client.go and handler.go."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from kubelet_double.faults import Faults

RECEIVE_LIMIT = 4 * 1024 * 1024
"""grpc-go's default, which the kubelet leaves alone: a longer list ends the stream."""

PRE_START_TIMEOUT = 30.0


_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class PluginError(Exception):
    """A call to a plugin failed; the text is Go's."""


class PluginClient:
    """One connection, made by one Register."""

    def __init__(self, resource: str, socket: Path) -> None:
        self.resource = resource
        self.socket = socket
        options = (
            ("grpc.max_receive_message_length", RECEIVE_LIMIT),
            ("grpc.max_send_message_length", -1),
            ("grpc.default_authority", "localhost"),
            ("grpc.use_local_subchannel_pool", 1),
        )
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=options)
        self._plugin = rpc.DevicePluginStub(self._channel)

    async def dial(self, timeout: float) -> None:
        """client.go dial: blocks until the plugin is there."""
        try:
            async with asyncio.timeout(timeout):
                await self._channel.channel_ready()
        except TimeoutError:
            raise PluginError("failed to dial device plugin: context deadline exceeded") from None
        except grpc.aio.UsageError:
            raise PluginError("failed to dial device plugin: the connection was closed") from None

    async def options(self) -> api.DevicePluginOptions:
        """Ask for the options; bounded by Register's own deadline only."""
        return await _answer(self._plugin.GetDevicePluginOptions(api.Empty()))

    async def preferred(self, request: api.PreferredAllocationRequest) -> api.PreferredAllocationResponse:
        """GetPreferredAllocation, without a deadline."""
        return await _answer(self._plugin.GetPreferredAllocation(request))

    async def allocate(self, devices: Iterable[str]) -> api.AllocateResponse:
        """endpointImpl.allocate: one container request, no deadline."""
        request = api.AllocateRequest()
        request.container_requests.add(devices_ids=devices)
        return await _answer(self._plugin.Allocate(request))

    async def pre_start(self, devices: Iterable[str]) -> None:
        """endpointImpl.preStartContainer."""
        request = api.PreStartContainerRequest(devices_ids=devices)
        await _answer(self._plugin.PreStartContainer(request, timeout=PRE_START_TIMEOUT))

    async def run(self, receive: Callable[[api.ListAndWatchResponse], None]) -> None:
        """client.Run: hand on each list until the stream ends, for whatever reason."""
        try:
            async for response in self._plugin.ListAndWatch(api.Empty()):
                receive(response)
        except grpc.aio.AioRpcError:
            pass
        except asyncio.CancelledError:
            # Raised too when the channel is closed under the stream, which is just one more end.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close(grace=None)


class Clients:
    """The clients by resource name (not by socket), and what becomes of them when a stream ends."""

    def __init__(
        self,
        *,
        dial_timeout: float,
        faults: Faults,
        connected: Callable[[PluginClient], Awaitable[None]],
        received: Callable[[PluginClient, api.ListAndWatchResponse], None],
        disconnected: Callable[[str], None],
    ) -> None:
        self._dial_timeout = dial_timeout
        self._faults = faults
        self._connected = connected
        self._received = received
        self._disconnected = disconnected
        self._by_resource: dict[str, PluginClient] = {}
        self._opened: set[PluginClient] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self, resource: str, socket: Path) -> None:
        """connectClient: replaces the client of that name; PluginError when the plugin does not answer."""
        client = PluginClient(resource, socket)
        self._opened.add(client)
        self._by_resource[resource] = client
        try:
            await client.dial(self._dial_timeout)
            await self._connected(client)
        except BaseException:
            # By name, as the kubelet does: a client that was registered in the meantime is forgotten with it.
            self._by_resource.pop(resource, None)
            await self._close(client)
            raise
        task = asyncio.create_task(self._run(client, self._faults.hold_list))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cut(self, resource: str) -> None:
        """The connection to whoever serves a resource breaks; the kubelet lives on."""
        await self._by_resource[resource].close()

    async def shut_down(self) -> None:
        """The kubelet's process ends: every connection goes, nobody is told."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in tuple(self._opened):
            await self._close(client)

    async def _run(self, client: PluginClient, hold: asyncio.Event | None) -> None:
        """runClient: when a stream ends, whoever is registered *under the name* now is disconnected."""
        if hold is not None:
            await hold.wait()
        await client.run(lambda response: self._received(client, response))
        current = self._by_resource.pop(client.resource, None)
        if current is not None:
            # Told first: the node must not look alive while a connection is being closed.
            self._disconnected(client.resource)
            await self._close(current)
        await self._close(client)

    async def _close(self, client: PluginClient) -> None:
        self._opened.discard(client)
        await client.close()


def go_error(error: grpc.aio.AioRpcError) -> str:
    """How Go prints the error of a call."""
    name = "".join(word.capitalize() for word in error.code().name.split("_"))
    return f"rpc error: code = {'Canceled' if name == 'Cancelled' else name} desc = {error.details()}"


async def _answer(call: "grpc.aio.UnaryUnaryCall[_Request, _Response]") -> _Response:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise PluginError(go_error(error)) from None
    except grpc.aio.UsageError:
        raise PluginError("rpc error: code = Canceled desc = the connection was closed") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise PluginError("rpc error: code = Canceled desc = the connection was closed") from None
