"""A few at once, and then one an interval."""

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.pace import Pace

INTERVAL, AT_ONCE = 0.1, 3


def times(pauses: list[float]) -> list[float]:
    """When each is let through that comes so long after the one before was."""
    pace = Pace(INTERVAL, at_once=AT_ONCE)
    now, made = 1000.0, []
    for pause in pauses:
        now += pause
        now += pace.wait(now)
        made.append(now)
    return made


def test_what_comes_seldom_never_waits() -> None:
    pace = Pace(INTERVAL, at_once=AT_ONCE)
    assert [pace.wait(float(second)) for second in range(10)] == [0.0] * 10


def test_a_few_go_at_once_and_the_next_an_interval_later() -> None:
    assert [round(at - 1000, 3) for at in times([0] * 6)] == [0, 0, 0, 0.1, 0.2, 0.3]


def test_after_a_pause_a_few_go_at_once_again() -> None:
    assert [round(at - 1000, 3) for at in times([0, 0, 0, 0, 1, 0, 0, 0])[4:]] == [1.1, 1.1, 1.1, 1.2]


@given(st.lists(st.floats(0, 1), max_size=40))
def test_in_no_time_are_there_more_than_a_few_and_one_an_interval(pauses: list[float]) -> None:
    made = times(pauses)
    for first, since in enumerate(made):
        for last, until in enumerate(made[first:], 1):
            assert last <= AT_ONCE + (until - since) / INTERVAL + 1e-6
