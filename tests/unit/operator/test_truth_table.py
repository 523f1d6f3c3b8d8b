"""The truth table of the conditions, row by row."""

import dataclasses
import re
from typing import Any

import pytest

from device_plugin_api.conditions import Condition, find
from device_plugin_api.config import ConfigStatus
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import Snapshot
from device_plugin_operator.plan import policies, status
from operator_fixture import NOW, config, counts, daemons, node, pod, snapshot, spec, trouble
from operator_fixture.truth_table import BROKEN, LONG_AGO, REJECTION, ROWS


@pytest.mark.parametrize(("seen", "reason", "conditions"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_row_has_its_reason_and_conditions(seen: Snapshot, reason: str, conditions: str) -> None:
    made = status.status(seen, "agents").conditions
    told = "".join(_letter(made, type_) for type_ in ("Ready", "Progressing", "Degraded", "Stalled"))
    ready = find(made, "Ready")
    assert ready is not None
    assert (ready.reason, told) == (reason, conditions)
    assert ready.message
    assert (find(made, "Reconciling") is not None) == (told[1] == "T")
    assert all(condition.observed_generation == 2 for condition in made)


def _letter(conditions: tuple[Condition, ...], type_: str) -> str:
    found = find(conditions, type_)
    return found.status[0] if found else "-"


def test_every_policy_has_a_row() -> None:
    reasons = {row[2] for row in ROWS}
    assert len(reasons) == len(policies.CHAIN) + 1


ADVICE = {
    "InvalidSpec": "correct the spec",
    "ResourceNameConflict": "give it another name, or select other nodes",
    "ConfigRejected": "Correct spec.resources",
    "RolloutPaused": "spec.rollout.(paused to false|onRegression to Continue)",
    "AgentsUnavailable": "(kubectl -n agents describe (pods|daemonsets) -l deviceplugins.dev/config=)",
    "KubeletDisagrees": "kubelet's log.*an agent whose pod is deleted registers anew",
    "Preview": "set spec.mode to Serve",
    "SomeUnhealthy": "See status.problems",
    "NoMatchingNodes": "kubectl get nodes --show-labels",
    "NoDevicesFound": "kubectl get ndp -l deviceplugins.dev/config=",
}
"""What helps. The others are on their way, or nothing has to be done."""


@pytest.mark.parametrize(("seen", "reason"), [row[1:3] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_message_says_what_to_do_next(seen: Snapshot, reason: str) -> None:
    ready = find(status.status(seen, "agents").conditions, "Ready")
    assert ready is not None
    assert re.search(ADVICE.get(reason, ""), ready.message)


def test_the_worst_of_several_is_told() -> None:
    everything = snapshot(
        node("a", accepted=REJECTION),
        node("b", observed_revision="old", **BROKEN),
        node("c"),
        pods=[pod("a"), pod("b")],
        unready={"c": LONG_AGO},
    )
    ready = find(status.status(everything, "agents").conditions, "Ready")
    assert ready is not None
    assert ready.reason == "ConfigRejected"


def test_a_refused_daemonset_is_told_in_the_api_servers_words() -> None:
    refused = dataclasses.replace(daemons(None), live=None, expected=None, refusal="exceeded quota: pods")
    ready = find(status.status(snapshot(daemons=refused), "agents").conditions, "Ready")
    assert ready is not None
    assert ready.reason == "AgentsUnavailable"
    assert "exceeded quota: pods" in ready.message


def test_numbers_of_a_daemonset_that_its_controller_has_not_seen_are_not_believed() -> None:
    stale = daemons(1)
    assert stale.live is not None
    stale.live["metadata"]["generation"] = 2
    made = status.status(snapshot(node("a"), daemons=stale), "agents")
    ready = find(made.conditions, "Ready")
    assert ready is not None
    assert ready.status == "False"


def test_devices_of_a_silent_agent_are_unknown_and_their_node_is_the_one_problem() -> None:
    silent = node("a", devices=counts(3, 1), troubles=(trouble("video3"),))
    made = status.status(snapshot(silent, node("b"), pods=[pod("b")], unready={"a": LONG_AGO}), "agents")
    assert made.devices == counts(2, 0, 4)
    assert [(problem.node, problem.device, problem.reason, problem.since) for problem in made.problems] == [
        ("a", "", "AgentMissing", timestamp(LONG_AGO))
    ]
    assert made.nodes.ready == 1


def test_devices_of_a_node_that_does_not_answer_kubernetes_any_more_are_unknown_at_once() -> None:
    lost = pod("a", ready=False, reason="NodeUnreachable", message="kubectl describe node")
    made = status.status(snapshot(node("a", devices=counts(3, 1)), pods=[lost], unready={"a": NOW}), "agents")
    assert made.devices == counts(0, 0, 4)
    assert [(problem.node, problem.reason, problem.message, problem.since) for problem in made.problems] == [
        ("a", "NodeUnreachable", "kubectl describe node", timestamp(NOW))
    ]


def test_devices_of_an_agent_that_is_away_for_a_moment_are_believed() -> None:
    made = status.status(snapshot(node("a"), pods=[], unready={"a": NOW - 29}), "agents")
    assert made.devices == counts(2)
    assert made.problems == ()


def test_the_same_facts_make_the_same_status_at_another_time() -> None:
    first = status.status(snapshot(node("a", **BROKEN)), "agents")
    later = snapshot(node("a", **BROKEN), now=NOW + 100, config=config(status=first))
    assert status.status(later, "agents") == first


def test_a_condition_keeps_its_time_while_only_its_message_changes() -> None:
    first = status.status(snapshot(node("a")), "agents")
    second = status.status(snapshot(node("a"), node("b"), now=NOW + 60, config=config(status=first)), "agents")
    before, after = find(first.conditions, "Ready"), find(second.conditions, "Ready")
    assert before is not None and after is not None
    assert before.message != after.message
    assert before.last_transition_time == after.last_transition_time


def test_before_anything_is_known_all_conditions_are_unknown() -> None:
    made = status.first(config(), NOW)
    assert {condition.type: condition.status for condition in made.conditions} == dict.fromkeys(
        ("Degraded", "Progressing", "Ready"), "Unknown"
    )
    assert made.observed_generation == 2


def test_each_resource_is_summed_over_its_nodes_in_the_specs_order() -> None:
    both = spec(resources=[_simulated("example.com/b"), _simulated("example.com/a")])
    made = status.status(snapshot(node("a"), config=config(both)), "agents")
    assert [(found.name, found.nodes, found.devices.total) for found in made.resources] == [
        ("example.com/b", 0, 0),
        ("example.com/a", 0, 0),
        ("example.com/camera", 1, 2),  # still draining
    ]


def _simulated(name: str) -> dict[str, Any]:
    return {"name": name, "source": {"simulated": {"count": 1}}}


def test_it_is_looked_at_again_when_an_agent_is_about_to_become_silent() -> None:
    assert status.recheck_in(snapshot(node("a"), pods=[], unready={"a": NOW - 10})) == pytest.approx(20)
    assert status.recheck_in(snapshot(node("a"), pods=[], unready={"a": LONG_AGO})) is None
    assert status.recheck_in(snapshot(node("a"))) is None


def test_an_invalid_spec_keeps_the_numbers_of_what_runs_on() -> None:
    last = ConfigStatus(nodes=status.status(snapshot(node("a")), "agents").nodes)
    made = status.status(snapshot(node("a"), config=config(invalid="no", status=last), daemons=None), "agents")
    assert (made.nodes.desired, made.nodes.ready, made.devices.total) == (1, 1, 2)
