"""The operator behind a proxy that misbehaves: whatever happens on the way, things are in the end as they shall be."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from apiserver.api_proxy import ApiProxy, Fault, Rule, through
from apiserver.objects import resource
from apiserver.operator_world import RunningOperator, World, eventually, world_name
from apiserver_fixture import Client, ControlPlane
from device_plugin_operator.settings import Settings

pytestmark = pytest.mark.timeout(180)

LATE = 30.0
"""Seconds that the API server may take for an answer."""


@dataclass(frozen=True)
class Fleet:
    """A config with two nodes; its content changes while things go wrong."""

    world: World
    nodes: tuple[str, str]

    content = (resource(), resource("example.com/second"))

    @classmethod
    def come(cls, world: World) -> "Fleet":
        """Config, nodes and agents come, and then the config gets its content."""
        nodes = world.node("a"), world.node("b")
        world.apply(rollout={"maxUnavailable": 2})
        world.start(nodes)
        for node in nodes:
            world.report(node)
        world.apply(rollout={"maxUnavailable": 2}, resources=list(cls.content))
        return cls(world, nodes)

    def settled(self) -> bool:
        """One DaemonSet, one object for each node with the content in it, and a status that says so."""
        objects = self.world.objects()
        for node, item in objects.items():
            if item.get("status", {}).get("observedRevision") != item["spec"]["revision"]:
                self.world.report(node)
        status = self.world.config.get("status", {})
        wanted = [one["name"] for one in self.content]
        return (
            self.world.reason() == "AllNodesReady"
            and status["nodes"] == {"desired": 2, "ready": 2, "updated": 2}
            and self.world.daemonset is not None
            and sorted(pod["spec"].get("nodeName", "") for pod in self.world.pods()) == sorted(self.nodes)
            and sorted(objects) == sorted(self.nodes)
            and {item["metadata"]["name"] for item in objects.values()}
            == {f"{self.world.name}.{n}" for n in self.nodes}
            and all([one["name"] for one in item["spec"]["resources"]] == wanted for item in objects.values())
        )


@pytest.fixture(scope="module")
def proxy(controllers: ControlPlane) -> Iterator[ApiProxy]:
    with ApiProxy(controllers.url, controllers.ca_file) as made:
        yield made


@pytest.fixture(scope="module")
def operator(controllers: ControlPlane, proxy: ApiProxy) -> Iterator[RunningOperator]:
    path = through(proxy, controllers)
    with RunningOperator(Settings(agent_image="agent:1", http_port=0, kubeconfig=str(path))) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def late(operator: RunningOperator, proxy: ApiProxy, api: Client) -> Iterator[World]:
    """A config whose reads take 30 s. It is there from the start: its own test is the last one to wait for it."""
    world = World(api, "late")
    with proxy.following(lambda ask: Fault(late=LATE) if ask.reads and ask.path.endswith("/late") else None):
        world.apply()
        yield world
    world.close()


@pytest.fixture
def world(api: Client, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(api, world_name(request.node.name))
    yield made
    made.close()


def every_other(fault: Fault) -> Rule:
    """Half of all requests; whoever tries again gets through."""
    count = itertools.count()
    return lambda _: fault if next(count) % 2 else None


def watches(fault: Fault) -> Rule:
    return lambda ask: fault if ask.watches else None


def writes(rule: Rule) -> Rule:
    return lambda ask: None if ask.method == "GET" else rule(ask)


def own_watches(fault: Fault) -> Rule:
    """Those of NodeDevicePlugins and pods; kopf ends over it at the others."""
    return lambda ask: fault if ask.watches and ask.path.endswith(("/nodedeviceplugins", "/pods")) else None


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(watches(Fault(cut=0.0)), id="watches are cut"),
        pytest.param(watches(Fault(cut=0.5)), id="watches break off within an event"),
        pytest.param(watches(Fault(error_event=410)), id="watches say that they are too old"),
        pytest.param(own_watches(Fault(status=410)), id="watches are refused as too old"),
        pytest.param(every_other(Fault(status=429, retry_after=1)), id="every other request is one too many"),
        pytest.param(every_other(Fault(status=500)), id="every other request fails"),
        pytest.param(every_other(Fault(cut=0.5)), id="every other answer arrives by half"),
        pytest.param(writes(every_other(Fault(cut=0.0))), id="every other write is done and not answered"),
    ],
)
def test_a_config_is_served_and_nothing_is_lost_or_made_twice_although(
    rule: Rule, operator: RunningOperator, proxy: ApiProxy, world: World
) -> None:
    with proxy.following(rule):
        fleet = Fleet.come(world)
        eventually(fleet.settled, "all is as it shall be, in spite of it", within=60, every=0.2)
    eventually(fleet.settled, "and afterwards", every=0.2)
    assert operator.runs


def test_a_config_whose_answers_take_30_s_is_served_and_holds_up_no_other(late: World, world: World) -> None:
    world.apply()
    eventually(world.reason, "another config is served meanwhile", within=5)
    eventually(lambda: late.reason() == "NoMatchingNodes", "it is served", within=90)
    assert late.daemonset is not None
