"""An API server of one object over real HTTP, that misbehaves as a test asks."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import Any

from aiohttp import web

from device_plugin_api import group


class Silence(Enum):
    """What is said on a connection that stays open until the client has had enough."""

    WHOLE = b""
    AFTER_THE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


Fault = int | bytes | Silence | None
"""A status; bytes in place of an answer, after which the connection is cut; None: cut without one byte; or silence."""

_OBJECTS = f"/apis/{group.GROUP}/{group.VERSION}/{group.NODE_PLURAL}"


class FaultyApiServer:
    """Answers get, watch and a status patch. `faults` are used up one a request, by what it is."""

    def __init__(self, name: str, spec: dict[str, Any]) -> None:
        self.object: dict[str, Any] = {
            "apiVersion": group.API_VERSION,
            "kind": group.NODE_KIND,
            "metadata": {"name": name, "uid": "uid-1", "resourceVersion": "1"},
            "spec": spec,
            "status": {},
        }
        self.faults: dict[str, deque[Fault]] = {"get": deque(), "watch": deque(), "patch": deque()}
        self.requests: list[str] = []
        self.identities: list[str] = []
        self.url = ""
        self.there = True
        self.left = 0
        """How many clients had enough of a silence."""
        self._closing = asyncio.Event()
        self._events: set[asyncio.Queue[bytes]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve on a port of its own."""
        app = web.Application()
        app.router.add_get(_OBJECTS, self._watch)
        app.router.add_get(_OBJECTS + "/{name}", self._get)
        app.router.add_patch(_OBJECTS + "/{name}/status", self._patch)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            self.cut()
            self._closing.set()
            await runner.cleanup()

    def say(self, line: bytes) -> None:
        """Send this, whatever it is, on every watch."""
        for queue in self._events:
            queue.put_nowait(line)

    def cut(self) -> None:
        """End every watch."""
        self.say(b"")

    def change(self, change: Callable[[dict[str, Any]], None], event: str = "MODIFIED") -> None:
        """Change the object and tell the watchers."""
        change(self.object)
        metadata = self.object["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        self.say(self._event(event))

    def _event(self, kind: str) -> bytes:
        return json.dumps({"type": kind, "object": self.object}).encode() + b"\n"

    def _note(self, kind: str, request: web.Request) -> None:
        self.requests.append(kind)
        self.identities.append(request.headers.get("Authorization", ""))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self._note("watch", request)
        refused = await self._fault("watch", request)
        if refused is not None:
            return refused
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        if self.there:
            queue.put_nowait(self._event("ADDED"))
        self._events.add(queue)
        try:
            while line := await queue.get():
                await response.write(line)
        finally:
            self._events.discard(queue)
        return response

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self._note("get", request)
        refused = await self._fault("get", request)
        if refused is not None:
            return refused
        if not self.there or request.match_info["name"] != self.object["metadata"]["name"]:
            return self._status(404)
        return web.json_response(self.object)

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        self._note("patch", request)
        refused = await self._fault("patch", request)
        if refused is not None:
            return refused
        if not self.there:
            return self._status(404)
        self.object["status"] = (await request.json())["status"]
        self.change(lambda _: None)
        return web.json_response(self.object)

    async def _fault(self, kind: str, request: web.Request) -> web.StreamResponse | None:
        if not self.faults[kind]:
            return None
        fault = self.faults[kind].popleft()
        if isinstance(fault, int):
            return self._status(fault)
        assert request.transport is not None
        if isinstance(fault, Silence):
            request.transport.write(fault.value)
            await self._until_it_leaves(request)
            return web.Response()
        if fault is not None:
            with suppress(OSError):
                request.transport.write(fault)
        request.transport.close()
        return web.Response()

    async def _until_it_leaves(self, request: web.Request) -> None:
        while request.transport is not None and not request.transport.is_closing() and not self._closing.is_set():
            # aiohttp tells nobody of it; the end of the server must not wait for a client that stays.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), 0.01)
        self.left += not self._closing.is_set()

    def _status(self, code: int) -> web.Response:
        body = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": f"scripted {code}"}
        return web.json_response(body, status=code)
