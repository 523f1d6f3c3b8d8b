"""An HTTP proxy between an operator and its API server that does to each request what a test says."""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import aiohttp
import yaml
from aiohttp import web

from apiserver.operator_world import kubeconfig
from apiserver_fixture import ControlPlane

_PASSED_ON = ("Authorization", "Accept", "Content-Type", "User-Agent")


@dataclass(frozen=True)
class Ask:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]

    @property
    def watches(self) -> bool:
        """Whether its answer has no end."""
        return self.query.get("watch") in ("true", "1")

    @property
    def reads(self) -> bool:
        """Whether it is a get or a list."""
        return self.method == "GET" and not self.watches


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done to a request. Only the first that is set counts, but `late` goes with each."""

    late: float = 0.0
    """Seconds until it is passed on, at the latest when a rule ends."""
    status: int | None = None
    """The answer; the API server is not asked."""
    retry_after: int | None = None
    """With `status`: when to come again, in seconds."""
    error_event: int | None = None
    """A watch's only event: an ERROR of that code."""
    stale: bool = False
    """A read gets the first answer that this very request ever got."""
    part: float | None = None
    """The API server does it, but only this part of its answer arrives, and looks whole."""
    cut: float | None = None
    """The API server does it, but only this part of its answer arrives, and then the connection ends."""


Rule = Callable[[Ask], Fault | None]


class ApiProxy:
    """Listens without TLS on a port of its own, and passes everything on that no rule has something against."""

    def __init__(self, url: str, ca_file: Path) -> None:
        self.url = ""
        self.afflicted: list[Ask] = []
        """The requests that a rule had something against."""
        self._rules: list[Rule] = []
        self._target = url
        self._ssl = ssl.create_default_context(cafile=str(ca_file))
        self._answers: dict[str, tuple[int, bytes]] = {}
        self._watched: dict[asyncio.Transport, Ask] = {}
        self._started: Future[None] = Future()
        self._over = asyncio.Event()
        """Set when the next rule ends."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy")

    def __enter__(self) -> "ApiProxy":
        self._thread.start()
        self._started.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    @contextmanager
    def following(self, rule: Rule) -> Iterator[None]:
        """Follow that rule. Watches that are open and that it has something against end without a word."""
        self._rules.append(rule)
        self._loop.call_soon_threadsafe(self._cut, rule)
        try:
            yield
        finally:
            self._rules.remove(rule)
            self._loop.call_soon_threadsafe(self._hurry)

    def _cut(self, rule: Rule) -> None:
        for transport, ask in self._watched.items():
            if rule(ask) is not None:
                transport.abort()

    def _hurry(self) -> None:
        """Who waits need not wait any more."""
        self._over.set()
        self._over = asyncio.Event()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=self._ssl)) as self._session:
            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._started.set_result(None)
            await self._ended.wait()
            self._cut(lambda _: Fault())
            await runner.cleanup()
        await asyncio.sleep(0.1)  # TLS connections need a moment to end

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        ask = Ask(request.method, request.path, request.query)
        fault = next(filter(None, (rule(ask) for rule in tuple(self._rules))), None)
        if fault is None:
            fault = Fault()
        else:
            self.afflicted.append(ask)
        with suppress(TimeoutError):
            async with asyncio.timeout(fault.late):
                await self._over.wait()
        if fault.status is not None:
            return _refusal(fault.status, fault.retry_after)
        if fault.error_event is not None and ask.watches:
            event = {"type": "ERROR", "object": _status(fault.error_event)}
            return web.Response(body=json.dumps(event).encode() + b"\n", content_type="application/json")
        if fault.stale and ask.reads and request.path_qs in self._answers:
            status, content = self._answers[request.path_qs]
            return web.Response(status=status, body=content, content_type="application/json")
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.request(
            request.method,
            self._target + request.path_qs,
            headers=headers,
            data=await request.read() or None,
            timeout=timeout,
        ) as answer:
            if ask.watches and answer.status == 200:
                return await self._stream(request, ask, answer, fault.cut)
            content = await answer.read()
            if ask.reads:
                self._answers.setdefault(request.path_qs, (answer.status, content))
            if fault.part is not None:
                content = content[: int(len(content) * fault.part)]
            if fault.cut is not None:
                return await _part(request, answer, content, fault.cut)
            return web.Response(status=answer.status, body=content, headers=_kept(answer))

    async def _stream(
        self, request: web.Request, ask: Ask, answer: aiohttp.ClientResponse, cut: float | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=_kept(answer))
        await response.prepare(request)
        transport = request.transport
        assert transport is not None
        self._watched[transport] = ask
        try:
            async for chunk in answer.content.iter_any():
                if cut is not None:
                    await response.write(chunk[: int(len(chunk) * cut)])
                    transport.abort()
                    break
                await response.write(chunk)
        finally:
            del self._watched[transport]
        return response


def through(proxy: ApiProxy, plane: ControlPlane) -> Path:
    """An operator's kubeconfig that leads by way of the proxy."""
    token = plane.token_for("device-plugin-system", "device-plugin-operator")
    made = yaml.safe_load(kubeconfig(plane, token).read_text())
    made["clusters"][0]["cluster"] = {"server": proxy.url}
    path = plane.folder / "through-proxy-kubeconfig"
    path.write_text(yaml.safe_dump(made))
    return path


async def _part(
    request: web.Request, answer: aiohttp.ClientResponse, content: bytes, part: float
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_kept(answer))
    response.content_length = len(content)
    if part:
        await response.prepare(request)
        await response.write(content[: int(len(content) * part)])
    if request.transport is not None:
        request.transport.close()
    return response


def _kept(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {"Content-Type": answer.headers.get("Content-Type", "application/json")}


def _status(code: int) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": f"made-up {code}"}


def _refusal(code: int, retry_after: int | None) -> web.Response:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
    return web.json_response(_status(code), status=code, headers=headers)
