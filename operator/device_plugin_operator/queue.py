"""A work queue of keys in controller-runtime's words: each key once, one worker at a time, back-off when it fails."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from device_plugin_operator.clock import Clock
from device_plugin_operator.metrics import Metrics


@dataclass(frozen=True)
class Request:
    """What to reconcile: a key, never an event."""

    name: str


@dataclass(frozen=True)
class Result:
    """When to look again although nothing happens; None leaves it to events."""

    requeue_after: float | None = None


class Reconciler(Protocol):
    """Makes the world as one object wants it. Safe to repeat; raises to be called again later."""

    async def reconcile(self, request: Request) -> Result:
        """Look and act once."""
        ...


@dataclass(frozen=True)
class Held:
    """A key that a worker has."""

    since: float
    waited: float
    """How long it had been due when the worker took it."""


class Schedule:
    """Which key is due when. Pure: the time is given, so tests need no waiting."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._due: dict[Request, float] = {}
        self._heap: list[tuple[float, int, Request]] = []
        self._numbers = itertools.count()
        self.busy: dict[Request, Held] = {}
        """What workers have."""
        self._taken: dict[Request, float] = {}

    def add(self, request: Request, at: float) -> bool:
        """Make it due at that time, or earlier where it already is; never sooner after the last time than the pace.

        Whether it was not due at all before.
        """
        if request in self._taken:
            at = max(at, self._taken[request] + self._pace)
        known = self._due.get(request)
        if known is None or at < known:
            self._due[request] = at
            heapq.heappush(self._heap, (at, next(self._numbers), request))
        return known is None

    def take(self, now: float) -> Request | None:
        """The longest due key that no worker has. It stays with the worker until `done`."""
        held = []
        found = None
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            due, _, request = entry
            if self._due.get(request) != due:
                continue  # an earlier time took its place
            if request in self.busy:
                held.append(entry)
                continue
            del self._due[request]
            self.busy[request] = Held(since=now, waited=now - due)
            self._taken[request] = now
            found = request
            break
        for entry in held:
            heapq.heappush(self._heap, entry)
        return found

    def done(self, request: Request) -> None:
        """Its worker has finished."""
        self.busy.pop(request, None)

    def forget(self, request: Request) -> None:
        """Keep nothing about it. A call that is already due stays."""
        self._taken.pop(request, None)

    def delay(self, now: float) -> float | None:
        """Seconds until a key that no worker has is due; None when there is none."""
        waiting = [at for request, at in self._due.items() if request not in self.busy]
        return max(0.0, min(waiting) - now) if waiting else None

    def depth(self, now: float) -> int:
        """How many are due and wait for a worker."""
        return sum(at <= now for at in self._due.values())

    def __len__(self) -> int:
        return len(self._due)


class WorkQueue:
    """Keys for workers. `pace` is the least time between two looks at one; `first` and `most` bound the back-off.

    Nothing tells when what made looks fail is over: `most` is how late it is noticed.
    """

    def __init__(
        self,
        clock: Clock,
        random: Callable[[], float],
        metrics: Metrics,
        *,
        pace: float = 0.2,
        first: float = 0.25,
        most: float = 15.0,
    ) -> None:
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._schedule = Schedule(pace)
        self._first = first
        self._most = most
        self._failures: dict[Request, int] = {}
        self._changed = asyncio.Event()

    def add(self, request: Request, after: float = 0.0) -> None:
        """Call for it once more, after so many seconds."""
        if self._schedule.add(request, self._clock.monotonic() + after):
            self._metrics.adds.inc()
        self._changed.set()

    def add_failed(self, request: Request, at_least: float | None = None) -> float:
        """Call for it again after a pause that doubles with each failure in a row; says how long it is."""
        count = self._failures.get(request, 0)
        self._failures[request] = count + 1
        pause = min(self._first * 2.0 ** min(count, 30), self._most) * (1 - 0.5 * self._random())
        pause = max(pause, at_least or 0.0)
        self._metrics.retries.inc()
        self.add(request, pause)
        return pause

    def succeeded(self, request: Request) -> None:
        """The next failure is the first again."""
        self._failures.pop(request, None)

    def forget(self, request: Request) -> None:
        """Its object is gone."""
        self._failures.pop(request, None)
        self._schedule.forget(request)

    async def get(self) -> Request:
        """The next key that is due. The caller says `done` afterwards."""
        while True:
            now = self._clock.monotonic()
            request = self._schedule.take(now)
            if request is not None:
                self._metrics.queue_duration.observe(self._schedule.busy[request].waited)
                return request
            self._changed.clear()
            try:
                async with asyncio.timeout(self._schedule.delay(now)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, request: Request) -> None:
        """The worker has finished with it."""
        self._metrics.work_duration.observe(self._clock.monotonic() - self._schedule.busy[request].since)
        self._schedule.done(request)
        self._changed.set()

    def depth(self) -> int:
        """How many are due and wait for a worker."""
        return self._schedule.depth(self._clock.monotonic())

    def held(self) -> list[float]:
        """Since how many seconds each worker that is at work has had its key."""
        now = self._clock.monotonic()
        return [now - held.since for held in self._schedule.busy.values()]

    def __len__(self) -> int:
        return len(self._schedule)
