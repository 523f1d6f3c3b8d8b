"""Two configs with one resource name on a node: one serves, the older; and never both."""

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_plugin_api.node import NodeSpec, WithheldResource
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import NO_RIVALS, Config, NodeObject, Offer, Rivals
from device_plugin_operator.plan import conflicts, status
from device_plugin_operator.plan.actions import CreateNode, UpdateNode
from device_plugin_operator.plan.changes import changes
from operator_fixture import NOW, RESOURCE, config, counts, machine, node, pod, snapshot, spec

OLD, YOUNG = "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
"""The config of the fixture was made in between."""


def other(created: str = OLD, **members: Any) -> NodeObject:
    """What another config has on node a."""
    return node("a", **{"config": "others", "config_created": created} | members)


def told(name: str = RESOURCE, since: float = NOW - 60) -> WithheldResource:
    return WithheldResource(name=name, config="others", since=timestamp(since))


LETTING_GO = {"withheld": (told(),), "offers": ()}


@pytest.mark.parametrize(
    ("rival", "lost"),
    [
        pytest.param(other(), True, id="an older config comes first"),
        pytest.param(other(YOUNG), False, id="a younger one that may register it has to let go first"),
        pytest.param(other(YOUNG, withheld=(told(),)), False, id="one that was told to and has not yet, too"),
        pytest.param(other(YOUNG, **LETTING_GO), None, id="one that has let go is no matter"),
        pytest.param(other(resources=("example.com/another",)), False, id="an older one that drains it"),
        pytest.param(other(resources=("example.com/another",), offers=()), None, id="other names"),
        pytest.param(other(mode="Preview"), None, id="one that only looks"),
        pytest.param(
            other(mode="Preview", offers=(Offer(RESOURCE, counts(1), registered=True),)), False, id="one that drains"
        ),
        pytest.param(other(""), False, id="one without a date is the youngest"),
    ],
)
def test_a_resource_is_withheld_while_another_config_has_or_may_have_its_name(
    rival: NodeObject, lost: bool | None
) -> None:
    found = conflicts.on(config(), node("a"), Rivals(objects=(rival,)))
    assert [(each.resource, each.config, each.lost) for each in found] == (
        [] if lost is None else [(RESOURCE, "others", lost)]
    )
    assert all(RESOURCE in each.message and "others" in each.message for each in found)


@pytest.mark.parametrize("ready", [True, False])
def test_who_waits_for_an_agent_that_does_not_answer_is_told_what_to_do(ready: bool) -> None:
    answering = frozenset({"others"} if ready else ())
    rivals = Rivals(objects=(other(YOUNG),), pods=frozenset({"others"}), ready=answering)
    (found,) = conflicts.on(config(), node("a"), rivals)
    assert not found.lost
    assert ("when no container has its devices" in found.message) == ready
    assert ("delete its pod" in found.message) == (not ready)
    assert len(found.message) < 256


def test_of_two_of_the_same_second_the_first_by_name_serves() -> None:
    for name, lost in (("aaa", True), ("zzz", False)):
        rival = other(config().created, config=name)
        assert [each.lost for each in conflicts.on(config(), node("a"), Rivals(objects=(rival,)))] == [lost]


def test_a_config_that_only_looks_disturbs_nobody_and_is_not_disturbed() -> None:
    previewed = config(spec(mode="Preview"))
    assert conflicts.on(previewed, node("a", mode="Preview"), Rivals(objects=(other(),))) == ()
    assert conflicts.on(previewed, None, Rivals(objects=(other(),))) == ()


def test_what_was_waited_for_is_waited_for_until_the_pod_has_ended() -> None:
    waiting = node("a", withheld=(told(),))
    (left,) = conflicts.on(config(), waiting, Rivals(pods=frozenset({"others"})))
    assert (left.config, left.lost) == ("others", False)
    assert conflicts.on(config(), waiting, NO_RIVALS) == ()
    assert conflicts.on(config(), node("a"), Rivals(pods=frozenset({"others"}))) == ()


def test_a_node_is_told_once_and_told_again_when_it_is_over() -> None:
    rivals = {"a": Rivals(objects=(other(),))}
    (action,) = changes(snapshot(node("a"), node("b"), rivals=rivals))
    withheld = [{"name": RESOURCE, "config": "others", "since": timestamp(NOW)}]
    assert action == UpdateNode(name="cameras.a", uid="ndp-a", spec={"withheldResources": withheld}, annotations={})
    assert changes(snapshot(node("a", withheld=(told(),)), node("b"), rivals=rivals)) == []
    (action,) = changes(snapshot(node("a", withheld=(told(),)), node("b")))
    assert isinstance(action, UpdateNode)
    assert action.spec == {"withheldResources": []}


