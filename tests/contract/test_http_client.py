"""The agent's connections to the API server, against servers that do as a test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import h11
import pytest

from device_plugin_agent.api_server import ApiServer
from device_plugin_agent.http_client import HttpClient
from device_plugin_api.service_account import ServiceAccount

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[HttpClient]:
    """A client of a server that does this with each connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, HttpClient(f"http://127.0.0.1:{port}", ssl.create_default_context()) as client:
        yield client
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def asked(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def ask(client: HttpClient) -> bytes:
    async with client.request("GET", "/", {}) as response:
        return await response.read()


async def test_one_connection_serves_one_request_after_the_other() -> None:
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while True:
            await asked(reader)
            writer.write(OK)

    async with serving(serve) as client:
        assert [await ask(client) for _ in range(5)] == [b"ok"] * 5
    assert len(connections) == 1


@pytest.mark.parametrize("answer", [OK, LAST], ids=["without a word", "as announced"])
async def test_a_connection_that_the_server_has_closed_is_replaced_and_nobody_notices(answer: bytes) -> None:
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await asked(reader)
        writer.write(answer)

    async with serving(serve) as client:
        assert [await ask(client) for _ in range(3)] == [b"ok"] * 3
    assert len(connections) == 3


async def test_requests_at_the_same_time_do_not_wait_for_each_other() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/long" in await asked(reader):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await asked(reader)  # for ever
        writer.write(OK)

    async with serving(serve) as client, client.request("GET", "/long", {}) as response:
        pieces = response.pieces()
        assert await anext(pieces) == b"first"
        assert await ask(client) == b"ok"
        await pieces.aclose()


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", OK[:-1], b"HTTP/1.1 200 OK\r\nA: " + b"x" * 99999],
    ids=["nothing", "no HTTP", "half a head", "half a body", "a head without end"],
)
async def test_an_answer_that_is_none_is_an_error_and_the_next_request_is_answered(answer: bytes) -> None:
    answers = [OK, answer]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(answers.pop())

    async with serving(serve) as client:
        with pytest.raises(h11.RemoteProtocolError):
            await ask(client)
        assert await ask(client) == b"ok"


async def test_an_answer_without_end_is_not_taken_to_its_end() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            await writer.drain()

    async with serving(serve) as client:
        with pytest.raises(h11.RemoteProtocolError, match="an answer of more than"):
            await ask(client)


async def test_an_event_without_end_is_not_taken_to_its_end(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
            await writer.drain()

    (tmp_path / "token").write_text("t")
    async with serving(serve) as client:
        server = ApiServer(ServiceAccount("http://127.0.0.1", tmp_path / "token"), agent="test")
        server._http = client
        with pytest.raises(ValueError, match="an event of more than"):
            async for _ in server.watch("/", field_selector="", seconds=1):
                pass


async def test_a_server_that_is_not_there_is_an_os_error() -> None:
    async with serving(lambda *_: asyncio.sleep(0)) as client:
        pass
    with pytest.raises(OSError, match="Connect call failed"):
        await ask(client)


async def test_an_informational_answer_is_not_the_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)

    async with serving(serve) as client:
        assert await ask(client) == b"ok"
