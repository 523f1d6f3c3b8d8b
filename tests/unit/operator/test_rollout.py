"""A rollout from node to node: its budget, what it takes for a regression, and that it comes to an end."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from device_plugin_api.config import Rollout
from device_plugin_api.node import WithheldResource
from device_plugin_operator.facts import NodeObject, Offer, Trial, Verdict
from device_plugin_operator.plan import rollout
from device_plugin_operator.plan.agents import Agent
from operator_fixture import NOW, RESOURCE, counts, node, trouble

NEW, OLD = "new", "old"
WORKS = (Offer(RESOURCE, counts(2), healthy=("video0", "video1")),)
TRIAL = Trial(healthy={RESOURCE: ("video0", "video1")})
REFUSAL = Verdict(False, "no such thing", "")
SETTINGS = Rollout(max_unavailable=1)


def old(name: str, **members: Any) -> NodeObject:
    """A node that runs the former revision."""
    return node(name, **{"revision": OLD, "observed_revision": OLD, "offers": WORKS} | members)


def tried(name: str, **members: Any) -> NodeObject:
    """A node whose agent runs the new revision, and all works."""
    return node(name, **{"revision": NEW, "observed_revision": NEW, "offers": WORKS, "trial": TRIAL} | members)


def agent(name: str, **members: Any) -> Agent:
    return Agent(**{"node": name, "pod": None, "ready": True, "silent": False} | members)


def step(
    *nodes: NodeObject, settings: Rollout = SETTINGS, agents: Mapping[str, Agent] | None = None, **members: Any
) -> rollout.Step:
    found = {each.node: each for each in nodes}
    known = {name: agent(name) for name in found} | dict(agents or {})
    return rollout.step(found, known, NEW, members.get("resources", [RESOURCE]), settings)


def test_so_many_nodes_get_it_at_a_time_and_keep_what_worked_before() -> None:
    made = step(old("a"), old("b"), old("c"), settings=Rollout(max_unavailable=2))
    assert made.update == {"a": TRIAL, "b": TRIAL}


def test_the_next_one_waits_for_the_one_on_trial() -> None:
    waiting = tried("a", observed_revision=OLD)
    assert step(waiting, old("b")).update == {}
    assert not step(waiting, old("b")).held


def test_a_node_that_runs_it_as_well_as_before_makes_place_for_the_next() -> None:
    made = step(tried("a"), old("b"))
    assert (made.settle, list(made.update)) == (frozenset("a"), ["b"])


def test_a_device_that_a_new_probe_has_not_judged_yet_is_waited_for() -> None:
    unjudged = trouble("video0", state="Unknown", reason="NotLookedAt")
    made = step(tried("a", troubles=(unjudged,)), old("b"))
    assert (made.settle, made.update, made.held) == (frozenset(), {}, False)


@pytest.mark.parametrize(
    ("worse", "lost", "reason"),
    [
        pytest.param(tried("a", troubles=(trouble("video0"),)), None, "DeviceMissing", id="a device that worked"),
        pytest.param(tried("a", offers=(Offer(RESOURCE, counts()),)), None, "NoDevicesFound", id="a resource is empty"),
        pytest.param(tried("a", accepted=REFUSAL, observed_revision=OLD), None, "ConfigRejected", id="it is refused"),
        pytest.param(
            tried("a", observed_revision=OLD),
            agent("a", ready=False, reason="CrashLoopBackOff"),
            "CrashLoopBackOff",
            id="the agent is lost",
        ),
    ],
)
def test_a_regression_keeps_it_from_all_others(worse: NodeObject, lost: Agent | None, reason: str) -> None:
    agents = {"a": lost} if lost else {}
    made = step(worse, old("b"), agents=agents)
    assert (made.update, made.settle, made.held) == ({}, frozenset(), True)
    assert [(found.node, found.reason) for found in made.regressions] == [("a", reason)]
    goes_on = step(worse, old("b"), agents=agents, settings=Rollout(max_unavailable=1, on_regression="Continue"))
    assert (list(goes_on.update), goes_on.settle, goes_on.held) == (["b"], frozenset("a"), False)


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(tried("a", offers=(Offer(RESOURCE, counts(1), healthy=("video0",)),)), id="a smaller selection"),
        pytest.param(tried("a", troubles=(trouble("video7"),)), id="a device that did not work before"),
        pytest.param(tried("a", troubles=(trouble("video0", reason="NotSelected"),)), id="a device that drains"),
        pytest.param(
            tried("a", accepted=REFUSAL, trial=Trial(healthy=TRIAL.healthy, rejected=True)), id="refused before, too"
        ),
    ],
)
def test_no_regression_is(fine: NodeObject) -> None:
    assert list(step(fine, old("b")).update) == ["b"]


def test_a_resource_that_is_gone_on_purpose_is_not_missed() -> None:
    left = tried("a", offers=(Offer("example.com/other", counts(1)),))
    assert list(step(left, old("b"), resources=["example.com/other"]).update) == ["b"]


def test_a_resource_that_an_older_config_has_meanwhile_is_not_missed() -> None:
    taken = (WithheldResource(name=RESOURCE, config="others", since=""),)
    assert list(step(tried("a", offers=(), withheld=taken), old("b")).update) == ["b"]


def test_with_no_other_node_left_nothing_is_held() -> None:
    made = step(tried("a", troubles=(trouble("video0"),)))
    assert (made.held, made.settle, made.regressions) == (False, frozenset("a"), ())


def test_while_paused_no_node_gets_it_and_trials_end() -> None:
    made = step(tried("a"), old("b"), settings=Rollout(paused=True))
    assert (made.update, made.settle, made.held, made.regressions) == ({}, frozenset("a"), True, ())
    assert not step(tried("a"), settings=Rollout(paused=True)).held


def test_a_new_edit_goes_first_to_the_nodes_that_the_former_one_disturbed() -> None:
    in_between = old("b", observed_revision="oldest", trial=TRIAL, offers=())
    assert step(old("a"), in_between).update == {"b": TRIAL}


def test_a_node_that_the_former_edit_made_worse_has_to_get_no_worse_still() -> None:
    worse = old(
        "b", trial=TRIAL, troubles=(trouble("video0"),), offers=(Offer(RESOURCE, counts(1, 1), healthy=("video1",)),)
    )
    assert step(old("a"), worse).update == {"b": Trial(healthy={RESOURCE: ("video1",)})}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(old("a", revision=""), id="one that was changed by hand"),
        pytest.param(old("a", observed_revision=""), id="one that never ran anything"),
    ],
)
def test_nothing_is_held_from(other: NodeObject) -> None:
    worse = tried("b", troubles=(trouble("video0"),))
    assert step(other, old("c"), worse, settings=Rollout(paused=True)).update == {"a": None}
    assert not step(other, settings=Rollout(paused=True)).held


def test_nodes_where_nothing_works_come_last_and_risk_nothing() -> None:
    down = {"a": agent("a", ready=False, silent=True, reason="AgentMissing")}
    assert list(step(old("a"), old("b"), agents=down).update) == ["b"]
    assert step(old("a"), tried("b", observed_revision=OLD), agents=down).update == {}
    assert step(old("a"), tried("b", trial=None), agents=down).update == {"a": None}


def test_a_node_whose_agent_is_away_for_a_moment_is_waited_for() -> None:
    assert step(old("a"), agents={"a": agent("a", ready=False)}).update == {}


@pytest.mark.parametrize(
    ("given_", "nodes", "expected"), [("10%", 1, 1), ("10%", 11, 2), ("100%", 7, 7), (3, 2, 3), ("34%", 3, 2)]
)
def test_percentages_round_up(given_: int | str, nodes: int, expected: int) -> None:
    assert rollout.limit(given_, nodes) == expected


REVISIONS = st.sampled_from((OLD, "older", "", NEW))
NODES = st.builds(
    lambda revision, observed, trial, broken, rejects, terminating: {
        "revision": revision,
        "observed_revision": observed,
        "trial": trial,
        "troubles": tuple(trouble(device) for device in broken),
        "accepted": REFUSAL if rejects else None,
        "offers": WORKS,
        "terminating": terminating,
    },
    REVISIONS,
    st.sampled_from((OLD, "older", NEW, "")),
    st.sampled_from((None, TRIAL, Trial())),
    st.lists(st.sampled_from(("video0", "video1")), unique=True),
    st.booleans(),
    st.booleans(),
)
AGENTS = st.sampled_from(
    ({"ready": True}, {"ready": False}, {"ready": False, "silent": True, "reason": "AgentMissing", "since": NOW - 60})
)
FLEETS = st.lists(st.tuples(NODES, AGENTS), max_size=8)
ROLLOUTS = st.builds(
    Rollout,
    max_unavailable=st.sampled_from((1, 3, "10%", "50%", "100%")),
    paused=st.booleans(),
    on_regression=st.sampled_from(("Pause", "Continue")),
)
Fleet = tuple[dict[str, NodeObject], dict[str, Agent]]


def fleet(drawn: list[tuple[dict[str, Any], dict[str, Any]]]) -> Fleet:
    names = [f"n{index}" for index in range(len(drawn))]
    nodes = {name: node(name, **members) for name, (members, _) in zip(names, drawn, strict=True)}
    agents = {name: agent(name, **members) for name, (_, members) in zip(names, drawn, strict=True)}
    return nodes, agents


def carried_out(nodes: dict[str, NodeObject], made: rollout.Step) -> dict[str, NodeObject]:
    """The objects after the operator's writes."""
    changed = dict(nodes)
    for name, trial in made.update.items():
        changed[name] = replace(changed[name], revision=NEW, trial=trial)
    for name in made.settle:
        changed[name] = replace(changed[name], trial=None)
    return changed


