"""The checker of tests/chaos_bed holds conditions and registrations against the facts."""

from collections.abc import Mapping

import pytest

from chaos_bed.findings import CONDITION, NODE_CONDITION, STATUS
from chaos_bed.invented import (
    DEAD,
    DEVICES,
    GONE_1_AND_TOLD,
    GOOD,
    NODE,
    OTHER,
    UNKNOWN_1,
    Change,
    broken,
    broken_by,
    broken_in_passing_by,
    but,
    conditions,
    is_,
    reports,
    run,
    says,
    sums,
    tells,
    wants,
)
from chaos_bed.invented import RESOURCE as CAM
from chaos_bed.samples import Said, Sample, Told


def condition(type_: str, status: str, reason: str = "") -> Change:
    """A config says so."""

    def change(sample: Sample) -> Sample:
        known = sample.summary.conditions
        said = Said(status=status, reason=reason or known[type_].reason)
        return tells(conditions={**known, type_: said})(sample)

    return change


def of_node(type_: str, status: str) -> Change:
    """A NodeDevicePlugin says so."""

    def change(sample: Sample) -> Sample:
        known = sample.reports[NODE].conditions
        return reports(conditions={**known, type_: Said(status=status, reason="X")})(sample)

    return change


LIES: Mapping[str, tuple[Sample, tuple[str, str]]] = {
    "not ready though its word says so": (but(condition("Ready", "False")), (CONDITION, "Ready")),
    "ready though its word does not": (
        but(*DEAD, *UNKNOWN_1, condition("Ready", "True")),
        (CONDITION, "Ready"),
    ),
    "Ready is not known": (but(condition("Ready", "Unknown")), (CONDITION, "Ready")),
    "Ready is not there": (but(tells(conditions={})), (CONDITION, "Ready")),
    "on its way though all is at rest": (but(condition("Progressing", "True")), (CONDITION, "Progressing")),
    "starting though all has run for long": (but(sums("Starting")), (STATUS, "Ready")),
    "rolling out though every node runs it": (but(sums("RolloutInProgress")), (STATUS, "Ready")),
    "the kubelet disagrees though it does not": (but(sums("KubeletDisagrees")), (STATUS, "Ready")),
    "starting, and nothing on its way": (
        but(sums("Starting"), condition("Progressing", "False")),
        (CONDITION, "Progressing"),
    ),
    "degraded though all is well": (but(condition("Degraded", "True")), (CONDITION, "Degraded")),
    "degraded on its way though all devices work": (
        but(sums("Starting"), condition("Degraded", "True")),
        (CONDITION, "Degraded"),
    ),
    "not degraded though a device is gone": (
        but(*GONE_1_AND_TOLD, condition("Degraded", "False")),
        (CONDITION, "Degraded"),
    ),
    "not degraded on its way though a device is gone": (
        but(*GONE_1_AND_TOLD, tells(conditions=conditions("RolloutInProgress"))),
        (CONDITION, "Degraded"),
    ),
    "a node says that the kubelet does not know a resource that it offers": (
        but(reports(registered={CAM: False})),
        (NODE_CONDITION, f"one {CAM}"),
    ),
    "a node says that the kubelet knows a resource of which it offers nothing": (
        but(is_(offered=frozenset())),
        (NODE_CONDITION, f"one {CAM}"),
    ),
    "a node has not registered what the kubelet offers": (
        but(of_node("Registered", "False")),
        (NODE_CONDITION, "one Registered"),
    ),
    "a node has registered everything, and the kubelet offers nothing": (
        but(is_(offered=frozenset())),
        (NODE_CONDITION, "one Registered"),
    ),
    "a node's kubelet disagrees though it does not": (
        but(of_node("KubeletAgrees", "False")),
        (NODE_CONDITION, "one KubeletAgrees"),
    ),
    "a node refuses a config that is right": (
        but(of_node("ConfigAccepted", "False")),
        (NODE_CONDITION, "one ConfigAccepted"),
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


def test_what_is_on_its_way_may_say_so_until_all_has_run_for_a_while() -> None:
    starting = but(sums("Starting"), tells({"nodes ready": 1}))
    assert not broken(run((17, starting)))
    assert {kind for kind, _ in broken(run((20, starting)))} >= {STATUS, CONDITION}


def test_a_config_that_a_node_cannot_have_heard_of_is_not_ready() -> None:
    cut = is_(reaches_api=False)
    edited = but(
        cut,
        wants(selected=frozenset({"cam-0"})),
        is_(OTHER, offered=frozenset({"cam-0"})),
        says("cam-1", None, OTHER),
        sums("AllNodesReady", total=3, healthy=3),
        tells({f"{CAM} slots": 3, "nodes updated": 1}),
    )
    assert broken(run((20, GOOD), (3, but(cut)), (10, edited))) == {(STATUS, "Ready"), (CONDITION, "Ready")}


def test_a_kubelet_that_differs_may_be_said_to() -> None:
    differing = is_(offered=frozenset({"cam-0"}))
    said = but(differing, of_node("KubeletAgrees", "False"))
    assert (NODE_CONDITION, "one KubeletAgrees") not in broken(run((20, GOOD), (10, said)))


def test_a_resource_of_which_nothing_works_may_be_registered_or_not() -> None:
    gone = [is_(present=frozenset(), offered=frozenset(), held={}, running={})]
    gone += [says(device, Told(state="Unhealthy", reason="DeviceMissing")) for device in sorted(DEVICES)]
    either = [but(*gone), but(*gone, reports(registered={CAM: False}), of_node("Registered", "False"))]
    for sample in either:
        assert not {what for what in broken(run((20, GOOD), (10, sample))) if what[0] == NODE_CONDITION}


def test_where_nothing_is_wanted_nothing_has_to_be_registered() -> None:
    nothing = but(
        wants(selected=frozenset()),
        is_(offered=frozenset(), held={}, running={}),
        reports(devices={}, registered={}),
        of_node("Registered", "False"),
    )
    assert (NODE_CONDITION, "one Registered") not in broken(run((20, GOOD), (10, nothing)))


def test_a_resource_whose_devices_are_all_on_their_way_back_is_registered() -> None:
    back = [says(device, Told(state="Unhealthy", reason="Recovering")) for device in sorted(DEVICES)]
    recovering = but(is_(offered=frozenset()), *back)
    assert not {what for what in broken(run((20, GOOD), (10, recovering))) if what[0] == NODE_CONDITION}
