"""What the kubelet's probes and Prometheus ask over HTTP."""

import asyncio
import socket
from collections.abc import Callable

import msgspec

_DEADLINE = 5.0
"""Seconds for a question and its answer."""

_MAX_HEAD = 8192

_MOST_OPEN = 64
"""Connections at once. Whoever reaches the pod may open them: they must not cost the agent its memory or its files."""


class Answer(msgspec.Struct, frozen=True):
    """A status and a text for people."""

    ok: bool
    text: str
    content_type: str = "text/plain; charset=utf-8"


def all_of(*answers: Answer) -> Answer:
    """The first that is not well, or the last."""
    return next((answer for answer in answers if not answer.ok), answers[-1])


def _listen(port: int) -> socket.socket:
    """A socket for IPv4 and, where the node has it, IPv6."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


class HttpServer:
    """As little HTTP/1.1 as kubelet probes, Prometheus and people with curl need: GET, one answer, close."""

    def __init__(self, answers: dict[str, Callable[[], Answer]]) -> None:
        self.answers = answers
        self.port = 0
        self._open: dict[asyncio.StreamWriter, None] = {}
        """Who asks now, in the order they came."""

    async def run(self, port: int) -> None:
        """Serve until cancelled; port 0 takes any and tells it in `port`."""
        with _listen(port) as listener:
            self.port = listener.getsockname()[1]
            server = await asyncio.start_server(self._serve, sock=listener, limit=_MAX_HEAD)
            async with server:
                await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST_OPEN:
            # An honest question takes milliseconds: the oldest is none.
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(_DEADLINE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._respond(head))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # whoever asked went away, does not read the answer or spoke no HTTP; there is nobody to tell
        finally:
            self._open.pop(writer, None)
            # Not closed: that would wait, for ever maybe, until the other side has read what was sent.
            writer.transport.abort()

    def _respond(self, head: bytes) -> bytes:
        parts = head.split(b"\r\n", 1)[0].split(b" ")
        path = parts[1].split(b"?")[0].decode(errors="replace") if len(parts) == 3 else ""
        answer = self.answers.get(path)
        if answer is None:
            status, given = "404 Not Found", Answer(False, f"known are {', '.join(self.answers)}")
        else:
            given = answer()
            status = "200 OK" if given.ok else "503 Service Unavailable"
        body = f"{given.text}\n".encode()
        return (
            f"HTTP/1.1 {status}\r\nContent-Type: {given.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body
