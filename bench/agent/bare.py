"""The least that Allocate costs in Python, a yardstick of the machine: `python -m bench.agent.bare SOCKET` serves."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from bench import image
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api


async def _allocate(request: api.AllocateRequest, context: Any) -> api.AllocateResponse:
    return api.AllocateResponse(container_responses=[api.ContainerAllocateResponse(envs={"DEVICE_ID": "bench0"})])


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[str]:
    """Its life, in a process of its own; the socket it serves on."""
    socket = directory / "bare.sock"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.agent.bare", str(socket)),
        stdout=asyncio.subprocess.PIPE,
        env=image.environment(),
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield str(socket)
    finally:
        process.terminate()
        await process.wait()


async def _serve(socket: str) -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        _allocate,
        request_deserializer=api.AllocateRequest.FromString,
        response_serializer=api.AllocateResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("v1beta1.DevicePlugin", {"Allocate": handler}),)
    )
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    print("serving", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
