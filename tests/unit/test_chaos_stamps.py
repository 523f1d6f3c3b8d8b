"""The checker of tests/chaos_bed holds what is said of since when something is so against the facts."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chaos_bed.checker import check
from chaos_bed.findings import PROBLEM_SINCE, SINCE
from chaos_bed.invented import (
    BEGIN,
    DEAD,
    GONE_1_AND_TOLD,
    GONE_1_PROBLEM,
    GOOD,
    MISSING,
    NODE,
    Change,
    broken,
    but,
    is_,
    run,
    says,
    sums,
    wants,
)
from chaos_bed.samples import Sample, Told

LONG_AGO = BEGIN - 1000.0


def healthy(since: float) -> Change:
    """One device's, on one node."""
    return says("cam-1", Told(state="Healthy", since=since))


def gone(since: float, of_problem: float | None = None) -> Sequence[Change]:
    """It is, since then as the node says, and the config."""
    problem = replace(GONE_1_PROBLEM, since=since if of_problem is None else of_problem)
    return [
        *GONE_1_AND_TOLD,
        says("cam-1", replace(MISSING, since=since)),
        sums("SomeUnhealthy", frozenset({problem}), healthy=3, unhealthy=1),
    ]


WELL = but(healthy(LONG_AGO))
CORDONED = (
    wants(cordoned=frozenset({(NODE, "cam-1")})),
    is_(offered=frozenset({"cam-0"})),
    sums(healthy=3, cordoned=1),
)


def cordoned(since: float) -> Sequence[Change]:
    """One device, as the node says since then."""
    return [*CORDONED, says("cam-1", Told(state="Cordoned", since=since))]


def about(samples: Sequence[Sample]) -> set[str]:
    """Kinds of broken promises that are about times, and nothing else is broken."""
    found = broken(samples)
    assert {what for kind, what in found} <= {"one cam-1"}
    assert {kind for kind, _ in found} <= {SINCE, PROBLEM_SINCE}
    return {kind for kind, _ in found}


def test_whoever_tells_every_change_with_its_time_breaks_nothing() -> None:
    assert not about(
        run(
            (20, WELL),
            (10, but(*gone(BEGIN + 20))),
            (5, but(healthy(BEGIN + 30))),
            (6, but(*cordoned(BEGIN + 35))),
            (6, but(healthy(BEGIN + 41))),
        )
    )