def test_a_new_object_is_made_with_what_it_must_not_register() -> None:
    seen = snapshot(pods=[pod("a")], machines={"a": machine("a")}, rivals={"a": Rivals(objects=(other(),))})
    (action,) = changes(seen)
    assert isinstance(action, CreateNode)
    assert msgspec.convert(action.body["spec"], NodeSpec).withheld_resources == (told(since=NOW),)


def test_the_younger_config_names_the_node_the_resource_and_the_older_one_and_since_when() -> None:
    rivals = {"a": Rivals(objects=(other(),))}
    made = status.status(snapshot(node("a", withheld=(told(),)), node("b"), rivals=rivals), "agents")
    (ready,) = [condition for condition in made.conditions if condition.type == "Ready"]
    assert ready.reason == "ResourceNameConflict"
    assert all(word in ready.message for word in ("a:", RESOURCE, "others"))
    (problem,) = made.problems
    assert (problem.node, problem.resource, problem.reason) == ("a", RESOURCE, "ResourceNameConflict")
    assert problem.since == timestamp(NOW - 60)
    assert (made.nodes.desired, made.nodes.ready) == (2, 1)


# All that can happen on one node with three configs, in any order.

CREATED = ("2021", "2022", "2023")


@dataclass
class Agent:
    """One config's object and agent on the node."""

    config: Config
    resources: tuple[str, ...] = (RESOURCE,)
    there: bool = True
    pod: bool = True
    withheld: tuple[WithheldResource, ...] = ()
    registered: bool = False
    reported: bool = False

    def object(self) -> NodeObject:
        return node(
            "a",
            config=self.config.name,
            config_created=self.config.created,
            resources=self.resources,
            withheld=self.withheld,
            offers=(Offer(RESOURCE, counts(1), registered=True),) if self.reported else (),
        )


@dataclass
class Node:
    agents: list[Agent] = field(
        default_factory=lambda: [
            Agent(replace(config(), name=f"c{number}", created=created)) for number, created in enumerate(CREATED)
        ]
    )

    def decide(self, agent: Agent) -> None:
        """The operator looks at that config."""
        others = [each for each in self.agents if each is not agent]
        rivals = Rivals(
            objects=tuple(each.object() for each in others if each.there),
            pods=frozenset(each.config.name for each in others if each.pod),
        )
        if agent.there:
            found = conflicts.on(agent.config, agent.object(), rivals)
            agent.withheld = conflicts.withheld(found, agent.withheld, NOW)

    def run(self, agent: Agent) -> None:
        """Its agent does what it is told, and says at once what it has; without its object it goes on as it did."""
        if agent.pod and agent.there:
            agent.registered = RESOURCE in agent.resources and not agent.withheld
            agent.reported |= agent.registered

    def step(self, what: str, number: int) -> None:
        agent = self.agents[number]
        match what:
            case "decide":
                self.decide(agent)
            case "run":
                self.run(agent)
            case "report":
                agent.reported = agent.registered
            case "drop":
                agent.resources = ()
                agent.config = replace(agent.config, spec=spec(resources=ANOTHER))
            case "take":
                if agent.there:
                    agent.resources = (RESOURCE,)
                    agent.config = replace(agent.config, spec=spec())
                    self.decide(agent)  # in one write with it
            case "delete":
                agent.there = False
            case "end":
                if not agent.there:
                    agent.pod = agent.registered = False


ANOTHER = [{"name": "example.com/another", "source": {"simulated": {"count": 1}}}]
WHATS = ("decide", "decide", "run", "run", "report", "drop", "take", "delete", "end")


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(WHATS), st.integers(0, 2)), max_size=40))
def test_never_two_register_one_name_and_in_the_end_the_oldest_that_wants_it_has_it(events: list[Any]) -> None:
    world = Node()
    for agent in world.agents:
        world.decide(agent)
    for what, number in events:
        world.step(what, number)
        assert sum(agent.registered for agent in world.agents) <= 1, (what, number)
    for _ in range(6):
        for number in range(3):
            for what in ("end", "decide", "run", "report"):
                world.step(what, number)
                assert sum(agent.registered for agent in world.agents) <= 1, (what, number)
    wanting = [agent for agent in world.agents if agent.there and agent.resources]
    assert [agent for agent in world.agents if agent.registered] == wanting[:1]
