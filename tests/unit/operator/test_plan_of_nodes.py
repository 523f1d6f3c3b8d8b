"""Which NodeDevicePlugins are made, changed and removed, and which Nodes are looked at for it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_api.config import ConfigSpec
from device_plugin_api.group import TRIAL_ANNOTATION
from device_plugin_api.node import CordonedDevice, NodeSpec, WithheldResource
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import AgentPod, Machine, NodeObject, Rivals, Snapshot, Trial
from device_plugin_operator.plan import agents, nodes, revision
from device_plugin_operator.plan.actions import Action, ApplyDaemonSet, CreateNode, DeleteNode, UpdateNode
from device_plugin_operator.plan.changes import changes
from operator_fixture import NOW, REVISION, UID, config, daemons, machine, node, pod, snapshot, spec

NEWER = timestamp(NOW - 5)


def needed(seen: Snapshot) -> dict[str, str]:
    return nodes.purposes(seen.config, seen.nodes, agents.by_node(seen.pods))


def test_a_node_that_an_agent_is_bound_to_gets_an_object_with_the_nodes_uid() -> None:
    seen = snapshot(pods=[pod("a", ready=False)], machines={"a": machine("a")})
    (action,) = changes(seen)
    assert isinstance(action, CreateNode)
    made = msgspec.convert(action.body["spec"], NodeSpec)
    assert (made.config_name, made.config_uid, made.node_name, made.node_uid) == ("cameras", UID, "a", "machine-a")
    assert made.revision == revision.of(spec().resources)
    assert made.resources == spec().resources
    (owner,) = action.body["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], "blockOwnerDeletion" in owner) == (UID, True, False)


def test_a_pod_that_waits_for_its_node_or_leaves_it_gets_none() -> None:
    seen = snapshot(pods=[pod("a", bound=False), pod("b", terminating=True)], machines={"a": machine("a")})
    assert changes(seen) == []
    assert needed(seen) == {}


def test_a_new_content_of_resources_goes_to_so_many_nodes_at_a_time_with_what_worked_there() -> None:
    other = [{"name": "example.com/other", "source": {"simulated": {"count": 1}}}]
    seen = (node("a"), node("b"), node("c"))
    both = changes(snapshot(*seen, config=config(spec(resources=other, rollout={"maxUnavailable": "50%"}))))
    assert [(type(action), action.name) for action in both] == [(UpdateNode, "cameras.a"), (UpdateNode, "cameras.b")]
    (first,) = changes(snapshot(*seen, config=config(spec(resources=other))))
    assert isinstance(first, UpdateNode)
    assert (first.name, set(first.spec)) == ("cameras.a", {"mode", "revision", "resources"})
    assert first.annotations == {TRIAL_ANNOTATION: '{"healthy":{"example.com/camera":[]},"rejected":false}'}


def test_another_mode_goes_to_so_many_nodes_at_a_time_too() -> None:
    previewed = config(spec(mode="Preview"))
    (first,) = changes(snapshot(node("a"), node("b"), config=previewed))
    assert isinstance(first, UpdateNode)
    assert (first.name, first.spec["mode"]) == ("cameras.a", "Preview")
    assert first.spec["revision"] != REVISION
    (made,) = changes(snapshot(pods=[pod("a")], machines={"a": machine("a")}, config=previewed))
    assert isinstance(made, CreateNode)
    assert msgspec.convert(made.body["spec"], NodeSpec).mode == "Preview"


def test_when_a_trial_is_over_it_is_written_off() -> None:
    assert changes(snapshot(node("a", trial=Trial()))) == [
        UpdateNode(name="cameras.a", uid="ndp-a", spec={}, annotations={TRIAL_ANNOTATION: None})
    ]


def test_an_object_whose_resources_were_changed_by_hand_is_put_back() -> None:
    (action,) = changes(snapshot(node("a", revision="")))
    assert isinstance(action, UpdateNode)


def test_an_object_without_an_agent_stays_while_its_node_is_selected() -> None:
    assert changes(snapshot(node("a"), pods=[], machines={"a": machine("a")})) == []


def test_an_object_goes_when_its_node_is_gone_or_no_longer_selected() -> None:
    gone = snapshot(node("a"), pods=[], machines={"a": None})
    assert changes(gone) == [DeleteNode(name="cameras.a", uid="ndp-a", why="its node is gone")]
    selective = config(spec(nodeSelector={"cameras": "true"}))
    left = snapshot(node("a"), pods=[], machines={"a": machine("a")}, config=selective)
    assert changes(left) == [DeleteNode(name="cameras.a", uid="ndp-a", why="its node is no longer selected")]


def test_an_agent_that_is_being_stopped_keeps_no_object() -> None:
    selective = config(spec(nodeSelector={"cameras": "true"}))
    seen = snapshot(node("a"), pods=[pod("a", terminating=True)], machines={"a": machine("a")}, config=selective)
    assert [type(action) for action in changes(seen)] == [DeleteNode]


def test_another_machine_under_the_same_name_starts_afresh() -> None:
    seen = snapshot(
        node("a"), pods=[pod("a", created=NEWER)], machines={"a": replace(machine("a"), uid="another machine")}
    )
    assert changes(seen) == [DeleteNode(name="cameras.a", uid="ndp-a", why="another node has its name")]


def test_what_was_not_looked_at_is_never_concluded_to_be_gone() -> None:
    assert changes(snapshot(node("a"), pods=[])) == []


def test_objects_of_an_earlier_config_of_this_name_go() -> None:
    stranger = node("a", config_uid="earlier")
    assert changes(snapshot(strangers=(stranger,))) == [
        DeleteNode(name="cameras.a", uid="ndp-a", why="its config was made anew")
    ]


def test_an_object_that_is_being_deleted_is_left_alone() -> None:
    assert changes(snapshot(node("a", terminating=True, revision="old"), machines={"a": machine("a")})) == []


def test_nothing_is_done_to_nodes_before_the_fleet_is_complete() -> None:
    seen = snapshot(node("a"), pods=[], machines={"a": None}, fleet_complete=False)
    assert changes(seen) == []


def test_an_invalid_spec_changes_nothing_that_runs() -> None:
    seen = snapshot(node("a"), pods=[], machines={"a": None}, config=config(invalid="no"), daemons=None)
    assert changes(seen) == []


def test_a_terminating_config_is_left_to_garbage_collection() -> None:
    seen = snapshot(node("a"), config=replace(config(), terminating=True), daemons=replace(daemons(1), live=None))
    assert changes(seen) == []


def test_a_node_is_looked_at_once_for_each_reason() -> None:
    seen = snapshot(node("a"), node("b"), node("c"), pods=[pod("a"), pod("b", created=NEWER), pod("new")])
    assert needed(seen) == {"b": "pod pod-b", "c": "placement 2", "new": "pod pod-new"}
    on_node = agents.by_node(seen.pods)
    checked = {
        name: nodes.Checked(machine=machine(name), purpose=purpose, at=NOW) for name, purpose in needed(seen).items()
    }
    assert nodes.lookups(needed(seen), seen.nodes, on_node, {}, NOW) == ["b", "c", "new"]
    assert nodes.lookups(needed(seen), seen.nodes, on_node, checked, NOW + 1) == []


def test_a_node_without_an_agent_is_looked_at_again_and_again() -> None:
    seen = snapshot(node("a"), pods=[])
    checked = {"a": nodes.Checked(machine=machine("a"), purpose="placement 2", at=NOW)}
    assert nodes.lookups(needed(seen), seen.nodes, {}, checked, NOW + 31) == ["a"]


def test_a_changed_config_makes_nodes_without_an_agent_be_looked_at_anew() -> None:
    seen = snapshot(node("a"), pods=[])
    checked = {"a": nodes.Checked(machine=machine("a"), purpose="placement 1", at=NOW)}
    assert nodes.lookups(needed(seen), seen.nodes, {}, checked, NOW) == ["a"]


def told(written: dict[str, Any]) -> dict[str, Any]:
    """What an object is afterwards."""
    members = {"revision": written["revision"], "mode": written["mode"]} if "revision" in written else {}
    if "withheldResources" in written:
        members["withheld"] = msgspec.convert(written["withheldResources"], tuple[WithheldResource, ...])
    return members


def carried_out(seen: Snapshot, actions: list[Action]) -> Snapshot:
    """The world after that."""
    known = dict(seen.nodes)
    strangers = seen.strangers
    assert not any(isinstance(action, ApplyDaemonSet) for action in actions)
    for action in actions:
        if isinstance(action, CreateNode):
            name = action.body["spec"]["nodeName"]
            known[name] = node(
                name, node_uid=action.body["spec"]["nodeUID"], created=timestamp(NOW), **told(action.body["spec"])
            )
        elif isinstance(action, UpdateNode):
            name = next(name for name, found in known.items() if found.name == action.name)
            now = msgspec.structs.replace(known[name], trial=None, **told(action.spec))
            known[name] = msgspec.structs.replace(now, observed_revision=now.revision)
        elif isinstance(action, DeleteNode):
            known = {name: found for name, found in known.items() if found.uid != action.uid}
            strangers = tuple(found for found in strangers if found.uid != action.uid)
    return replace(seen, nodes=known, strangers=strangers)


NAMES = st.sampled_from("abcde")
OBJECTS = st.builds(
    lambda name, **members: node(name, **members),
    NAMES,
    terminating=st.booleans(),
    revision=st.sampled_from(["", "old", revision.of(spec().resources)]),
)
PODS = st.builds(
    lambda name, **members: pod(name, **members),
    NAMES,
    bound=st.booleans(),
    terminating=st.booleans(),
    created=st.sampled_from([timestamp(NOW - 700), NEWER]),
)
MACHINES = st.dictionaries(
    NAMES, st.none() | st.sampled_from("xyz").map(lambda uid: Machine(name="a", uid=uid, labels={}, taints=()))
)


RIVALS = st.dictionaries(
    NAMES,
    st.sampled_from(["2020", "2030"]).map(
        lambda created: Rivals(objects=(node("a", config="others", config_created=created),))
    ),
)
SPECS = st.sampled_from(
    [spec(), spec(mode="Preview"), spec(rollout={"paused": True}), spec(rollout={"maxUnavailable": 2})]
)


@given(st.lists(OBJECTS), st.lists(PODS), MACHINES, RIVALS, SPECS)
def test_what_was_carried_out_is_not_planned_again_and_concerns_nodes_of_the_config_alone(
    objects: list[NodeObject],
    pods: list[AgentPod],
    machines: dict[str, Machine | None],
    rivals: dict[str, Rivals],
    wanted: ConfigSpec,
) -> None:
    there = {name: found and replace(found, name=name) for name, found in machines.items()}
    seen = snapshot(*objects, pods=pods, machines=there, rivals=rivals, config=config(wanted))
    ours = {f"cameras.{name}" for name in {*seen.nodes, *(found.node for found in pods)}}
    actions = [action for action in changes(seen) if isinstance(action, CreateNode | UpdateNode | DeleteNode)]
    assert {action.name for action in actions} <= ours
    once = carried_out(seen, list(actions))
    # Another machine under an old name: deleted first, made anew then. And a rollout goes from node to node.
    for _ in range(len(objects) + 2):
        once = carried_out(once, changes(once))
    assert changes(once) == []


CORDON = {"resource": "example.com/camera", "device": "video3", "reason": "lens broken"}


def cordoning(*nodes_: str, **more: object) -> ConfigSpec:
    return spec(cordonedDevices=[{"node": name, **CORDON, **more} for name in nodes_])


def test_a_cordon_goes_to_its_node_alone_and_says_nothing_of_the_resources() -> None:
    actions = changes(snapshot(node("a"), node("b"), config=config(cordoning("a"))))
    assert actions == [UpdateNode(name="cameras.a", uid="ndp-a", spec={"cordonedDevices": [CORDON]}, annotations={})]


def test_a_cordon_that_is_there_is_not_written_again_and_one_that_was_lifted_goes() -> None:
    cordoned = msgspec.structs.replace(node("a"), cordoned=(CordonedDevice(**CORDON),))
    assert changes(snapshot(cordoned, config=config(cordoning("a")))) == []
    assert changes(snapshot(cordoned)) == [
        UpdateNode(name="cameras.a", uid="ndp-a", spec={"cordonedDevices": []}, annotations={})
    ]


def test_a_new_object_has_its_cordons_from_the_start() -> None:
    seen = snapshot(pods=[pod("a", ready=False)], machines={"a": machine("a")}, config=config(cordoning("a", "b")))
    (action,) = changes(seen)
    assert isinstance(action, CreateNode)
    assert msgspec.convert(action.body["spec"], NodeSpec).cordoned_devices == (CordonedDevice(**CORDON),)


def test_a_cordon_waits_for_no_rollout() -> None:
    other = [{"name": "example.com/camera", "source": {"simulated": {"count": 1}}}]
    paused = spec(resources=other, rollout={"paused": True}, cordonedDevices=[{"node": "a", **CORDON}])
    assert changes(snapshot(node("a"), config=config(paused))) == [
        UpdateNode(name="cameras.a", uid="ndp-a", spec={"cordonedDevices": [CORDON]}, annotations={})
    ]


def test_a_new_content_and_a_cordon_go_in_one_write() -> None:
    (action,) = changes(snapshot(node("a", revision=""), config=config(cordoning("a"))))
    assert isinstance(action, UpdateNode)
    assert set(action.spec) == {"mode", "revision", "resources", "cordonedDevices"}


@pytest.mark.parametrize(
    ("runtime", "cdi"),
    [
        ("containerd://2.0.0", True),
        ("containerd://2.1.3-k3s1", True),
        ("containerd://10.0", True),
        ("cri-o://1.28.0", True),
        ("containerd://1.7.27", False),
        ("cri-o://1.27.4", False),
        ("docker://28.1.0", False),
        ("containerd://Unknown", False),
        ("", False),
    ],
)
def test_a_node_is_told_whether_its_container_runtime_takes_cdi_devices(runtime: str, cdi: bool) -> None:
    seen = snapshot(pods=[pod("a")], machines={"a": machine("a", runtime=runtime)})
    (action,) = changes(seen)
    assert isinstance(action, CreateNode)
    assert action.body["spec"].get("cdi", False) is cdi


def test_a_node_whose_container_runtime_became_another_is_told() -> None:
    newer = {"a": machine("a", runtime="containerd://2.0.0")}
    (action,) = changes(snapshot(node("a"), machines=newer))
    assert isinstance(action, UpdateNode)
    assert action.spec == {"cdi": True}
    assert changes(snapshot(node("a", cdi=True), machines=newer)) == []
    assert changes(snapshot(node("a", cdi=True))) == [], "of a node that was not looked at nothing new is known"
