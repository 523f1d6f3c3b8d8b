"""A fence around a source: what it raises, for whatever reason, ends no agent."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec.structs import replace

from device_plugin_agent.sources.base import Discovery, Source, Watching
from device_plugin_agent.sources.selection import printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.node import SelectionStep

_log = logging.getLogger(__name__)


class Fenced:
    """A source that never raises. After a look that failed its devices are as they were, and Unknown."""

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._last = Discovery(candidates=(), steps=())
        self._told: dict[str, str] = {}
        """Question → why it failed the last time."""

    def discover(self) -> Discovery:
        """One look."""
        try:
            self._last = self._source.discover()
        except Exception as error:
            return self._failed(described(error))
        self._told.pop("discover", None)
        return self._last

    def watched(self) -> frozenset[Path]:
        """The source's answer; looks from time to time must do without it."""
        try:
            return self._source.watched()
        except Exception as error:
            self._tell("watched", described(error))
            return frozenset()

    def concerns(self, event: Uevent) -> bool:
        """The source's answer; a look too many does no harm."""
        try:
            return self._source.concerns(event)
        except Exception as error:
            self._tell("concerns", described(error))
            return True

    def begin(self, news: Callable[[], None]) -> None:
        """Pass it on to a source that looks in a thread of its own."""
        if isinstance(self._source, Watching):
            self._source.begin(news)

    def pardon(self, devices: Iterable[str]) -> None:
        """Pass it on to a source that remembers what happened to its devices."""
        if isinstance(self._source, Watching):
            self._source.pardon(devices)

    def _failed(self, why: str) -> Discovery:
        self._tell("discover", why)
        known = self._last.candidates
        failure = printable(f"cannot be looked at: source {self._name} failed: {why}")
        step = SelectionStep(step=f"source {self._name}", kept=len(known), dropped=(printable(f"failed: {why}"),))
        return replace(self._last, candidates=tuple(replace(each, failure=failure) for each in known), steps=(step,))

    def _tell(self, question: str, why: str) -> None:
        """Log it, once for as long as it lasts."""
        if why != self._told.get(question):
            about = {"source": self._name, "question": question, "err": why}
            _log.warning("A source failed", extra=about, exc_info=True)
        self._told[question] = why


def described(error: Exception) -> str:
    """One line: a ValueError is worded for people."""
    return printable(str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
