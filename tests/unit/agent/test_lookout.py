"""Looks that may block."""

import asyncio
import threading

from device_plugin_agent.health.lookout import Lookout
from device_plugin_agent.health.tracker import WORKS, Look, Observation


def works() -> Observation:
    return WORKS


async def test_every_job_has_an_answer() -> None:
    assert await Lookout().look({"a": works, "b": works}) == {"a": WORKS, "b": WORKS}
    assert await Lookout().look({}) == {}


async def test_one_that_hangs_is_told_and_holds_up_no_other_and_is_not_asked_again_until_it_came_back() -> None:
    freed = threading.Event()
    asked = 0

    def hangs() -> Observation:
        nonlocal asked
        asked += 1
        freed.wait(5)
        return WORKS

    lookout = Lookout(deadline=0.05)
    jobs = {"a": works, "b": hangs, "c": works}
    try:
        for _ in range(2):
            seen = await lookout.look(jobs)
            assert (seen["a"], seen["c"], seen["b"].look, seen["b"].reason) == (WORKS, WORKS, Look.FAILED, "ProbeHangs")
        assert asked == 1
    finally:
        freed.set()
    async with asyncio.timeout(2):
        while (await lookout.look(jobs))["b"] is not WORKS:
            await asyncio.sleep(0.01)
    assert asked == 2


async def test_slow_answers_one_after_the_other_are_not_taken_for_a_hang() -> None:
    pause = threading.Event()

    def slow() -> Observation:
        pause.wait(0.03)
        return WORKS

    seen = await Lookout(deadline=0.1).look(dict.fromkeys(range(8), slow))
    assert set(seen.values()) == {WORKS}


async def test_a_probe_with_a_bug_is_a_failed_look() -> None:
    def buggy() -> Observation:
        raise KeyError("x")

    (seen,) = (await Lookout().look({"a": buggy})).values()
    assert (seen.look, seen.message) == (Look.FAILED, "KeyError: 'x'")


async def test_when_too_many_hang_nothing_more_is_started() -> None:
    freed = threading.Event()

    def hangs() -> Observation:
        freed.wait(5)
        return WORKS

    before = threading.active_count()
    try:
        seen = await Lookout(deadline=0.005).look(dict.fromkeys(range(40), hangs))
        assert {each.reason for each in seen.values()} == {"ProbeHangs"}
        assert threading.active_count() - before <= 16
    finally:
        freed.set()
