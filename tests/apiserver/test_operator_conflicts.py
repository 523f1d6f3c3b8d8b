"""Two configs with one resource name on a node: the operator on a real API server says who serves it, and who waits."""

from collections.abc import Iterator

import pytest

from apiserver.objects import API_VERSION, Json, resource
from apiserver.operator_world import AGENTS, RunningOperator, World, eventually, versions
from device_plugin_operator.settings import Settings

CAMERA, SECOND = "example.com/camera", "example.com/second"
CONFLICT = "ResourceNameConflict"


@pytest.fixture(scope="module")
def operator(settings: Settings) -> Iterator[RunningOperator]:
    with RunningOperator(settings) as running:
        yield running


@pytest.fixture
def younger(world: World) -> Iterator[World]:
    made = World(world.api, f"{world.name}-too")  # of one second the first by name is the older
    yield made
    made.close()


def shared_node(world: World, younger: World) -> str:
    """A Node that both select; its name."""
    node = world.node("shared")
    world.api.patch("v1", "Node", node, {"metadata": {"labels": {"other": younger.name}}})
    return node


def serve(world: World, node: str, *resources: str, **spec: Json) -> None:
    """Apply that config with these resources, which its agent on the node then has."""
    world.apply(resources=[resource(name) for name in resources], **spec)
    world.start([node])
    world.report(node, resources=resources)
    eventually(lambda: world.reason() == "AllNodesReady", f"{world.name} is served")


def withheld(world: World, node: str) -> list[tuple[str, str]]:
    """What the agent must not register there, and who has it."""
    return withheld_in(world.objects()[node])


def withheld_in(item: Json) -> list[tuple[str, str]]:
    """The same of a NodeDevicePlugin that was read already."""
    return [(each["name"], each["config"]) for each in item["spec"].get("withheldResources", [])]


def delete(world: World) -> None:
    """Delete that config, and wait until the garbage collector has been there; its agents still run."""
    world.api.delete(API_VERSION, "DevicePluginConfig", world.name)
    eventually(lambda: not world.objects(), f"{world.name} is gone")


def end_pods(world: World) -> None:
    """Play the kubelets: the pods of a config that is gone end."""
    for pod in world.pods():
        world.api.delete("v1", "Pod", pod["metadata"]["name"], namespace=AGENTS, missing_ok=True)


def test_the_older_serves_until_it_goes_and_the_younger_serves_its_other_nodes_and_resources(
    operator: RunningOperator, world: World, younger: World
) -> None:
    shared, own = shared_node(world, younger), younger.node("own")
    younger.api.patch("v1", "Node", own, {"metadata": {"labels": {"other": younger.name}}})
    serve(world, shared, CAMERA)
    younger.apply(nodeSelector={"other": younger.name}, resources=[resource(CAMERA), resource(SECOND)])
    younger.start([shared, own])
    younger.report(own, resources=[CAMERA, SECOND])
    eventually(lambda: younger.reason() == CONFLICT, "the younger one says so")
    assert withheld(younger, shared) == [(CAMERA, world.name)]
    assert withheld(younger, own) == []
    (problem,) = [each for each in younger.config["status"]["problems"] if each["node"] == shared]
    assert (problem["reason"], problem["resource"]) == (CONFLICT, CAMERA)
    assert world.name in problem["message"]
    younger.report(shared, resources=[SECOND], unregistered=CONFLICT)
    eventually(
        lambda: (
            {each["name"]: each["nodes"] for each in younger.config["status"]["resources"]} == {CAMERA: 1, SECOND: 2}
        ),
        "its other resource is served on both nodes",
    )
    assert younger.config["status"]["nodes"]["ready"] == 1
    delete(world)
    operator.look(younger.name)
    assert withheld(younger, shared), "its agent may still be there"
    end_pods(world)
    eventually(lambda: not withheld(younger, shared), "the name has passed on")
    younger.report(shared, resources=[CAMERA, SECOND])
    eventually(lambda: younger.reason() == "AllNodesReady", "the younger one serves")


def test_a_younger_one_that_comes_and_goes_leaves_no_trace_at_the_older(
    operator: RunningOperator, world: World, younger: World
) -> None:
    node = shared_node(world, younger)
    serve(world, node, CAMERA)

    def told() -> dict[str, str]:
        # Its controller writes the DaemonSet's status at a time of its own.
        return {key: value for key, value in versions(world).items() if not key.startswith("DaemonSet/")}

    before = told()
    younger.apply(nodeSelector={"other": younger.name})
    younger.start([node])
    eventually(lambda: younger.reason() == CONFLICT, "the younger one says so")
    delete(younger)
    end_pods(younger)
    operator.look(world.name)
    assert told() == before
    assert world.reason() == "AllNodesReady"


def test_an_older_one_that_takes_up_a_name_gets_it_when_the_younger_has_let_go_and_gives_it_back(
    operator: RunningOperator, world: World, younger: World
) -> None:
    node = shared_node(world, younger)
    serve(world, node, SECOND)
    serve(younger, node, CAMERA, nodeSelector={"other": younger.name})
    assert withheld(world, node) == withheld(younger, node) == [], "different names are no conflict"

    world.apply(resources=[resource(SECOND), resource(CAMERA)])
    told = eventually(
        lambda: [item for item in world.objects().values() if len(item["spec"]["resources"]) == 2],
        "the older one's node has the name",
    )
    assert withheld_in(told[0]) == [(CAMERA, younger.name)], "and in one write that it must not register it"
    world.report(node, resources=[SECOND], unregistered=CONFLICT)
    eventually(lambda: younger.reason() == CONFLICT, "the younger one says that it has lost it")
    assert withheld(younger, node) == [(CAMERA, world.name)]
    operator.look(world.name)
    assert withheld(world, node) == [(CAMERA, younger.name)], "its agent still has it"
    (problem,) = world.config["status"]["problems"]
    assert (problem["node"], problem["resource"], problem["reason"]) == (node, CAMERA, CONFLICT)
    assert f"config {younger.name} still has" in problem["message"]
    younger.report(node, healthy=0, unregistered=CONFLICT)
    eventually(lambda: not withheld(world, node), "the younger one has let go")
    world.report(node, resources=[SECOND, CAMERA])
    eventually(lambda: world.reason() == "AllNodesReady", "the older one serves both")
    assert younger.reason() == CONFLICT

    world.apply(resources=[resource(SECOND)])
    eventually(lambda: len(world.objects()[node]["spec"]["resources"]) == 1, "the older one drops it")
    operator.look(younger.name)
    assert withheld(younger, node), "its agent still has it"
    world.report(node, resources=[SECOND])
    eventually(lambda: not withheld(younger, node), "the older one has let go")
    younger.report(node)
    eventually(lambda: younger.reason() == world.reason() == "AllNodesReady", "both serve, as in the beginning")


def test_an_older_one_that_waits_for_a_name_gets_it_when_the_younger_goes(
    operator: RunningOperator, world: World, younger: World
) -> None:
    node = shared_node(world, younger)
    serve(world, node, SECOND)
    serve(younger, node, CAMERA, nodeSelector={"other": younger.name})
    world.apply(resources=[resource(SECOND), resource(CAMERA)])
    eventually(lambda: withheld(world, node) == [(CAMERA, younger.name)], "the older one waits")
    delete(younger)
    operator.look(world.name)
    assert withheld(world, node), "its agent may still be there"
    end_pods(younger)
    eventually(lambda: not withheld(world, node), "the name has passed on")
    world.report(node, resources=[SECOND, CAMERA])
    eventually(lambda: world.reason() == "AllNodesReady", "the older one serves both")
