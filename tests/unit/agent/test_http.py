"""What the kubelet's probes get."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from device_plugin_agent.http import Answer, HttpServer


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = HttpServer({"/livez": lambda: Answer(True, "looking"), "/readyz": lambda: Answer(False, "not yet")})
    task = asyncio.create_task(server.run(0))
    while not server.port:
        await asyncio.sleep(0)
    yield server.port
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def ask(port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer.decode()


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/livez", "200 OK", "looking"),
        ("/readyz?verbose", "503 Service Unavailable", "not yet"),
        ("/etc/passwd", "404 Not Found", "known are /livez, /readyz"),
    ],
)
async def test_each_path_has_its_answer(port: int, path: str, status: str, text: str) -> None:
    answer = await ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status}\r\n")
    assert answer.endswith(f"\r\n\r\n{text}\n")


@pytest.mark.parametrize("rubbish", [b"\r\n\r\n", b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"x" * 20000 + b"\r\n\r\n"])
async def test_rubbish_ends_nothing(port: int, rubbish: bytes) -> None:
    await asyncio.gather(ask(port, rubbish), return_exceptions=True)
    assert "200 OK" in await ask(port, b"GET /livez HTTP/1.1\r\n\r\n")


async def test_those_who_hold_connections_do_not_keep_others_from_their_answer(port: int) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
    assert "200 OK" in await ask(port, b"GET /livez HTTP/1.1\r\n\r\n")
    # The first ones were given up at once, not after their time was over.
    reader, _ = held[0]
    assert await asyncio.wait_for(reader.read(), 2) == b""
    for _, writer in held:
        writer.close()


async def test_who_does_not_read_the_answer_holds_nothing_for_longer_than_his_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device_plugin_agent.http._DEADLINE", 0.1)
    server = HttpServer({"/metrics": lambda: Answer(True, "x" * 50_000_000)})
    task = asyncio.create_task(server.run(0))
    while not server.port:
        await asyncio.sleep(0)
    before = open_files()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    await reader.readexactly(1)
    async with asyncio.timeout(10):
        while open_files() > before + 1:  # this side's own
            await asyncio.sleep(0.01)
    writer.transport.abort()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
