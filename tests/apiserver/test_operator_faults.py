"""The operator behind a proxy that misbehaves: whatever happens on the way, things are in the end as they shall be."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from apiserver.api_proxy import ApiProxy, Ask, Fault, Rule
from apiserver.objects import resource
from apiserver.operator_world import RunningOperator, World, eventually
from device_plugin_operator.settings import Settings

pytestmark = pytest.mark.timeout(180)


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
def operator(behind_proxy: Settings) -> Iterator[RunningOperator]:
    with RunningOperator(behind_proxy) as running:
        yield running


def some(fault: Fault, hits: Callable[[Ask], bool] = lambda _: True) -> Rule:
    """Of three equal requests the second; the Lease has tests of its own.

    Not the first: all that is done for the first time would fail, and that many failures in a row make long pauses.
    """
    seen: Counter[tuple[str, str]] = Counter()

    def rule(ask: Ask) -> Fault | None:
        if "/leases" in ask.path or ask.watches or not hits(ask):
            return None
        key = (ask.method, ask.path)
        seen[key] += 1
        return fault if seen[key] % 3 == 2 else None

    return rule


def next_watches(fault: Fault, hits: Callable[[Ask], bool] = lambda _: True) -> Rule:
    """The watches that are open end, and of each the next two go wrong."""
    seen: Counter[str] = Counter()

    def rule(ask: Ask) -> Fault | None:
        if not ask.watches or not hits(ask):
            return None
        seen[ask.path] += 1
        return fault if seen[ask.path] <= 3 else None

    return rule


def for_a_while(fault: Fault) -> Rule:
    """The watch of configs has to begin anew, and the lists for that fail thrice."""
    left = 3

    def rule(ask: Ask) -> Fault | None:
        nonlocal left
        if not left or not ask.path.endswith("/devicepluginconfigs"):
            return None
        if ask.watches:
            return Fault(error_event=410)
        left -= 1
        return fault

    return rule


def own(ask: Ask) -> bool:
    """Those of NodeDevicePlugins and pods: the others are kopf's, which ends over some faults."""
    return ask.path.endswith(("/nodedeviceplugins", "/pods"))


def writes(ask: Ask) -> bool:
    return ask.method != "GET"


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(next_watches(Fault(cut=0.0)), id="watches are cut"),
        pytest.param(next_watches(Fault(cut=0.5)), id="watches break off within an event"),
        pytest.param(next_watches(Fault(error_event=410)), id="watches say that they are too old"),
        pytest.param(next_watches(Fault(status=410), own), id="watches are refused as too old"),
        pytest.param(next_watches(Fault(status=429, retry_after=1)), id="watches are too many"),
        pytest.param(next_watches(Fault(status=500)), id="watches fail"),
        pytest.param(for_a_while(Fault(status=403)), id="rights are gone for a while"),
        pytest.param(for_a_while(Fault(status=503)), id="configs cannot be listed for a while"),
        pytest.param(some(Fault(status=429, retry_after=1)), id="some requests are too many"),
        pytest.param(some(Fault(status=500)), id="some requests fail"),
        pytest.param(some(Fault(cut=0.5)), id="some answers arrive by half"),
        pytest.param(some(Fault(part=0.5)), id="some answers are half and look whole"),
        pytest.param(some(Fault(cut=0.0), writes), id="some writes are done and not answered"),
    ],
)
def test_a_config_is_served_and_nothing_is_lost_or_made_twice_although(
    rule: Rule, operator: RunningOperator, proxy: ApiProxy, world: World
) -> None:
    before = len(proxy.afflicted)
    with proxy.following(rule):
        fleet = Fleet.come(world)
        eventually(fleet.settled, "all is as it shall be, in spite of it", within=60, every=0.2)
        assert len(proxy.afflicted) > before, "something did go wrong"
    eventually(fleet.settled, "and afterwards", every=0.2)
    assert operator.runs
