"""What the kubelet's probes get."""

import asyncio
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
