"""HTTP/1.1 to one server: as much of it as the Kubernetes API needs, in as little memory as can be.

h11 knows the protocol; here are the connections. https://h11.readthedocs.io/en/latest/api.html
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import h11

HttpError = (h11.ProtocolError, OSError)
"""What any of this may raise: the server is away, too slow, goes away in the middle or speaks no HTTP."""

_DEADLINE = 10.0
"""Seconds for a connection with its TLS, for the head of an answer, and for all of a body that is read at once."""

_PIECE = 65536
"""Bytes that are read at once."""

MOST = 4 << 20
"""Bytes of an answer, or of one event of it, that are taken: the API server's objects are smaller, but who knows what
stands between."""

_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""A server that vanished without a word (its machine lost power) ends a long answer after 30 s, not after half an hour:
the kernel asks, the agent sleeps."""


class Response:
    """An answer whose body is still to come."""

    def __init__(self, status: int, connection: "_Connection") -> None:
        self.status = status
        self._connection = connection

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it comes."""
        while isinstance(event := await self._connection.receive(), h11.Data):
            yield bytes(event.data)

    async def read(self) -> bytes:
        """The whole body."""
        body = bytearray()
        async with asyncio.timeout(_DEADLINE), aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                body += piece
                if len(body) > MOST:
                    raise h11.RemoteProtocolError(f"an answer of more than {MOST} bytes")
        return bytes(body)


class HttpClient:
    """Keeps one connection for the next request; requests at the same time have one each."""

    def __init__(self, url: str, trust: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._tls = trust if parts.scheme == "https" else None
        self._name = parts.netloc
        self._idle: _Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._idle is not None:
            self._idle.close()
            await asyncio.sleep(0)  # what was closed is gone one turn later

    @asynccontextmanager
    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[Response]:
        """Ask. A request must be safe to repeat: a kept connection may turn out to be broken."""
        sent = {"Host": self._name, "Content-Length": str(len(body)), **headers}
        request = h11.Request(method=method, target=target, headers=list(sent.items()))
        connection, self._idle = self._idle, None
        try:
            async with asyncio.timeout(_DEADLINE):
                status = None if connection is None else await _asked_again(connection, request, body)
                if connection is None or status is None:
                    connection = await self._open()
                    status = await connection.ask(request, body)
            yield Response(status, connection)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if self._idle is None and connection.ready_for_another():
            self._idle = connection
        else:
            connection.close()

    async def _open(self) -> "_Connection":
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        for option in _KEEP_ALIVE:
            writer.get_extra_info("socket").setsockopt(*option)
        return _Connection(reader, writer)


class _Connection:
    """One request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(h11.CLIENT)

    async def ask(self, request: h11.Request, body: bytes) -> int:
        """Send a whole request; the status of its answer."""
        for message in (request, h11.Data(data=body), h11.EndOfMessage()):
            self._writer.write(self._state.send(message) or b"")
        await self._writer.drain()
        while not isinstance(event := await self.receive(), h11.Response):
            pass  # informational
        return event.status_code

    async def receive(self) -> object:
        """What comes next of the answer."""
        while (event := self._state.next_event()) is h11.NEED_DATA:
            self._state.receive_data(await self._reader.read(_PIECE))
        return event

    def ready_for_another(self) -> bool:
        """Whether the answer was read to its end and the server leaves the connection open."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        return not self._reader.at_eof()

    def close(self) -> None:
        """Break it off."""
        self._writer.transport.abort()


async def _asked_again(connection: _Connection, request: h11.Request, body: bytes) -> int | None:
    """The status of the answer; None when the connection was no good any more."""
    try:
        return await connection.ask(request, body)
    except TimeoutError:
        raise
    except (h11.RemoteProtocolError, OSError):
        connection.close()
        return None
