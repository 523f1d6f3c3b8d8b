"""The config as everybody sees it, followed by one watch."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from bench.operator.api import Api
from device_plugin_api import conditions
from device_plugin_api.config import ConfigStatus
from device_plugin_operator import paths


class _Object(msgspec.Struct):
    status: ConfigStatus = ConfigStatus()


class _Event(msgspec.Struct):
    object: _Object


@dataclass(frozen=True, kw_only=True)
class Told:
    """A status, and when it was seen (time.monotonic(), in seconds)."""

    at: float
    status: ConfigStatus

    @property
    def size(self) -> int:
        """Bytes of it as JSON: what each change sends to everybody who watches."""
        return len(msgspec.json.encode(self.status))

    @property
    def reason(self) -> str:
        """What kubectl shows as STATUS."""
        ready = conditions.find(self.status.conditions, conditions.READY)
        return ready.reason if ready is not None else ""

    @property
    def ready(self) -> bool:
        """Whether it says so."""
        ready = conditions.find(self.status.conditions, conditions.READY)
        return ready is not None and ready.status == conditions.TRUE


class Config:
    """Everything that one config's status has said."""

    def __init__(self, api: Api, name: str) -> None:
        self.history: list[Told] = []
        self._api = api
        self._name = name
        self._news = asyncio.Condition()

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(OSError):
                async for line in self._api.watch(paths.CONFIGS, {"fieldSelector": f"metadata.name={self._name}"}):
                    status = msgspec.json.decode(line, type=_Event).object.status
                    self.history.append(Told(at=time.monotonic(), status=status))
                    async with self._news:
                        self._news.notify_all()
            await asyncio.sleep(0.1)

    async def until(self, right: Callable[[Told], bool], since: int = 0) -> Told:
        """The first status that is so, of those that came after the first `since`."""
        async with self._news:
            while True:
                for told in self.history[since:]:
                    if right(told):
                        return told
                since = len(self.history)
                await self._news.wait()
