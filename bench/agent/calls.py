"""Allocate, many times over: the same for any plugin's socket."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from bench.agent.kubelet import MAX_MESSAGE
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc


@asynccontextmanager
async def watching(socket: str) -> AsyncIterator[api.ListAndWatchResponse]:
    """What the plugin offers first; its stream is kept open."""
    options = (("grpc.max_receive_message_length", MAX_MESSAGE),)
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        stream = rpc.DevicePluginStub(channel).ListAndWatch(api.Empty())
        yield await anext(aiter(stream))


async def allocate(socket: str, device: str, calls: int, connections: int) -> tuple[list[float], float]:
    """Seconds that each call took, sorted, and calls a second of all connections together."""
    request = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=[device])])

    async def caller(count: int) -> list[float]:
        # A pool of its own: grpc would let all channels to one address share a connection.
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
            stub = rpc.DevicePluginStub(channel)
            await stub.Allocate(request)
            took = []
            for _ in range(count):
                before = time.perf_counter()
                await stub.Allocate(request)
                took.append(time.perf_counter() - before)
            return took

    started = time.perf_counter()
    each = await asyncio.gather(*(caller(calls // connections) for _ in range(connections)))
    elapsed = time.perf_counter() - started
    return sorted(second for took in each for second in took), calls / elapsed
