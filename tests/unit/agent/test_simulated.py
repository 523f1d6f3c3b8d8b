"""Simulated devices, and when they fail."""

import math

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.sources.simulated import Simulated, fails, next_turn
from device_plugin_api.sources import SimulatedFailure, SimulatedSource
from manual_clock import ManualClock


def source(*failures: SimulatedFailure, clock: ManualClock | None = None) -> Simulated:
    spec = SimulatedSource(count=3, numa_nodes=2, failures=failures)
    return Simulated("example.com/sim", spec, clock or ManualClock())


def there(found: Simulated) -> list[str]:
    return [device.id.rpartition("-")[2] for device in found.discover().candidates]


def test_devices_are_spread_over_the_numa_nodes() -> None:
    assert [device.numa_node for device in source().discover().candidates] == [0, 1, 0]
    assert source().discover().changes_in is None


def test_a_device_goes_missing_and_comes_back_by_the_clock() -> None:
    clock = ManualClock()
    found = source(SimulatedFailure(device=1, after_seconds=10, for_seconds=5, every_seconds=60), clock=clock)
    seen = []
    for _ in range(4):
        seen.append((there(found), found.discover().changes_in))
        clock.advance(found.discover().changes_in or 0)
    assert seen == [(["0", "1", "2"], 10), (["0", "2"], 5), (["0", "1", "2"], 55), (["0", "2"], 5)]


def test_a_device_out_of_reach_is_there_and_says_so() -> None:
    found = source(SimulatedFailure(device=2, for_seconds=5, how="Unknown"))
    assert [device.failure for device in found.discover().candidates] == [
        None,
        None,
        "is simulated to be beyond reach",
    ]


def test_a_failure_of_a_device_that_is_not_simulated_changes_nothing() -> None:
    assert there(source(SimulatedFailure(device=99, for_seconds=5))) == ["0", "1", "2"]


FAILURES = st.builds(
    SimulatedFailure,
    device=st.just(0),
    after_seconds=st.integers(0, 100),
    for_seconds=st.integers(1, 50),
    every_seconds=st.sampled_from([0, 51, 60, 100]),
)


@given(FAILURES, st.integers(0, 1000))
def test_nothing_turns_before_its_next_turn_and_then_it_does(failure: SimulatedFailure, elapsed: int) -> None:
    ahead = next_turn(failure, elapsed)
    assert ahead > 0
    if ahead is math.inf:
        assert not fails(failure, elapsed + 10**6)
        return
    assert fails(failure, elapsed + ahead / 2) == fails(failure, elapsed)
    assert fails(failure, elapsed + ahead) != fails(failure, elapsed)
