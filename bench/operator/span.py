"""What happens between two moments: requests, CPU, reconciles, writes of the status."""

import os
import time
from dataclasses import dataclass

from bench.figures import row
from bench.operator.api import Api
from bench.operator.config import Config
from bench.operator.counters import Counters, moved, parse
from bench.operator.subject import Operator
from bench.process import Usage, usage

_REQUESTS = "apiserver_request_total"
_NAMED = 8


@dataclass(frozen=True, kw_only=True)
class _Moment:
    at: float
    operator: Usage
    server: Usage
    own: Counters
    requests: Counters
    statuses: int


class Span:
    """Begins when it is entered, ends when it is left, and prints what it saw."""

    def __init__(self, what: str, api: Api, server: int, operator: Operator, config: Config) -> None:
        self._what = what
        self._api = api
        self._server = server
        self._operator = operator
        self._config = config

    async def __aenter__(self) -> None:
        self._before = await self._moment()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._print(self._before, await self._moment())

    async def _moment(self) -> _Moment:
        page = (await self._api.request("GET", "/metrics")).decode()
        return _Moment(
            at=time.monotonic(),
            operator=self._operator.usage,
            server=usage(self._server),
            own=await self._operator.counters(),
            requests=parse(page, [_REQUESTS]),
            statuses=len(self._config.history),
        )

    def _print(self, before: _Moment, after: _Moment) -> None:
        seconds = after.at - before.at
        what = f"{self._what}, {seconds:.0f} s"
        own = moved(before.own, after.own, "rest_client_requests_total", ("method",))
        reconciles = sum(moved(before.own, after.own, "controller_runtime_reconcile_total", ("result",)).values())
        everybody = moved(before.requests, after.requests, _REQUESTS, ("verb", "resource", "subresource"))
        cpu = after.operator.cpu - before.operator.cpu
        server = after.server.cpu - before.server.cpu
        row(f"{what}: operator's requests", _rates(own, seconds))
        row(f"{what}: requests of everybody", _rates(everybody, seconds))
        sizes = [told.size for told in self._config.history[before.statuses : after.statuses]]
        largest = f", up to {max(sizes)} bytes" if sizes else ""
        row(f"{what}: statuses written", f"{len(sizes)}{largest}")
        each = f", {1000 * cpu / reconciles:.0f} ms for each of {reconciles:.0f} looks" if reconciles else ""
        row(f"{what}: operator's CPU", f"{100 * cpu / seconds:.1f} %{each}")
        row(
            f"{what}: operator's memory, RSS / anonymous / peak",
            f"{after.operator.rss:.0f} / {after.operator.anonymous:.0f} / {after.operator.peak:.0f} MB",
        )
        row(f"{what}: API server's CPU, RSS", f"{100 * server / seconds:.0f} %, {after.server.rss:.0f} MB")
        row(f"{what}: load of the machine", f"{os.getloadavg()[0]:.1f}")


def _rates(counted: dict[str, float], seconds: float) -> str:
    total = sum(counted.values())
    named = ", ".join(f"{count:.0f} {name}" for name, count in list(counted.items())[:_NAMED])
    return f"{total / seconds:.1f}/s ({named})" if counted else "none"
