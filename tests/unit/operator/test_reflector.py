"""List and watch, for ever: what ends well goes on at once, what fails again and again ever more slowly."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest
from msgspec import Raw

from device_plugin_operator.client import Client
from device_plugin_operator.reflector import Reflector
from manual_clock import ManualClock

Json = dict[str, Any]

PATH = "/things"
DOUBLING = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


class Enough(Exception):
    """The API server of this test has nothing more to say."""


class ApiServer:
    """Answers each list with the same objects, each watch with the next of these; notes what it was asked.

    Each watch takes `seconds`.
    """

    def __init__(self, *watches: list[Json], seconds: float = 0.0) -> None:
        self.clock = ManualClock()
        self.lists = 0
        self._seconds = seconds
        self.watched_from: list[str] = []
        self._watches = list(watches)

    async def request(self, method: str, path: str, *, params: Mapping[str, str]) -> bytes:
        self.lists += 1
        return json.dumps({"metadata": {"resourceVersion": "10"}, "items": [thing("a", 5)]}).encode()

    async def watch(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        if not self._watches:
            raise Enough
        self.watched_from.append(params["resourceVersion"])
        self.clock.advance(self._seconds)
        for event in self._watches.pop(0):
            yield json.dumps(event).encode()


class Sink:
    """What is known."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def replace(self, items: list[str]) -> None:
        self.names = set(items)

    def put(self, item: str) -> None:
        self.names.add(item)

    def drop(self, name: str, uid: str) -> None:
        self.names.discard(name)


def thing(name: str, version: int) -> Json:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> Json:
    return {"type": kind, "object": thing(name, version)}


def error(code: int) -> Json:
    return {"type": "ERROR", "object": {"code": code, "reason": "Because", "message": "no"}}


def name_of(raw: Raw) -> str:
    return str(json.loads(bytes(raw))["metadata"]["name"])


async def pauses(server: ApiServer, sink: Sink | None = None) -> list[float]:
    """How long it paused, one time after the other, until the server had nothing more to say."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    reflector: Reflector[str] = Reflector(
        cast("Client", server),
        PATH,
        name_of,
        sink or Sink(),
        random=lambda: 0.0,
        sleep=sleep,
        monotonic=server.clock.monotonic,
    )
    with pytest.raises(Enough):
        await reflector.run()
    return made


async def test_a_watch_that_has_told_something_goes_on_at_once_from_there() -> None:
    server, sink = (
        ApiServer([event("ADDED", "b", 11)], [event("BOOKMARK", "", 12)], [event("DELETED", "a", 13)]),
        Sink(),
    )
    assert await pauses(server, sink) == []
    assert server.watched_from == ["10", "11", "12"]
    assert (server.lists, sink.names) == (1, {"b"})


async def test_watches_that_end_without_a_word_are_asked_for_ever_more_slowly() -> None:
    server = ApiServer(*[[] for _ in DOUBLING])
    assert await pauses(server) == DOUBLING
    assert server.lists == 1


async def test_lists_whose_watches_are_too_old_each_time_are_asked_for_ever_more_slowly() -> None:
    server = ApiServer(*[[error(410)] for _ in DOUBLING])
    assert await pauses(server) == DOUBLING
    assert server.lists == len(DOUBLING) + 1


async def test_watches_that_tell_of_nothing_but_errors_are_asked_for_ever_more_slowly() -> None:
    server = ApiServer(*[[error(500)] for _ in DOUBLING])
    assert await pauses(server) == DOUBLING
    assert server.lists == 1


async def test_after_something_was_told_the_next_pause_is_short_again() -> None:
    good = [event("MODIFIED", "a", 11)]
    assert await pauses(ApiServer([], [], good, [])) == [0.25, 0.5, 0.25]


async def test_quiet_watches_that_were_open_for_a_while_go_on_at_once() -> None:
    server = ApiServer([], [], seconds=60.0)
    assert await pauses(server) == []
    assert server.lists == 1


async def test_watches_that_break_off_now_and_then_never_make_long_pauses() -> None:
    server = ApiServer([error(500)], [error(500)], [error(500)], seconds=60.0)
    assert await pauses(server) == [0.25, 0.25, 0.25]
