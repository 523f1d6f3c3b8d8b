"""The checker of tests/chaos_bed catches each kind of lie, and nothing else."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_bed.checker import check
from chaos_bed.facts import BEAT
from chaos_bed.findings import (
    COUNT,
    GONE,
    LIMITS,
    PROBLEM,
    RUNS,
    STATE,
    STATUS,
    TWICE,
    UNKNOWN,
    USE,
    WITHHELD,
)
from chaos_bed.invented import (
    DEAD,
    DEVICES,
    GONE_1,
    GONE_1_AND_TOLD,
    GOOD,
    LOST,
    MISSING,
    NODE,
    OTHER,
    RESOURCE,
    UNKNOWN_1,
    USED,
    USER,
    broken,
    but,
    counts,
    is_,
    kinds,
    reports,
    run,
    says,
    sums,
    tells,
    wants,
)
from chaos_bed.samples import Complaint, Said, Sample, Told


def test_a_run_in_which_all_is_right_breaks_nothing() -> None:
    verdict = check(run((10, GOOD)))
    assert not verdict.violations
    assert verdict.tallies[STATE].checked == 50 * 4
    assert verdict.tallies[STATE].late == 0


def test_a_change_that_is_told_in_time_breaks_nothing_and_its_delay_is_known() -> None:
    verdict = check(run((5, GOOD), (2, but(*GONE_1)), (5, but(*GONE_1_AND_TOLD))))
    assert not verdict.violations
    worst = verdict.tallies[STATE].worst
    assert worst is not None
    assert worst.delay == pytest.approx(2.0)
    assert (worst.about, worst.said) == ("one cam-1", "Healthy  []")


LIES: Mapping[str, tuple[Sample, tuple[str, str]]] = {
    "healthy though it is gone": (
        but(*GONE_1_AND_TOLD, says("cam-1", Told(state="Healthy"))),
        (STATE, "one cam-1"),
    ),
    "healthy though it is cordoned": (
        but(wants(cordoned=frozenset({(NODE, "cam-1")})), is_(offered=frozenset({"cam-0"})), sums(healthy=3)),
        (STATE, "one cam-1"),
    ),
    "healthy though nobody wants it": (
        but(wants(selected=frozenset({"cam-0"}))),
        (STATE, "two cam-1"),
    ),
    "cordoned though it is not": (but(says("cam-1", Told(state="Cordoned"))), (STATE, "one cam-1")),
    "missing though it is there": (but(says("cam-1", MISSING)), (STATE, "one cam-1")),
    "not listed though it is there": (but(says("cam-1", None)), (STATE, "one cam-1")),
    "not listed though it is in use": (
        but(is_(present=frozenset({"cam-1"}), offered=frozenset({"cam-1"})), says("cam-0", None)),
        (STATE, "one cam-0"),
    ),
    "in use by nobody though the kubelet names a container": (
        but(says("cam-0", Told(state="Healthy"))),
        (USE, "one cam-0"),
    ),
    "in use though the kubelet names nobody": (
        but(says("cam-1", Told(state="Healthy", holders=USER))),
        (USE, "one cam-1"),
    ),
    "in use by nobody though a container runs with it": (
        but(is_(held={}), says("cam-0", Told(state="Healthy")), sums(allocated=0)),
        (RUNS, "one cam-0"),
    ),
    "a total that is too high": (but(sums(total=5)), (COUNT, "total")),
    "too many healthy": (but(*GONE_1_AND_TOLD, sums(healthy=4)), (COUNT, "healthy")),
    "too few healthy": (but(sums(healthy=3)), (COUNT, "healthy")),
    "unhealthy ones where there is none": (but(sums(unhealthy=1)), (COUNT, "unhealthy")),
    "unknown ones though all is known": (but(sums(unknown=1)), (COUNT, "unknown")),
    "cordoned ones though none is": (but(sums(cordoned=1)), (COUNT, "cordoned")),
    "too few in use": (but(sums(allocated=0)), (COUNT, "allocated")),
    "a problem with a device that works": (
        but(
            sums(problems=frozenset({Complaint(node=NODE, device="cam-1", state="Unhealthy", reason="DeviceMissing")}))
        ),
        (PROBLEM, "one cam-1"),
    ),
    "a problem with a node that is well": (
        but(sums(problems=frozenset({Complaint(node=NODE, device="", state="Unknown", reason="AgentNotReady")}))),
        (PROBLEM, "one"),
    ),
    "all well though a device in use is gone": (
        but(is_(present=frozenset({"cam-1"}), offered=frozenset({"cam-1"})), sums("AllNodesReady")),
        (STATUS, "Ready"),
    ),
    "trouble where there is none": (but(sums("SomeUnhealthy")), (STATUS, "Ready")),
    "no nodes though there are some": (but(sums("NoMatchingNodes")), (STATUS, "Ready")),
    "agents that are away though all are there": (but(sums("AgentsUnavailable")), (STATUS, "Ready")),
    "the kubelet offers what is gone": (but(is_(present=frozenset({"cam-0"}))), (GONE, "one cam-1")),
    "the kubelet offers what is cordoned": (
        but(wants(cordoned=frozenset({(NODE, "cam-1")}))),
        (GONE, "one cam-1"),
    ),
    "the kubelet lacks what works": (but(is_(offered=frozenset({"cam-0"}))), (WITHHELD, "one cam-1")),
    "two containers run with one device": (
        but(is_(running={"cam-0": USER | {"ns/other/c0"}})),
        (TWICE, "one cam-0"),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_lasts_is_caught(lie: str) -> None:
    sample, what = LIES[lie]
    assert what in broken(run((5, GOOD), (6, sample)))


@pytest.mark.parametrize("lie", [lie for lie in LIES if "two containers" not in lie])
def test_a_lie_that_is_mended_in_time_breaks_nothing(lie: str) -> None:
    sample, _ = LIES[lie]
    assert not broken(run((5, GOOD), (2.6, sample), (5, GOOD)))


def test_devices_that_are_shared_may_be_in_so_many_containers_and_no_more() -> None:
    three = USER | {"ns/b/c0", "ns/c/c0"}
    told = says("cam-0", Told(state="Healthy", holders=three))
    shared = but(is_(held={"cam-0": three}, running={"cam-0": three}), told)

    def by(replicas: int) -> Sample:
        used = f"{RESOURCE} slots in use"
        slots = counts({f"{RESOURCE} slots": 1 + replicas, used: 3})
        both = tells({f"{RESOURCE} slots": 2 + 2 * replicas, used: 3})
        of_other = counts({f"{RESOURCE} slots": 1 + replicas}, OTHER)
        return but(lambda _: shared, slots, of_other, both, wants(replicas={"cam-0": replicas}))

    assert not broken(run((5, by(3))))
    assert broken(run((5, by(2)))) == {(TWICE, "one cam-0")}


def test_containers_that_share_a_device_may_go_on_when_its_resource_has_left_the_config() -> None:
    two = USER | {"ns/b/c0"}
    shared = is_(held={"cam-0": two}, running={"cam-0": two})
    both, left = wants(replicas={"cam-0": 2})(shared(GOOD)), wants(selected=frozenset({"cam-1"}))(shared(GOOD))
    assert TWICE not in kinds(run((5, both), (5, left)))
    assert TWICE in kinds(run((5, left)))


@pytest.mark.parametrize("when", ["while its agent is away", "right after"])
def test_an_edit_reaches_a_node_whose_agent_has_just_begun_a_little_later(when: str) -> None:
    away = is_(agent=0)
    more = but(wants(selected=DEVICES | {"cam-2"}), is_(present=DEVICES | {"cam-2"}))
    at_first = (1, GOOD) if when == "right after" else (1, away(more))

    def caught_within(seconds: float) -> bool:
        return (STATE, "one cam-2") in broken(run((5, away(GOOD)), at_first, (seconds, more)))

    assert not caught_within(6.8)
    assert caught_within(8.6)


def test_an_edit_is_heard_of_in_time_where_the_agent_has_been_there_all_along() -> None:
    more = but(wants(selected=DEVICES | {"cam-2"}), is_(present=DEVICES | {"cam-2"}))
    assert (STATE, "one cam-2") in broken(run((20, GOOD), (4, more)))


def test_a_statement_that_follows_a_restless_truth_at_a_distance_is_as_late_as_that_distance() -> None:
    # In use or not, second by second, and told one second late each time: never right, never later than that.
    used, free = GOOD, but(is_(held={}, running={}))
    late = [
        but(*([is_(held={}, running={})] if second % 2 else []), says("cam-0", Told(state="Healthy", holders=holders)))
        for second in range(20)
        for holders in [USER if second % 2 else frozenset[str]()]
    ]
    verdict = check(run((1, used), (1, free), *((1, sample) for sample in late)))
    tally = verdict.tallies[USE]
    assert tally.worst is not None
    assert tally.worst.delay == pytest.approx(1.0)


def test_counts_may_know_of_each_node_as_it_was_at_another_time() -> None:
    both = but(*GONE_1, is_(OTHER, present=frozenset({"cam-0"}), offered=frozenset({"cam-0"})))
    told = (says("cam-1", MISSING), says("cam-1", MISSING, OTHER))
    one_is_told = but(lambda _: both, *told, sums("SomeUnhealthy", healthy=3, unhealthy=1))
    assert COUNT not in kinds(run((5, GOOD), (2, one_is_told)))
    assert COUNT in kinds(run((5, GOOD), (5, one_is_told)))


def test_of_a_node_without_an_agent_the_status_may_say_what_was_and_after_45_s_must_say_unknown() -> None:
    gone_meanwhile = but(*DEAD, is_(present=frozenset({"cam-0"})))
    assert not broken(run((5, GOOD), (44, gone_meanwhile)))
    assert broken(run((5, GOOD), (50, gone_meanwhile))) == {
        (UNKNOWN, f"{NODE}{more}")
        for more in ("", f" {RESOURCE}", " in Degraded", " in nodes ready", " in nodes updated", " in problems")
    }
    told = but(lambda _: gone_meanwhile, *UNKNOWN_1)
    verdict = check(run((5, GOOD), (40, gone_meanwhile), (60, told)))
    assert not verdict.violations
    worst = verdict.tallies[UNKNOWN].worst
    assert worst is not None
    assert worst.delay == pytest.approx(40.0, abs=2 * BEAT)


def test_two_lost_nodes_both_have_to_count_as_unknown() -> None:
    both = but(*DEAD, is_(OTHER, agent=0, offered=frozenset()), *UNKNOWN_1)
    assert broken(run((50, both))) == {
        (UNKNOWN, f"{node}{more}")
        for node in (NODE, OTHER)
        for more in ("", f" {RESOURCE}", " in nodes ready", " in nodes updated", " in problems")
    } - {(UNKNOWN, f"{NODE} in problems")}
    none = tells({"nodes ready": 0, "nodes updated": 0, f"{RESOURCE} nodes": 0})
    problems = frozenset({LOST, replace(LOST, node=OTHER)})
    told = but(lambda _: both, sums("AgentsUnavailable", problems, healthy=0, unknown=4), none)
    assert not broken(run((50, told)))


def test_an_agent_that_is_back_has_as_long_as_everybody_to_tell_the_truth() -> None:
    gone_meanwhile = but(*DEAD, is_(present=frozenset({"cam-0"})))
    back = but(*GONE_1)
    assert not broken(run((5, GOOD), (5, gone_meanwhile), (2.6, back), (5, but(*GONE_1_AND_TOLD))))
    assert STATE in kinds(run((5, GOOD), (5, gone_meanwhile), (5, back)))


def test_a_node_that_was_unknown_has_a_while_to_be_believed_again_and_not_for_ever() -> None:
    told, back = but(*DEAD, *UNKNOWN_1), but(*UNKNOWN_1)
    assert not broken(run((5, GOOD), (60, told), (10, back), (5, GOOD)))
    assert COUNT in kinds(run((5, GOOD), (60, told), (30, back)))


def test_a_node_that_was_cut_off_has_as_long_again_to_be_heard() -> None:
    cut = but(*GONE_1, is_(reaches_api=False))
    assert not broken(run((5, GOOD), (8, cut), (10, but(*GONE_1)), (5, but(*GONE_1_AND_TOLD))))
    assert STATE in kinds(run((5, GOOD), (8, cut), (12, but(*GONE_1))))


def test_while_the_api_server_does_not_answer_no_statement_is_held_against_anybody() -> None:
    silent = replace(but(*GONE_1), api=False)
    assert not broken(run((5, GOOD), (60, silent), (2.6, but(*GONE_1)), (5, but(*GONE_1_AND_TOLD))))
    assert STATE in kinds(run((5, GOOD), (60, silent), (5, but(*GONE_1))))


def test_while_the_api_server_does_not_answer_devices_still_have_to_be_served() -> None:
    lacking = replace(but(is_(offered=frozenset({"cam-0"}))), api=False)
    assert (WITHHELD, "one cam-1") in broken(run((5, GOOD), (10, lacking)))


def test_of_a_config_that_was_edited_while_a_node_was_cut_off_that_node_need_not_know() -> None:
    excluded = wants(selected=frozenset({"cam-0"}))
    cut = but(is_(reaches_api=False), excluded, says("cam-1", None, OTHER), is_(OTHER, offered=frozenset({"cam-0"})))
    assert not broken(
        run((6, GOOD), (10, but(lambda _: cut, sums(total=3, healthy=3), tells({f"{RESOURCE} slots": 3}))))
    )


def test_a_node_that_is_cut_off_still_has_to_serve_what_it_knew() -> None:
    lacking = but(is_(reaches_api=False, offered=frozenset({"cam-0"})))
    assert broken(run((6, GOOD), (10, lacking))) == {(WITHHELD, "one cam-1")}


def test_a_kubelet_that_does_not_answer_withholds_nothing_and_has_five_seconds_after_that() -> None:
    away = but(is_(offered=None, held=None))
    unregistered = reports(registered={RESOURCE: False}, conditions={"Registered": Said(status="False")})
    lacking = but(is_(offered=frozenset()), unregistered)
    assert not broken(run((5, GOOD), (20, away), (4, lacking), (5, GOOD)))
    assert WITHHELD in kinds(run((5, GOOD), (20, away), (7, lacking)))


def test_time_in_which_the_sampler_itself_did_not_run_does_not_count() -> None:
    samples = run((5, GOOD), (2, but(*GONE_1)), (5, but(*GONE_1_AND_TOLD)))
    late = [replace(sample, at=sample.at + (10.0 if sample.at > 6.0 else 0.0)) for sample in samples]
    verdict = check(late)
    assert not verdict.violations
    assert verdict.seconds - verdict.counted == pytest.approx(10.0, abs=0.01)


TRUTHS = st.lists(
    st.tuples(st.integers(1, 4), st.sets(st.sampled_from(sorted(DEVICES))), st.booleans()), min_size=1, max_size=4
)


def told_truly(present: frozenset[str], used: bool) -> Sample:
    """That is so on one node, and everybody says so."""
    holders = USER if used else frozenset[str]()
    told = {
        device: Told(
            state="Healthy" if device in present else "Unhealthy",
            reason="" if device in present else "DeviceMissing",
            holders=holders if device == "cam-0" else frozenset(),
        )
        for device in DEVICES
    }
    held = USED if used else {}
    missing = len(DEVICES - present)
    return but(
        is_(present=present, offered=present, held=held, running=held),
        *(says(device, each) for device, each in told.items()),
        sums(
            "SomeUnhealthy" if missing else "AllNodesReady",
            frozenset(
                Complaint(node=NODE, device=device, state="Unhealthy", reason="DeviceMissing")
                for device in DEVICES - present
            ),
            healthy=4 - missing,
            unhealthy=missing,
            allocated=int(used),
        ),
        tells({f"{RESOURCE} slots in use": int(used)}),
    )


@settings(deadline=None, max_examples=30)
@given(TRUTHS)
def test_whatever_happens_who_always_tells_the_truth_breaks_nothing(truths: list[tuple[int, set[str], bool]]) -> None:
    spans = [(seconds, told_truly(frozenset(present), used)) for seconds, present, used in truths]
    verdict = check(run((1, GOOD), *spans))
    assert not verdict.violations
    assert all(tally.late == 0 for tally in verdict.tallies.values())


@settings(deadline=None, max_examples=30)
@given(TRUTHS, st.floats(0.0, 8.0))
def test_statements_that_all_come_so_late_break_their_promises_when_it_is_too_late(
    truths: list[tuple[int, set[str], bool]], delay: float
) -> None:
    spans = [(seconds, told_truly(frozenset(present), used)) for seconds, present, used in truths]
    samples = run((5, GOOD), *spans, (12, spans[-1][1]))
    behind = round(delay / BEAT)
    late = [
        replace(
            sample, reports=samples[max(0, number - behind)].reports, summary=samples[max(0, number - behind)].summary
        )
        for number, sample in enumerate(samples)
    ]
    verdict = check(late)
    for kind, tally in verdict.tallies.items():
        if tally.worst is not None:
            assert tally.worst.delay <= behind * BEAT + 1e-6
            assert (tally.worst.delay > LIMITS[kind]) == any(each.kind == kind for each in verdict.violations)
