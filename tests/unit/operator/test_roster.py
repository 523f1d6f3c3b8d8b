"""Calm nodes added up: a look at the others and the sum says what a look at all would, whatever happened before."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_api.config import ConfigSpec, ConfigStatus
from device_plugin_api.node import CordonedDevice, WithheldResource
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import (
    NO_RIVALS,
    AgentPod,
    Calm,
    Config,
    Machine,
    NodeObject,
    Offer,
    Rivals,
    Snapshot,
    Trial,
    Verdict,
)
from device_plugin_operator.plan import agents, nodes, problems, status
from device_plugin_operator.plan.changes import changes
from device_plugin_operator.plan.nodes import Checked
from device_plugin_operator.roster import Roster
from operator_fixture import NOW, RESOURCE, config, counts, daemons, machine, node, pod, spec, trouble

NODES = ("a", "b", "c", "d")

bad = Verdict(False, "no", timestamp(NOW - 400))


Deviations = Sequence[tuple[str, object]]
"""Members and values that a calm node does not have."""

OF_OBJECTS: Deviations = [
    ("uid", "another"),
    ("config_uid", "former"),
    ("node_uid", "another"),
    ("terminating", True),
    ("revision", "old"),
    ("revision", ""),
    ("observed_revision", "old"),
    ("observed_revision", ""),
    ("registered", bad),
    ("registered", None),
    ("accepted", bad),
    ("accepted", None),
    ("disagrees", bad),
    ("cdi", True),
    ("created", timestamp(NOW - 800)),
    ("trial", Trial(healthy={RESOURCE: ("video0",)})),
    ("cordoned", (CordonedDevice(resource=RESOURCE, device="video0", reason="broken"),)),
    ("more_troubles", True),
    ("offers", (Offer("example.com/another", counts(2)),)),
    ("withheld", (WithheldResource(name=RESOURCE, config="others", since=timestamp(NOW - 60)),)),
    ("offers", (Offer(RESOURCE, counts()),)),
]

OF_PODS: Deviations = [
    ("name", "another"),
    ("uid", "another"),
    ("terminating", True),
    ("bound", False),
    ("ready", False),
    ("reason", "CrashLoopBackOff"),
    ("created", timestamp(NOW - 10)),
]


def few(of: Deviations) -> st.SearchStrategy[dict[str, Any]]:
    """Mostly none or one: with all of them drawn no node would ever be nearly calm."""
    return st.lists(st.sampled_from(of), max_size=2).map(dict)


@st.composite
def objects(draw: st.DrawFn, on: str) -> NodeObject:
    states = draw(st.lists(st.sampled_from(["Unhealthy", "Unknown"]), max_size=3))
    told = counts(2, states.count("Unhealthy"), states.count("Unknown"))
    troubles = tuple(trouble(f"video{number}", state=state) for number, state in enumerate(states))
    usual = {"devices": told, "offers": (Offer(RESOURCE, told),), "troubles": troubles}
    return node(on, **(usual | draw(few(OF_OBJECTS))))


@st.composite
def pods_on(draw: st.DrawFn, on: str) -> AgentPod:
    return pod(on, **draw(few(OF_PODS)))


@st.composite
def checks(draw: st.DrawFn, on: str) -> Checked:
    found = machine(on)
    machines = [found, None, replace(found, uid="another"), replace(found, runtime="containerd://2.1.0")]
    purpose = draw(st.sampled_from([f"pod pod-{on}", f"pod pod-{on}", "pod another", "placement 2"]))
    return Checked(machine=draw(st.sampled_from(machines)), purpose=purpose, at=NOW)


cordoned = [{"node": "a", "resource": RESOURCE, "device": "video0", "reason": "broken"}]
specs = st.sampled_from(
    [
        spec(),
        spec(rollout={"maxUnavailable": 1}),
        spec(cordonedDevices=cordoned),
        spec(resources=[{"name": RESOURCE, "source": {"paths": {"include": ["/dev/media*"]}}}]),
        None,
    ]
)


@dataclass
class World:
    """What there is, and the roster that followed it."""

    config: Config = field(default_factory=config)
    objects: dict[str, list[NodeObject]] = field(default_factory=lambda: {name: [] for name in NODES})
    pods: dict[str, list[AgentPod]] = field(default_factory=lambda: {name: [] for name in NODES})
    checked: dict[str, Checked] = field(default_factory=dict)
    rivals: dict[str, Rivals] = field(default_factory=lambda: dict.fromkeys(NODES, NO_RIVALS))
    roster: Roster = field(default_factory=lambda: Roster(config()))

    def judge(self, name: str) -> None:
        found = self.objects[name], self.pods[name]
        self.roster.judge(name, *found, self.checked.get(name), self.rivals[name])

    def edit(self, made: ConfigSpec | None) -> None:
        edited = config(made, invalid="" if made else "bad")
        self.config = replace(edited, generation=self.config.generation + 1)
        self.roster = Roster(self.config)
        for name in NODES:
            self.judge(name)

    def snapshot(self, of: set[str], calm: Calm) -> Snapshot:
        """As the observer makes it when only these nodes need a look."""
        there = sorted(of)
        own = {
            found.node: found for name in there for found in self.objects[name] if found.config_uid == self.config.uid
        }
        pods = tuple(each for name in there for each in self.pods[name])
        on_node = agents.by_node(pods)
        needed = nodes.purposes(self.config, own, on_node)
        machines: dict[str, Machine | None] = {
            name: self.checked[name].machine
            for name, purpose in needed.items()
            if name in self.checked and self.checked[name].purpose == purpose
        }
        return Snapshot(
            now=NOW,
            config=self.config,
            fleet_complete=True,
            daemons=daemons(len(NODES)) if self.config.spec else None,
            nodes=own,
            strangers=tuple(
                found
                for name in there
                for found in self.objects[name]
                if found.config_uid != self.config.uid and not found.terminating
            ),
            pods=pods,
            unready=agents.unready({"b": NOW - 40}, own, on_node, ConfigStatus(), short=False, now=NOW),
            machines=machines,
            rivals={name: self.rivals[name] for name in there},
            calm=calm,
        )


@st.composite
def events(draw: st.DrawFn, world: World) -> None:
    name = draw(st.sampled_from(NODES))
    match draw(st.sampled_from(["object", "object", "pod", "pod", "check", "rival", "gone", "edit"])):
        case "object":
            world.objects[name] = [draw(objects(name)) for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2])))]
        case "pod":
            world.pods[name] = [draw(pods_on(name)) for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2])))]
        case "check":
            world.checked[name] = draw(checks(name))
        case "rival":
            other = node(name, config="others", config_created=draw(st.sampled_from(["2020", "2030"])))
            world.rivals[name] = draw(
                st.sampled_from([NO_RIVALS, Rivals(objects=(other,), pods=frozenset({"others"}))])
            )
        case "gone":
            world.objects[name], world.pods[name] = [], []
            world.checked.pop(name, None)
        case "edit":
            world.edit(draw(specs))
    world.judge(name)


def calm_world() -> World:
    world = World()
    for name in NODES:
        world.objects[name], world.pods[name] = [node(name)], [pod(name)]
        world.judge(name)
    assert len(world.roster) == len(NODES)
    return world


def same(world: World) -> None:
    """A look at what is not calm, and at everything."""
    folded = world.snapshot(world.roster.restless, world.roster.calm())
    whole = world.snapshot(set(NODES), Calm())
    assert changes(folded) == changes(whole)
    assert status.status(folded, "agents") == status.status(whole, "agents")
    assert status.recheck_in(folded) == status.recheck_in(whole)
    assert folded.unready == whole.unready


@given(st.data())
def test_a_look_at_what_is_not_calm_says_what_a_look_at_everything_says(data: st.DataObject) -> None:
    world = calm_world()
    for _ in range(data.draw(st.integers(1, 8))):
        data.draw(events(world))
        same(world)


@pytest.mark.parametrize("rolling", [False, True])
@pytest.mark.parametrize("deviation", OF_OBJECTS, ids=str)
def test_no_single_thing_about_an_object_makes_a_difference(deviation: tuple[str, Any], rolling: bool) -> None:
    world = calm_world()
    if rolling:
        world.edit(spec(rollout={"maxUnavailable": "50%"}))
        for name in ("b", "c"):
            world.objects[name] = [node(name, revision="old", observed_revision="old")]
            world.judge(name)
    world.objects["a"] = [node("a", **dict([deviation]))]
    world.judge("a")
    same(world)


@pytest.mark.parametrize("deviation", OF_PODS, ids=str)
def test_no_single_thing_about_a_pod_makes_a_difference(deviation: tuple[str, Any]) -> None:
    world = calm_world()
    world.pods["a"] = [pod("a", **dict([deviation]))]
    world.judge("a")
    same(world)


@pytest.mark.parametrize("uid", ["machine-a", "another"])
@pytest.mark.parametrize("runtime", ["", "containerd://2.1.0"])
@pytest.mark.parametrize("purpose", ["pod pod-a", "pod another"])
def test_no_machine_behind_a_newer_pod_makes_a_difference(uid: str, runtime: str, purpose: str) -> None:
    world = calm_world()
    world.pods["a"] = [pod("a", created=timestamp(NOW - 10))]
    found = replace(machine("a", runtime=runtime), uid=uid)
    world.checked["a"] = Checked(machine=found, purpose=purpose, at=NOW)
    world.judge("a")
    same(world)
    looked_at = purpose == "pod pod-a"
    assert ("a" not in world.roster.restless) == (looked_at and uid == "machine-a" and not runtime)


@given(st.data())
def test_the_sums_are_those_of_a_roster_made_anew(data: st.DataObject) -> None:
    world = World()
    for _ in range(data.draw(st.integers(1, 12))):
        data.draw(events(world))
    anew = Roster(world.config)
    for name in NODES:
        anew.judge(name, world.objects[name], world.pods[name], world.checked.get(name), world.rivals[name])
    assert world.roster.calm() == anew.calm()
    assert world.roster.restless == anew.restless


def test_no_more_troubled_nodes_are_handed_on_than_a_status_can_list() -> None:
    roster = Roster(config())
    names = [f"node-{number:03d}" for number in range(300)]
    for number, name in enumerate(names):
        state = "Unknown" if number % 3 else "Unhealthy"
        roster.judge(name, [node(name, troubles=(trouble("video0", state=state),))], [pod(name)], None)
    worst = roster.calm().worst
    assert [found.node for found in worst[:100]] == names[::3]
    assert len(worst) == 101
    listed, truncated = problems.problems({}, {}, {}, NOW, roster.calm())
    assert [problem.node for problem in listed] == names[::3]
    assert truncated


def test_of_calm_nodes_nothing_is_looked_at_however_many_there_are() -> None:
    roster = Roster(config())
    for number in range(100):
        roster.judge(f"node-{number}", [node(f"node-{number}")], [pod(f"node-{number}")], None)
    assert not roster.restless
    assert roster.calm().nodes == 100
    assert roster.calm().devices == counts(200)
