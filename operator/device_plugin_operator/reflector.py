"""List, then watch, for ever: a paginated list first, then a watch that goes on from its version."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import Raw

from device_plugin_operator.client import ApiError, Client, RequestFailed, Unreachable
from device_plugin_operator.decode import Meta, Wire

_PAGE = "500"
_GONE = 410
_FIRST, _MOST = 0.25, 10.0
_LASTING = 5.0
"""A watch that was open for so many seconds was a good one, if quiet: some networks end those that are."""
_WATCH_SECONDS = 270
"""The API server ends each watch after about that time; the next goes on where it stopped."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Sink(Protocol[T]):
    """Where the objects go."""

    def replace(self, items: list[T]) -> None:
        """These are all there are: a list came to its end."""
        ...

    def put(self, item: T) -> None:
        """One is new or has changed."""
        ...

    def drop(self, name: str, uid: str) -> None:
        """One is gone."""
        ...


class _ListMeta(Wire, frozen=True):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _Page(Wire, frozen=True):
    metadata: _ListMeta
    items: list[Raw] | None = None


class _Event(Wire, frozen=True):
    type: str
    object: Raw


class _Named(Wire, frozen=True):
    metadata: Meta


class _Marked(Wire, frozen=True):
    metadata: _ListMeta


class _Error(Wire, frozen=True):
    code: int = 0
    reason: str = ""
    message: str = ""


class Reflector(Generic[T]):
    """Keeps a sink equal to one collection of the API server."""

    def __init__(
        self,
        client: Client,
        path: str,
        decode: Callable[[Raw], T],
        sink: Sink[T],
        *,
        params: Mapping[str, str] | None = None,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._path = path
        self._params = dict(params or {})
        self._decode = decode
        self._sink = sink
        self._random = random
        self._sleep = sleep
        self._monotonic = monotonic
        self._version = ""
        self._failures = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except msgspec.DecodeError as error:
                # Not JSON, or half of it: something between us and the API server. Nothing of it is believed.
                self._version = ""
                await self._pause(Unreachable(f"unreadable answer: {error}"))
            except RequestFailed as error:
                if isinstance(error, ApiError) and error.status == _GONE:
                    self._version = ""  # what was known is too old to go on from
                await self._pause(error)

    async def _pause(self, error: RequestFailed) -> None:
        pause = min(_FIRST * 2.0 ** min(self._failures, 30), _MOST) * (1 - 0.5 * self._random())
        pause = max(pause, error.retry_after or 0.0)
        self._failures += 1
        _log.warning("Could not list or watch", extra={"path": self._path, "err": str(error), "after": round(pause, 2)})
        await self._sleep(pause)

    async def _list(self) -> None:
        """All pages, and only then anything is concluded."""
        items: list[T] = []
        params = {**self._params, "limit": _PAGE}
        while True:
            page = msgspec.json.decode(await self._client.request("GET", self._path, params=params), type=_Page)
            items += [item for raw in page.items or () if (item := self._read(raw)) is not None]
            if not page.metadata.continue_:
                break
            params["continue"] = page.metadata.continue_
        self._version = page.metadata.resource_version
        self._sink.replace(items)

    async def _watch(self) -> None:
        params = {
            **self._params,
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(_WATCH_SECONDS * (1 + 0.1 * self._random()))),
        }
        began, heard = self._monotonic(), False
        try:
            async for line in self._client.watch(self._path, params):
                self._take(line)
                # Not for a list alone: one whose watch is refused each time would be asked for without a pause.
                self._failures, heard = 0, True
        finally:
            lasted = self._monotonic() - began >= _LASTING
            if lasted:
                self._failures = 0
        if not heard and not lasted:
            raise Unreachable("the watch ended at once and without a word")

    def _take(self, line: bytes) -> None:
        event = msgspec.json.decode(line, type=_Event)
        if event.type == "ERROR":
            error = msgspec.json.decode(event.object, type=_Error)
            raise ApiError(error.code, error.reason, error.message)
        if event.type == "DELETED":
            meta = msgspec.json.decode(event.object, type=_Named).metadata
            self._sink.drop(meta.name, meta.uid)
        elif event.type != "BOOKMARK" and (item := self._read(event.object)) is not None:
            self._sink.put(item)
        self._version = msgspec.json.decode(event.object, type=_Marked).metadata.resource_version

    def _read(self, raw: Raw) -> T | None:
        try:
            return self._decode(raw)
        except msgspec.ValidationError as error:
            _log.warning("Ignored an object that cannot be read", extra={"path": self._path, "err": str(error)})
            return None
