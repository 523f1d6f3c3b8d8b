"""The truth table of the conditions, row by row."""

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from device_plugin_api.conditions import Condition, find
from device_plugin_api.config import ConfigStatus
from device_plugin_api.node import WithheldResource
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import Rivals, Snapshot, Trial, Verdict
from device_plugin_operator.plan import policies, revision, status
from operator_fixture import NOW, RESOURCE, config, counts, daemons, node, pod, snapshot, spec, trouble

REJECTION = Verdict(False, "example.com/camera: no such source; the last accepted configuration goes on", timestamp(0))
DISAGREEMENT = Verdict(False, "example.com/camera: the kubelet has 1 of 2, misses video3", timestamp(0))
BROKEN = {"devices": counts(1, 1), "troubles": (trouble("video3"),)}
LONG_AGO = NOW - 31
OLDER = node("a", config="others", config_created="2020")
PREVIEWED = spec(mode="Preview")
SEEN = {key: revision.of(PREVIEWED.resources, PREVIEWED.mode) for key in ("revision", "observed_revision")}

ROWS: list[tuple[str, Snapshot, str, str]] = [
    ("a spec that cannot be used", snapshot(config=config(invalid="no")), "InvalidSpec", "FFTT"),
    (
        "an older config has the name",
        snapshot(node("a"), node("b"), rivals={"a": Rivals(objects=(OLDER,))}),
        "ResourceNameConflict",
        "FFTT",
    ),
    (
        "a younger config still has the name",
        snapshot(
            node("a", withheld=(WithheldResource(name=RESOURCE, config="others", since=timestamp(NOW)),)),
            node("b"),
            rivals={"a": Rivals(objects=(replace(OLDER, config_created="2030"),))},
        ),
        "Starting",
        "FTF-",
    ),
    ("an agent rejects it", snapshot(node("a", accepted=REJECTION), node("b")), "ConfigRejected", "FFTT"),
    (
        "the rollout is paused",
        snapshot(node("a", revision="old", observed_revision="old"), config=config(spec(rollout={"paused": True}))),
        "RolloutPaused",
        "FFT-",
    ),
    (
        "a node got worse by the new configuration and another waits for it",
        snapshot(
            node("a", **BROKEN, trial=Trial(healthy={RESOURCE: ("video3",)})),
            node("b", revision="old", observed_revision="old"),
        ),
        "RolloutPaused",
        "FFTT",
    ),
    ("an agent is silent", snapshot(node("a"), pods=[], unready={"a": LONG_AGO}), "AgentsUnavailable", "FFT-"),
    (
        "an agent crashes",
        snapshot(node("a"), pods=[pod("a", ready=False, reason="CrashLoopBackOff")]),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "an agent cannot be scheduled",
        snapshot(
            pods=[pod("a", bound=False, ready=False, reason="Unschedulable")],
            unready={"a": LONG_AGO},
            daemons=daemons(1),
        ),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "agents were never created",
        snapshot(node("a"), daemons=daemons(2), unready={"": LONG_AGO}),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "the kubelet refuses a resource for long",
        snapshot(node("a", registered=Verdict(False, "the kubelet refused it", timestamp(LONG_AGO)))),
        "AgentsUnavailable",
        "FFT-",
    ),
    (
        "a node runs another revision",
        snapshot(node("a", observed_revision="old"), node("b")),
        "RolloutInProgress",
        "FTF-",
    ),
    (
        "a node runs another revision and a device is broken",
        snapshot(node("a", observed_revision="old", **BROKEN)),
        "RolloutInProgress",
        "FTT-",
    ),
    ("agents are being replaced", snapshot(node("a"), daemons=daemons(1, updated=0)), "RolloutInProgress", "FTF-"),
    ("nothing is there yet", snapshot(daemons=daemons(None)), "Starting", "FTF-"),
    (
        "an agent starts",
        snapshot(node("a", observed_revision="", registered=None, created=timestamp(NOW - 5)), node("b")),
        "Starting",
        "FTF-",
    ),
    ("an agent is away for a moment", snapshot(node("a"), node("b"), pods=[pod("b")]), "Starting", "FTF-"),
    (
        "the kubelet has something else",
        snapshot(node("a", disagrees=DISAGREEMENT), node("b")),
        "KubeletDisagrees",
        "FFT-",
    ),
    (
        "devices are only looked at",
        snapshot(node("a", **SEEN), node("b", **SEEN), config=config(PREVIEWED)),
        "Preview",
        "TFF-",
    ),
    (
        "devices are only looked at and one is broken",
        snapshot(node("a", **SEEN, **BROKEN), config=config(PREVIEWED)),
        "Preview",
        "TFT-",
    ),
    (
        "devices are only looked for",
        snapshot(node("a", **SEEN, devices=counts()), config=config(PREVIEWED)),
        "NoDevicesFound",
        "TFF-",
    ),
    ("a device is broken", snapshot(node("a", **BROKEN), node("b")), "SomeUnhealthy", "TFT-"),
    ("a device's state is unknown", snapshot(node("a", devices=counts(1, 0, 1))), "SomeUnhealthy", "TFT-"),
    ("nodes are selected and have nothing", snapshot(node("a", devices=counts())), "NoDevicesFound", "TFF-"),
    ("no node is selected", snapshot(), "NoMatchingNodes", "TFF-"),
    ("all is well", snapshot(node("a"), node("b")), "AllNodesReady", "TFF-"),
]


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
