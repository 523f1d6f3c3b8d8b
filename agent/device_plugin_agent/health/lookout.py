"""Looks that may block, away from the event loop: a driver that does not answer must not stop the agent."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

from device_plugin_agent.health.tracker import Look, Observation

DEADLINE = 2.0
"""Seconds that one look may take."""

_MOST_STUCK = 16
"""Threads that may hang at once; then nothing more is asked until one of them comes back."""

_log = logging.getLogger(__name__)

_Key = TypeVar("_Key", bound=Hashable)
Job = Callable[[], Observation]


class Lookout:
    """Takes looks in a thread, one after the other; one that hangs is left behind and the rest goes on in another.

    The threads are daemons: none keeps the process from ending.
    """

    def __init__(self, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._stuck: set[Hashable] = set()

    def longest(self, jobs: int) -> float:
        """Seconds that a look at so many takes at most: every wait but one brings an answer or gives one up."""
        return (jobs + 1) * self._deadline

    async def look(self, jobs: Mapping[_Key, Job]) -> dict[_Key, Observation]:
        """All of them, each with an answer."""
        seen: dict[_Key, Observation] = {}
        left = dict(jobs)
        for key in [key for key in left if key in self._stuck]:
            del left[key]
            seen[key] = _hangs(self._deadline)
        while left:
            if len(self._stuck) >= _MOST_STUCK:
                return seen | dict.fromkeys(left, _hangs(self._deadline))
            round_ = _Round(left, self._stuck.discard)
            answers = await round_.answers(self._deadline)
            seen |= {key: answers[key] for key in left if key in answers}
            left = {key: job for key, job in left.items() if key not in answers}
            if left:
                key = next(iter(left))
                del left[key]
                _log.warning("A probe does not come back", extra={"probe": str(key)})
                self._stuck.add(key)
                seen[key] = _hangs(self._deadline)
        return seen


class _Round:
    """One thread and what it has seen so far."""

    def __init__(self, jobs: Mapping[_Key, Job], freed: Callable[[Hashable], None]) -> None:
        self._jobs = jobs
        self._freed = freed
        self._seen: dict[Hashable, Observation] = {}
        self._abandoned = False
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()

    async def answers(self, deadline: float) -> Mapping[Hashable, Observation]:
        """What was seen when all jobs were done, or one had taken longer than `deadline` seconds."""
        threading.Thread(target=self._run, name="probes", daemon=True).start()
        progress = -1
        while not self._ended.is_set() and len(self._seen) > progress:
            progress = len(self._seen)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline):
                    await self._ended.wait()
        self._abandoned = True
        return dict(self._seen)

    def _run(self) -> None:
        for key, job in self._jobs.items():
            self._seen[key] = _tried(job)
            if self._abandoned:
                self._tell(self._freed, key)
                return
        self._tell(self._ended.set)

    def _tell(self, what: Callable[..., None], *arguments: Hashable) -> None:
        with contextlib.suppress(RuntimeError):  # the agent has ended meanwhile
            self._loop.call_soon_threadsafe(what, *arguments)


def _tried(job: Job) -> Observation:
    try:
        return job()
    except Exception as error:
        _log.exception("A probe failed")
        return Observation(look=Look.FAILED, reason="ProbeFailed", message=f"{type(error).__name__}: {error}")


def _hangs(deadline: float) -> Observation:
    message = f"no answer within {deadline:g} s: the driver or the device hangs"
    return Observation(look=Look.FAILED, reason="ProbeHangs", message=message)
