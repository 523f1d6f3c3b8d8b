"""The queue: each key once, one worker at a time, back-off when it fails."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_operator.metrics import Metrics
from device_plugin_operator.queue import Request, Schedule, WorkQueue

A, B = Request("a"), Request("b")


class FakeClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def test_a_key_that_was_added_often_is_taken_once() -> None:
    schedule = Schedule(pace=0)
    for _ in range(5):
        schedule.add(A, 1)
    assert schedule.take(1) == A
    assert schedule.take(1) is None


def test_a_key_is_not_given_to_a_second_worker() -> None:
    schedule = Schedule(pace=0)
    schedule.add(A, 1)
    assert schedule.take(1) == A
    schedule.add(A, 2)
    assert schedule.take(2) is None
    schedule.done(A)
    assert schedule.take(2) == A


def test_a_busy_key_does_not_hold_up_others() -> None:
    schedule = Schedule(pace=0)
    schedule.add(A, 1)
    schedule.take(1)
    schedule.add(A, 1)
    schedule.add(B, 1)
    assert schedule.take(2) == B


def test_an_earlier_time_takes_the_place_of_a_later_one_and_never_the_other_way() -> None:
    schedule = Schedule(pace=0)
    schedule.add(A, 600)
    schedule.add(A, 5)
    schedule.add(A, 300)
    assert schedule.take(4) is None
    assert schedule.take(5) == A
    schedule.done(A)
    assert schedule.take(1000) is None


def test_the_first_call_comes_at_once_and_the_next_not_before_the_pace() -> None:
    schedule = Schedule(pace=0.5)
    schedule.add(A, 10)
    assert schedule.take(10) == A
    schedule.done(A)
    schedule.add(A, 10.1)
    assert schedule.take(10.4) is None
    assert schedule.delay(10.4) is not None
    assert schedule.take(10.5) == A


def test_the_longest_due_key_comes_first() -> None:
    schedule = Schedule(pace=0)
    schedule.add(A, 3)
    schedule.add(B, 2)
    assert schedule.take(5) == B
    assert schedule.take(5) == A


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100), st.booleans()), max_size=60))
def test_nothing_that_was_added_is_ever_lost(steps: list[tuple[str, float, bool]]) -> None:
    schedule = Schedule(pace=0.2)
    waiting: set[Request] = set()
    now = 0.0
    for name, at, take in steps:
        schedule.add(Request(name), at)
        waiting.add(Request(name))
        now += 1
        if take and (taken := schedule.take(now)) is not None:
            waiting.discard(taken)
            schedule.done(taken)
    while (taken := schedule.take(1000)) is not None:
        waiting.discard(taken)
        schedule.done(taken)
    assert waiting == set()
    assert len(schedule) == 0


async def test_a_worker_that_waits_gets_a_key_that_is_added_later() -> None:
    queue = WorkQueue(FakeClock(), lambda: 0.0, Metrics())
    waiting = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add(A)
    queue.add(B)
    assert {task.result() for task in (await asyncio.wait(waiting))[0]} == {A, B}


def test_the_pause_after_failures_doubles_up_to_a_bound_and_starts_anew_after_a_success() -> None:
    queue = WorkQueue(FakeClock(), lambda: 0.0, Metrics(), first=0.25, most=60)
    pauses = [queue.add_failed(A) for _ in range(12)]
    assert pauses[:4] == [0.25, 0.5, 1.0, 2.0]
    assert pauses[-1] == 60
    queue.succeeded(A)
    assert queue.add_failed(A) == 0.25


def test_a_config_whose_looks_failed_is_looked_at_again_within_15_seconds_however_many_did() -> None:
    queue = WorkQueue(FakeClock(), lambda: 0.0, Metrics())
    assert max(queue.add_failed(A) for _ in range(100)) == 15


def test_the_pause_is_spread_at_random_and_never_shorter_than_the_api_server_asks() -> None:
    queue = WorkQueue(FakeClock(), lambda: 1.0, Metrics(), first=1)
    assert queue.add_failed(A) == 0.5
    assert queue.add_failed(B, 30.0) == 30.0