LIES: dict[str, Callable[[], tuple[list[Sample], str]]] = {
    "healthy since a time that is yet to come": lambda: (run((20, WELL), (5, but(healthy(BEGIN + 40)))), SINCE),
    "healthy since a time before it was gone": lambda: (
        run((20, WELL), (8, but(*gone(BEGIN + 20))), (5, but(healthy(LONG_AGO)))),
        SINCE,
    ),
    "healthy since a time before it was cordoned": lambda: (
        run((20, WELL), (8, but(*cordoned(BEGIN + 20))), (5, but(healthy(LONG_AGO)))),
        SINCE,
    ),
    "cordoned since a time before it was": lambda: (run((20, WELL), (5, but(*cordoned(LONG_AGO)))), SINCE),
    "missing since a time when it was offered": lambda: (
        run((20, WELL), (5, but(*gone(LONG_AGO, of_problem=BEGIN + 20)))),
        SINCE,
    ),
    "healthy since another time though it has not changed": lambda: (
        run((20, WELL), (5, but(healthy(BEGIN + 20)))),
        SINCE,
    ),
    "healthy since its agent began": lambda: (
        run((20, WELL), (3, but(is_(agent=0), healthy(LONG_AGO))), (5, but(is_(agent=2), healthy(BEGIN + 23)))),
        SINCE,
    ),
    "missing since another time though it is still gone": lambda: (
        run((20, WELL), (10, but(*gone(BEGIN + 20))), (5, but(*gone(BEGIN + 30, of_problem=BEGIN + 20)))),
        SINCE,
    ),
    "a problem since a time when there was none": lambda: (
        run((20, WELL), (5, but(*gone(BEGIN + 20, of_problem=LONG_AGO)))),
        PROBLEM_SINCE,
    ),
    "a problem since a time that is yet to come": lambda: (
        run((20, WELL), (5, but(*gone(BEGIN + 20, of_problem=BEGIN + 40)))),
        PROBLEM_SINCE,
    ),
    "a problem since another time though it has not changed": lambda: (
        run((20, WELL), (10, but(*gone(BEGIN + 20))), (5, but(*gone(BEGIN + 20, of_problem=BEGIN + 30)))),
        PROBLEM_SINCE,
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_time_that_is_wrong_for_long_is_caught(lie: str) -> None:
    samples, kind = LIES[lie]()
    assert about(samples) == {kind}


@pytest.mark.parametrize("lie", LIES)
def test_a_time_that_is_mended_in_time_breaks_nothing(lie: str) -> None:
    samples, _ = LIES[lie]()
    # A wrong time stands for five seconds in each of these.
    assert not about(samples[:-12])


def test_a_change_that_nobody_had_to_see_may_go_untold() -> None:
    blip = but(is_(present=frozenset({"cam-0"}), offered=frozenset({"cam-0"})), healthy(LONG_AGO))
    assert not about(run((20, WELL), (2, blip), (10, WELL)))


def test_what_was_gone_while_no_agent_ran_may_never_have_been_gone_for_the_next() -> None:
    absent = but(*DEAD, is_(present=frozenset({"cam-0"})), healthy(LONG_AGO))
    assert not about(run((20, WELL), (8, absent), (10, WELL)))


def test_a_device_that_came_back_before_its_way_was_told_is_healthy_since_then() -> None:
    absent = but(is_(present=frozenset({"cam-0"}), offered=frozenset({"cam-0"})), healthy(LONG_AGO))
    assert not about(run((20, WELL), (1, absent), (1, WELL), (10, but(healthy(BEGIN + 22)))))


def test_while_the_sampler_did_not_look_anything_may_have_happened() -> None:
    samples = run((20, WELL), (10, but(healthy(BEGIN + 20))))
    assert about(samples)
    late = [
        replace(sample, at=sample.at + 2, wall=sample.wall + 2) if sample.at > 19.5 else sample for sample in samples
    ]
    assert not about(late)


def test_of_a_node_that_is_cut_off_what_happened_there_is_not_known() -> None:
    cut = but(is_(reaches_api=False), healthy(LONG_AGO))
    assert not about(run((20, WELL), (5, cut), (10, but(healthy(BEGIN + 24)))))


def test_a_time_is_told_to_the_second_below() -> None:
    assert not about(run((20.8, WELL), (10, but(*gone(BEGIN + 20)))))


def test_devices_of_which_no_time_is_told_have_nothing_to_be_held_against() -> None:
    assert check(run((5, GOOD))).tallies[SINCE].checked == 0


def test_a_device_that_may_have_been_there_while_the_sampler_did_not_look_was_not_gone_for_long() -> None:
    absent = but(is_(present=frozenset({"cam-0"}), offered=frozenset({"cam-0"})), healthy(LONG_AGO))
    samples = run((20, WELL), (3.6, absent), (10, WELL))
    assert (SINCE, "one cam-1") in broken(samples)
    late = [
        replace(sample, at=sample.at + 2, wall=sample.wall + 2) if sample.at > 21.9 else sample for sample in samples
    ]
    assert (SINCE, "one cam-1") not in broken(late)


def test_what_happened_later_is_no_cause() -> None:
    absent = but(is_(present=frozenset({"cam-0"}), offered=frozenset({"cam-0"})), healthy(LONG_AGO))
    assert about(run((20, WELL), (1, absent), (5, but(healthy(BEGIN + 10))))) == {SINCE}
