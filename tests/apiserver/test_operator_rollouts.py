"""How a new content goes from node to node: the operator on a real API server, its agents played by the test."""

from collections.abc import Iterator

import pytest

from apiserver.objects import API_VERSION, NODE, Json, resource
from apiserver.operator_world import RunningOperator, World, eventually
from device_plugin_operator.settings import Settings


@pytest.fixture(scope="module")
def operator(settings: Settings) -> Iterator[RunningOperator]:
    with RunningOperator(settings) as running:
        yield running


def behind(item: Json) -> bool:
    """Whether its agent does not run yet what it is told to."""
    return bool(item["status"]["observedRevision"] != item["spec"]["revision"])


def versions_since(world: World, version: str) -> Iterator[dict[str, Json]]:
    """The NodeDevicePlugins by node, as they were after each of their changes since then."""
    told: dict[str, Json] = {}
    selector = f"deviceplugins.dev/config={world.name}"
    path = world.api.path(API_VERSION, NODE)
    for event in world.api.watch(path, seconds=1, labelSelector=selector, resourceVersion=version):
        item = event["object"]
        told[item["spec"]["nodeName"]] = item
        yield told


def test_a_rollout_stops_at_a_node_that_gets_worse_and_the_former_content_is_the_way_back(
    operator: RunningOperator, world: World
) -> None:
    nodes = [world.node(letter) for letter in "abc"]
    world.apply()
    world.start(nodes)
    for name in nodes:
        world.report(name)
    eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    old = world.objects()[nodes[0]]["spec"]["revision"]

    def updated() -> list[str]:
        return [name for name, item in sorted(world.objects().items()) if item["spec"]["revision"] != old]

    world.apply(resources=[resource(health={"periodSeconds": 5})])
    eventually(lambda: updated() == nodes[:1], "the first node has it")
    operator.look(world.name)
    assert updated() == nodes[:1]
    world.report(nodes[0])
    eventually(lambda: updated() == nodes[:2], "the next one follows")
    eventually(lambda: "annotations" not in world.objects()[nodes[0]]["metadata"], "its trial is over")
    world.report(nodes[1], healthy=1, broken=["video1"])
    eventually(lambda: world.reason() == "RolloutPaused", "the second got worse")
    (ready,) = [found for found in world.config["status"]["conditions"] if found["type"] == "Ready"]
    assert nodes[1] in ready["message"]
    assert "DeviceMissing" in ready["message"]
    assert updated() == nodes[:2]
    world.apply(resources=[resource()])

    def goes_back() -> bool:
        for name, item in world.objects().items():
            if behind(item):
                world.report(name)
        return world.reason() == "AllNodesReady"

    eventually(goes_back, "it went back")
    assert updated() == []
    assert ("Warning", "RolloutPaused") in world.events()


def test_while_a_rollout_is_paused_no_node_gets_the_new_content(operator: RunningOperator, world: World) -> None:
    name = world.node("a")
    world.apply(rollout={"paused": True})
    world.start([name])
    world.report(name)
    eventually(lambda: world.reason() == "AllNodesReady", "a new node is served")
    old = world.objects()[name]["spec"]["revision"]
    changed = [resource(), resource("example.com/second")]
    world.apply(resources=changed, rollout={"paused": True})
    eventually(lambda: world.reason() == "RolloutPaused", "it is told")
    assert world.objects()[name]["spec"]["revision"] == old
    world.apply(resources=changed)
    eventually(lambda: world.objects()[name]["spec"]["revision"] != old, "it goes on")


def test_a_third_content_in_the_middle_of_a_rollout_wins_and_the_second_reaches_no_further_node(
    operator: RunningOperator, world: World
) -> None:
    nodes = a, b, c, d = [world.node(letter) for letter in "abcd"]
    contents = [[resource(health={"periodSeconds": seconds})] for seconds in (5, 6, 7)]
    world.apply(resources=contents[0], rollout={"maxUnavailable": 1})
    world.start(nodes)
    for node in nodes:
        world.report(node)
    eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    first, now = world.objects()[a]["spec"]["revision"], world.config["metadata"]["resourceVersion"]

    world.apply(resources=contents[1], rollout={"maxUnavailable": 1})
    eventually(lambda: behind(world.objects()[a]), "the first node has the second content")
    world.report(a)
    eventually(lambda: behind(world.objects()[b]), "the next one follows")
    second = world.objects()[b]["spec"]["revision"]
    world.apply(resources=contents[2], rollout={"maxUnavailable": 1})
    eventually(lambda: world.objects()[b]["spec"]["revision"] not in (first, second), "it has the third instead")
    third = world.objects()[b]["spec"]["revision"]

    def goes_on() -> bool:
        for node, item in world.objects().items():
            if behind(item):
                world.report(node)
        return {item["spec"]["revision"] for item in world.objects().values()} == {third}

    eventually(goes_on, "every node has the third")
    eventually(lambda: goes_on() and world.reason() == "AllNodesReady", "and runs it")
    got: list[tuple[str, str]] = []
    for told in versions_since(world, now):
        assert sum(map(behind, told.values())) <= 1, "one node at a time"
        got += [(node, item["spec"]["revision"]) for node, item in told.items()]
    news = [each for each in dict.fromkeys(got) if each[1] != first]
    assert news == [(a, second), (b, second), (b, third), (a, third), (c, third), (d, third)]
    assert {item["spec"]["resources"][0]["health"]["periodSeconds"] for item in world.objects().values()} == {7}
