"""Writes the status: the first change at once, later ones at most once a second, and only when it changed."""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus

import msgspec

from device_plugin_agent.api_server import ApiError
from device_plugin_agent.clock import Clock
from device_plugin_agent.http import Answer
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.node_api import NodeApi, Unavailable
from device_plugin_agent.signal import Signal
from device_plugin_agent.trouble import Trouble
from device_plugin_api.node import NodeStatus

INTERVAL = 1.0
"""Seconds between two writes at least."""

_RETRY_FIRST, _RETRY_MOST = 0.5, 10.0
"""Seconds between attempts while the API server is away; doubled each time, with jitter."""

LATE = 8.0
"""Seconds that a change may be on its way to the API server before the agent is no longer ready: what is told of its
devices is then wrong, and 30 s later the operator calls them Unknown."""

_log = logging.getLogger(__name__)


class Report:
    """Keeps the object's status equal to what `build` says."""

    def __init__(
        self,
        api: NodeApi,
        build: Callable[[NodeStatus], NodeStatus],
        *,
        clock: Clock,
        metrics: Metrics,
        jitter: Callable[[], float],
    ) -> None:
        self.changed = Signal()
        self._api = api
        self._build = build
        self._clock = clock
        self._metrics = metrics
        self._jitter = jitter
        self._trouble = Trouble(_log, "Could not report the status")
        self._stored: NodeStatus | None = None
        self._uid: str | None = None
        self._behind_since: float | None = None
        self._why = "no answer"

    @property
    def stored(self) -> NodeStatus | None:
        """The status that the API server has, as far as is known; None before the object was seen."""
        return self._stored

    def found(self, uid: str, status: NodeStatus) -> None:
        """The object was seen for the first time, again after a gap, or made anew."""
        self._uid, self._stored = uid, status
        self.changed.fire()

    def ready(self) -> Answer:
        """Whether the API server has what is so here, or soon will."""
        late = 0.0 if self._behind_since is None else self._clock.monotonic() - self._behind_since
        if late < LATE:
            return Answer(True, "the status is reported")
        return Answer(False, f"the status could not be reported for {late:.0f} s: {self._why}")

    async def run(self) -> None:
        """Write until cancelled."""
        failures = 0
        while True:
            seen = self.changed.count
            if self._stored is not None:
                failures = await self._write(self._stored, failures)
            if failures:
                pause = min(_RETRY_FIRST * 2 ** (failures - 1), _RETRY_MOST) * (1 + 0.5 * self._jitter())
                await asyncio.sleep(pause)
            else:
                await self.changed.after(seen)

    async def _write(self, stored: NodeStatus, failures: int) -> int:
        """Write if it differs; how often it has failed in a row."""
        status = self._build(stored)
        if status == stored:
            self._behind_since = None
            return 0
        if self._behind_since is None:
            self._behind_since = self._clock.monotonic()
        uid = self._uid
        try:
            await self._api.report(status)
        except Unavailable as error:
            self._metrics.status_writes.add("error")
            if isinstance(error, ApiError) and error.code == HTTPStatus.NOT_FOUND:
                self._stored = None  # the operator makes it anew, and the watch then tells
                self._behind_since = None
                return 0
            self._why = describe(error)
            self._trouble.failed(self._why)
            return failures + 1
        self._metrics.status_writes.add("success")
        self._behind_since = None
        self._trouble.worked()
        if uid == self._uid:
            self._stored = status
        await asyncio.sleep(INTERVAL)
        return 0


def describe(error: Exception) -> str:
    """One line for a log: some transport errors have no text of their own."""
    return str(error) or type(error).__name__


def decode_status(raw: dict[str, object]) -> NodeStatus:
    """What is stored; an empty status when it is not one of ours."""
    try:
        return msgspec.convert(raw, NodeStatus)
    except msgspec.ValidationError:
        return NodeStatus()