def at_risk(nodes: Mapping[str, NodeObject], agents: Mapping[str, Agent]) -> int:
    """Nodes on trial; of those that wait for the new revision only such as have something to lose."""
    return sum(
        found.trial is not None and not found.terminating and not (found.revision != NEW and agents[name].reason)
        for name, found in nodes.items()
    )


@given(FLEETS, ROLLOUTS)
def test_the_budget_is_never_exceeded_and_nothing_else_is_touched(drawn: Any, settings: Rollout) -> None:
    nodes, agents = fleet(drawn)
    made = rollout.step(nodes, agents, NEW, [RESOURCE], settings)
    staying = {name for name, found in nodes.items() if not found.terminating}
    assert made.update.keys() | made.settle <= staying
    assert not made.update.keys() & made.settle
    assert all(nodes[name].revision != NEW for name in made.update)
    after = at_risk(carried_out(nodes, made), agents)
    assert after <= max(rollout.limit(settings.max_unavailable, len(staying)), at_risk(nodes, agents))
    if settings.paused:
        assert all(not nodes[name].revision or not nodes[name].observed_revision for name in made.update)
    if made.held:
        assert any(found.revision != NEW for found in nodes.values() if not found.terminating)


@given(FLEETS, ROLLOUTS)
def test_from_any_state_it_comes_to_an_end(drawn: Any, settings: Rollout) -> None:
    nodes, agents = fleet(drawn)
    agents = {name: found if found.ready or found.reason else agent(name) for name, found in agents.items()}
    for _ in range(4 * len(nodes) + 4):
        made = rollout.step(nodes, agents, NEW, [RESOURCE], settings)
        before, nodes = nodes, carried_out(nodes, made)
        # Agents that live run what they are told.
        nodes = {
            name: found if agents[name].reason else replace(found, observed_revision=found.revision)
            for name, found in nodes.items()
        }
        if nodes == before and not made.update and not made.settle:
            break
    else:
        raise AssertionError("it goes on and on")
    rest = [found for found in nodes.values() if found.revision != NEW and not found.terminating]
    if rest:
        assert made.held
    else:
        assert all(found.trial is None or found.terminating for found in nodes.values())
