"""From the API server's JSON to facts."""

from typing import Any

import msgspec
import pytest

from device_plugin_api.config import MAX_PROBLEMS
from device_plugin_operator import decode, decode_fleet
from device_plugin_operator.plan import revision
from operator_fixture import RESOURCE, spec

Json = dict[str, Any]
RESOURCES = [{"name": RESOURCE, "source": {"paths": {"include": ["/dev/video*"]}}}]


def encoded(spec: Json, status: Json | None = None, **metadata: Any) -> bytes:
    meta = {"name": "cameras", "uid": "u", "resourceVersion": "7", "generation": 3} | metadata
    return msgspec.json.encode({"metadata": meta, "spec": spec, "status": status or {}})


def node_spec(**members: Any) -> Json:
    return {
        "configName": "cameras",
        "configUID": "c",
        "nodeName": "a",
        "nodeUID": "m",
        "revision": revision.of(spec().resources),
        "resources": RESOURCES,
    } | members


def test_a_config_that_our_types_cannot_hold_is_told_with_the_field() -> None:
    found = decode.config(encoded({"resources": [{"name": RESOURCE, "source": {"paths": {"include": "all"}}}]}), {})
    assert found.spec is None
    assert "spec.resources[0].source.paths.include" in found.invalid


def test_a_name_that_an_older_crd_let_pass_is_told() -> None:
    found = decode.config(
        encoded({"resources": [*RESOURCES, {"name": "camera", "source": RESOURCES[0]["source"]}]}), {}
    )
    assert found.spec is None
    assert found.invalid.startswith("spec.resources[1].name 'camera'")


def test_a_status_of_another_shape_counts_as_none() -> None:
    found = decode.config(encoded({"resources": RESOURCES}, {"conditions": "fine"}), {})
    assert found.spec is not None
    assert found.status.conditions == ()


def test_the_revision_is_that_of_the_content_and_not_what_somebody_wrote() -> None:
    assert decode_fleet.node_object(encoded(node_spec())).revision == revision.of(spec().resources)
    assert decode_fleet.node_object(encoded(node_spec(revision="x"))).revision == ""
    assert decode_fleet.node_object(encoded(node_spec(resources=[]))).revision == ""


def test_defaults_that_the_api_server_filled_in_change_no_revision() -> None:
    filled = RESOURCES[0] | {
        "allocation": {"permissions": "rw"},
        "health": {"failureThreshold": 3, "periodSeconds": 10, "probes": [{"type": "Exists"}], "successThreshold": 2},
    }
    assert decode_fleet.node_object(encoded(node_spec(resources=[filled]))).revision == revision.of(spec().resources)


def test_the_mode_belongs_to_the_revision_and_the_usual_one_does_not_change_it() -> None:
    usual = decode_fleet.node_object(encoded(node_spec(mode="Serve")))
    assert usual.revision == revision.of(spec().resources) == revision.of(spec().resources, "Serve")
    assert decode_fleet.node_object(encoded(node_spec(mode="Preview"))).revision == ""
    previewed = node_spec(mode="Preview", revision=revision.of(spec().resources, "Preview"))
    assert decode_fleet.node_object(encoded(previewed)).revision == previewed["revision"] != usual.revision


def test_an_agent_that_has_nothing_to_register_has_registered_all_that_it_shall() -> None:
    def told(reason: str) -> bool:
        condition = {"type": "Registered", "status": "False", "reason": reason}
        found = decode_fleet.node_object(encoded(node_spec(), {"conditions": [condition]})).registered
        assert found is not None
        return found.holds

    assert told("Preview")
    assert told("ResourceNameConflict")
    assert not told("NotRegistered")


def test_the_order_of_resources_changes_no_revision() -> None:
    two = [RESOURCES[0], RESOURCES[0] | {"name": "example.com/b"}]
    assert revision.of(spec(resources=two).resources) == revision.of(spec(resources=two[::-1]).resources)


def test_only_devices_that_do_not_work_are_kept_and_only_so_many() -> None:
    devices = [{"id": f"d{number}", "state": "Unhealthy", "reason": "r"} for number in range(MAX_PROBLEMS + 50)]
    devices.append({"id": "good", "state": "Healthy", "reason": "ok"})
    counts = {"total": MAX_PROBLEMS + 51, "healthy": 1, "unhealthy": MAX_PROBLEMS + 50}
    found = decode_fleet.node_object(
        encoded(node_spec(), {"resources": [{"name": RESOURCE, "counts": counts, "devices": devices}]})
    )
    assert len(found.troubles) == MAX_PROBLEMS
    assert found.more_troubles
    assert found.offers[0].counts.healthy == 1


def test_a_report_of_another_shape_is_no_report() -> None:
    found = decode_fleet.node_object(encoded(node_spec(), {"resources": "none"}))
    assert not found.readable
    assert found.observed_revision == ""


def test_a_pod_that_waits_is_known_by_the_node_it_is_meant_for() -> None:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    status = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}]}
    found = decode_fleet.agent_pod(encoded({"affinity": {"nodeAffinity": required}}, status))
    assert (found.node, found.bound, found.ready, found.reason) == ("a", False, False, "Unschedulable")


def test_a_container_that_does_not_come_up_says_why() -> None:
    status = {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}]}
    found = decode_fleet.agent_pod(encoded({"nodeName": "a"}, status))
    assert (found.bound, found.ready, found.reason, found.message) == (True, False, "CrashLoopBackOff", "back-off")


def test_a_kubelet_that_has_something_else_is_noticed_and_one_that_agrees_takes_no_room() -> None:
    def told(status: str) -> Json:
        return {"conditions": [{"type": "KubeletAgrees", "status": status, "reason": "r", "message": "misses video3"}]}

    found = decode_fleet.node_object(encoded(node_spec(), told("False"))).disagrees
    assert found is not None
    assert found.message == "misses video3"
    assert decode_fleet.node_object(encoded(node_spec(), told("True"))).disagrees is None


@pytest.mark.parametrize(
    ("ready", "containers", "reason"),
    [
        pytest.param(
            {"status": "False"}, "True", "NodeUnreachable", id="the node controller's word, not the kubelet's"
        ),
        pytest.param({"status": "False", "reason": "ContainersNotReady"}, "False", "", id="its container is not"),
        pytest.param({"status": "False", "reason": "ReadinessGatesNotReady"}, "True", "", id="a gate is closed"),
        pytest.param({"status": "True"}, "True", "", id="all is well"),
    ],
)
def test_a_pod_whose_node_went_silent_is_told_from_one_that_is_not_ready(
    ready: dict[str, str], containers: str, reason: str
) -> None:
    conditions = [{"type": "Ready", **ready}, {"type": "ContainersReady", "status": containers}]
    assert decode_fleet.agent_pod(encoded({"nodeName": "a"}, {"conditions": conditions})).reason == reason
