"""The least that a device plugin costs in Python, a yardstick of the machine: `-m bench.agent.bare SOCKET` serves."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from bench import image
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api


async def _allocate(request: api.AllocateRequest, context: Any) -> api.AllocateResponse:
    return api.AllocateResponse(container_responses=[api.ContainerAllocateResponse(envs={"DEVICE_ID": "bench0"})])


async def _watch(request: api.Empty, context: Any) -> AsyncIterator[api.ListAndWatchResponse]:
    yield api.ListAndWatchResponse()
    await asyncio.Event().wait()


@dataclass(frozen=True)
class Bare:
    """One such process."""

    pid: int
    socket: str


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Bare]:
    """Its life, in a process of its own."""
    socket = directory / "bare.sock"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.agent.bare", str(socket)),
        stdout=asyncio.subprocess.PIPE,
        env=image.environment(),
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield Bare(process.pid, str(socket))
    finally:
        process.terminate()
        await process.wait()


async def _serve(socket: str) -> None:
    server = grpc.aio.server()
    handlers = {
        "Allocate": grpc.unary_unary_rpc_method_handler(
            _allocate,
            request_deserializer=api.AllocateRequest.FromString,
            response_serializer=api.AllocateResponse.SerializeToString,
        ),
        "ListAndWatch": grpc.unary_stream_rpc_method_handler(
            _watch,
            request_deserializer=api.Empty.FromString,
            response_serializer=api.ListAndWatchResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", handlers),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    print("serving", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
