"""The checker of tests/chaos_bed holds every count against the facts: of devices, slots and nodes."""

from collections.abc import Mapping

import pytest

from chaos_bed.findings import COUNT, NODE_COUNT, NODES, RESOURCE, STATUS, UNTOLD
from chaos_bed.invented import (
    DEAD,
    DEVICES,
    GONE_1,
    GONE_1_AND_TOLD,
    GOOD,
    MISSING,
    NODE,
    OTHER,
    UNKNOWN_1,
    Change,
    broken,
    broken_by,
    broken_in_passing_by,
    but,
    counts,
    is_,
    kinds,
    run,
    says,
    sums,
    tells,
    wants,
)
from chaos_bed.invented import RESOURCE as CAM
from chaos_bed.samples import Sample

LIES: Mapping[str, tuple[Sample, tuple[str, str]]] = {
    "a node counts too many": (but(counts({"total": 3})), (NODE_COUNT, "one total")),
    "a node counts too few that work": (but(counts({"healthy": 1})), (NODE_COUNT, "one healthy")),
    "a node counts what is gone as healthy": (
        but(*GONE_1_AND_TOLD, counts({"healthy": 2})),
        (NODE_COUNT, "one healthy"),
    ),
    "a node counts some as unknown though its agent runs": (but(counts({"unknown": 1})), (NODE_COUNT, "one unknown")),
    "a node forgets of a resource what is in use": (
        but(counts({f"{CAM} allocated": 0})),
        (NODE_COUNT, f"one {CAM} allocated"),
    ),
    "a node has more slots than devices": (but(counts({f"{CAM} slots": 3})), (NODE_COUNT, f"one {CAM} slots")),
    "a slot is in use and not counted": (
        but(counts({f"{CAM} slots in use": 0})),
        (NODE_COUNT, f"one {CAM} slots in use"),
    ),
    "a node counts devices of a resource that is not": (
        but(counts({"ex/other total": 1})),
        (NODE_COUNT, "one ex/other total"),
    ),
    "a resource has too many devices": (but(tells({f"{CAM} total": 5})), (RESOURCE, f"{CAM} total")),
    "a resource has too few that work": (but(tells({f"{CAM} healthy": 3})), (RESOURCE, f"{CAM} healthy")),
    "a resource has what no config wants": (but(tells({"ex/other healthy": 1})), (RESOURCE, "ex/other healthy")),
    "a resource has too many slots": (but(tells({f"{CAM} slots": 5})), (RESOURCE, f"{CAM} slots")),
    "a resource has too few slots in use": (but(tells({f"{CAM} slots in use": 0})), (RESOURCE, f"{CAM} slots in use")),
    "a resource is offered on too few nodes": (but(tells({f"{CAM} nodes": 1})), (RESOURCE, f"{CAM} nodes")),
    "a resource is offered on nodes that have none of it": (
        but(
            wants(selected=frozenset()),
            *(is_(node, offered=frozenset(), held={}, running={}) for node in (NODE, OTHER)),
        ),
        (RESOURCE, f"{CAM} nodes"),
    ),
    "a node too few shall have agents": (but(tells({"nodes desired": 1})), (NODES, "nodes desired")),
    "a node too many shall have agents": (but(tells({"nodes desired": 3})), (NODES, "nodes desired")),
    "more nodes are ready than there are": (but(tells({"nodes ready": 3})), (NODES, "nodes ready")),
    "more nodes are up to date than there are": (but(tells({"nodes updated": 3})), (NODES, "nodes updated")),
    "a node that runs the config is not counted": (but(tells({"nodes updated": 1})), (NODES, "nodes updated")),
    "a node that is ready is not counted": (but(tells({"nodes ready": 1})), (NODES, "nodes ready")),
    "a device in use that is gone is no problem": (
        but(is_(present=frozenset({"cam-1"}), offered=frozenset({"cam-1"}))),
        (UNTOLD, "one cam-0"),
    ),
    "a device that is gone is no problem": (but(*GONE_1), (UNTOLD, "one cam-1")),
    "a device that is gone on one node is a problem of another": (
        but(*GONE_1_AND_TOLD, is_(present=DEVICES, offered=DEVICES), is_(OTHER, present=frozenset({"cam-0"}))),
        (UNTOLD, "two cam-1"),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_lasts_is_caught(lie: str) -> None:
    sample, what = LIES[lie]
    assert what in broken_by(sample)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_is_mended_in_time_breaks_nothing(lie: str) -> None:
    sample, _ = LIES[lie]
    assert not broken_in_passing_by(sample)


def test_a_device_that_went_while_it_was_wanted_is_missing_in_every_statement() -> None:
    assert broken(run((20, GOOD), (4, but(*GONE_1, says("cam-1", None))))) >= {
        ("NodeDevicePlugin: a device's state", "one cam-1"),
        (NODE_COUNT, "one total"),
        (COUNT, "unhealthy"),
        (STATUS, "Ready"),
        (UNTOLD, "one cam-1"),
    }


@pytest.mark.parametrize(
    "then", [is_(agent=2), wants(cordoned=frozenset({(OTHER, "cam-9")}))], ids=["another agent", "another config"]
)
def test_a_free_device_that_went_may_be_forgotten_by_another_agent_or_with_another_config(then: Change) -> None:
    forgotten = but(*GONE_1, says("cam-1", None), sums(total=3, healthy=3), tells({f"{CAM} slots": 3}), then)
    assert not broken(run((20, GOOD), (2, but(*GONE_1_AND_TOLD)), (10, forgotten)))


def test_problems_that_are_not_all_listed_may_lack_one() -> None:
    told = but(*GONE_1, says("cam-1", MISSING), sums("SomeUnhealthy", healthy=3, unhealthy=1))
    assert broken(run((20, GOOD), (5, told))) == {(UNTOLD, "one cam-1")}
    assert not broken(run((20, GOOD), (5, but(lambda _: told, tells(truncated=True)))))


def test_a_node_may_be_not_ready_until_its_agent_has_run_for_a_while() -> None:
    fewer = tells({"nodes ready": 1}, conditions=GOOD.summary.conditions)
    assert NODES not in kinds(run((17, but(fewer))))
    assert NODES in kinds(run((20, but(fewer))))
    assert NODES not in kinds(run((30, GOOD), (17, but(is_(agent=2), fewer)), (5, but(is_(agent=2)))))


def test_a_kubelet_that_was_away_may_have_lost_sight_of_an_agent_for_a_while() -> None:
    away, fewer = but(is_(offered=None, held=None)), but(tells({"nodes ready": 1}))
    assert NODES not in kinds(run((30, GOOD), (1, away), (17, fewer), (5, GOOD)))
    assert NODES in kinds(run((30, GOOD), (1, away), (20, fewer)))


def test_an_edit_reaches_every_node_and_then_each_is_up_to_date() -> None:
    edited = but(
        wants(selected=frozenset({"cam-0"})),
        *(is_(node, offered=frozenset({"cam-0"})) for node in (NODE, OTHER)),
        *(says("cam-1", None, node) for node in (NODE, OTHER)),
        sums(total=2, healthy=2),
        tells({f"{CAM} slots": 2}),
    )
    behind = but(lambda _: edited, tells({"nodes updated": 0}))
    assert NODES not in kinds(run((20, GOOD), (7.6, behind), (5, edited)))
    assert NODES in kinds(run((20, GOOD), (9, behind)))


def test_a_node_that_is_cut_off_does_not_run_what_it_cannot_have_heard_of() -> None:
    cut = is_(reaches_api=False)
    edited = but(
        cut,
        wants(selected=frozenset({"cam-0"})),
        is_(OTHER, offered=frozenset({"cam-0"})),
        says("cam-1", None, OTHER),
        sums("RolloutInProgress", total=3, healthy=3),
        tells({f"{CAM} slots": 3, "nodes updated": 1}),
    )
    claimed = but(lambda _: edited, tells({"nodes updated": 2}))
    assert not broken(run((20, GOOD), (3, but(cut)), (10, edited)))
    assert broken(run((20, GOOD), (3, but(cut)), (10, claimed))) == {(NODES, "nodes updated")}
    # What it had before is what it runs.
    back = but(lambda _: claimed, wants(selected=DEVICES))
    assert NODES not in kinds(run((20, GOOD), (3, but(cut)), (2, edited), (10, back)))
    # It was cut off so shortly before the edit that it may have heard.
    assert NODES not in kinds(run((20, GOOD), (1, but(cut)), (10, claimed)))


def test_of_a_lost_node_nothing_has_to_be_counted() -> None:
    assert not broken(run((20, GOOD), (20, but(*DEAD)), (20, but(*DEAD, *UNKNOWN_1))))


@pytest.mark.parametrize("there", [DEVICES, frozenset[str]()], ids=["all of it", "nothing of it"])
def test_a_node_whose_kubelet_offers_nothing_of_a_resource_may_be_not_ready(there: frozenset[str]) -> None:
    unregistered = but(is_(present=there, offered=frozenset()), tells({"nodes ready": 1}))
    assert NODES not in kinds(run((20, GOOD), (10, unregistered)))


def test_a_device_that_came_and_went_in_a_moment_may_never_have_been_seen() -> None:
    there = but(wants(selected=DEVICES | {"cam-2"}))
    moment = but(lambda _: there, is_(present=DEVICES | {"cam-2"}))
    assert not broken(run((20, there), (2, moment), (10, there)))
    assert (UNTOLD, "one cam-2") in broken(run((20, there), (6, moment), (10, there)))


def test_a_cordon_makes_no_node_behind() -> None:
    cut = is_(reaches_api=False)
    cordoned = but(cut, wants(cordoned=frozenset({(NODE, "cam-1")})))
    assert not broken(run((20, GOOD), (3, but(cut)), (10, cordoned)))
