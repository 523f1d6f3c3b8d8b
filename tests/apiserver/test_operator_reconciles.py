"""The operator on a real API server: DaemonSet and NodeDevicePlugins from a config, one status from their reports."""

import time
from collections.abc import Iterator

import pytest

from apiserver.objects import API_VERSION, NODE, resource
from apiserver.operator_world import AGENTS, RunningOperator, World, eventually
from device_plugin_operator.settings import Settings


@pytest.fixture(scope="module")
def operator(settings: Settings) -> Iterator[RunningOperator]:
    with RunningOperator(settings) as running:
        yield running


def test_a_config_says_something_within_a_second(operator: RunningOperator, world: World) -> None:
    world.apply()
    eventually(world.reason, "the first status", within=1.0, every=0.02)
    conditions = {found["type"]: found for found in world.config["status"]["conditions"]}
    assert {"Ready", "Progressing", "Degraded"} <= conditions.keys()
    assert {found["observedGeneration"] for found in conditions.values()} == {1}


def test_a_config_gets_a_daemonset_and_each_node_with_an_agent_an_object(
    operator: RunningOperator, world: World
) -> None:
    names = [world.node("a"), world.node("b")]
    uid = world.apply()["metadata"]["uid"]
    world.start(names)
    assert world.daemonset is not None
    owner = {"apiVersion": API_VERSION, "kind": "DevicePluginConfig", "name": world.name, "uid": uid}
    for item in (world.daemonset, *world.objects().values()):
        assert item["metadata"]["ownerReferences"] == [owner | {"controller": True}]
        assert "finalizers" not in item["metadata"]
    nodes = {name: world.api.get("v1", "Node", name)["metadata"]["uid"] for name in names}
    assert {name: item["spec"]["nodeUID"] for name, item in world.objects().items()} == nodes
    assert "finalizers" not in world.config["metadata"]
    assert "annotations" not in world.config["metadata"]


def test_what_agents_report_becomes_one_summary_and_an_event(operator: RunningOperator, world: World) -> None:
    first, second = world.node("a"), world.node("b")
    world.apply()
    world.start([first, second])
    world.report(first)
    eventually(lambda: world.reason() == "Starting", "one of two nodes is ready")
    world.report(second)
    eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    assert world.config["status"]["nodes"] == {"desired": 2, "ready": 2, "updated": 2}
    started = time.monotonic()
    world.report(second, healthy=1, broken=["video7"])
    eventually(lambda: world.reason() == "SomeUnhealthy", "a broken device is told", every=0.01)
    assert time.monotonic() - started < 2
    status = world.config["status"]
    assert status["devices"] == {"total": 4, "healthy": 3, "unhealthy": 1, "unknown": 0, "cordoned": 0, "allocated": 0}
    (problem,) = status["problems"]
    assert (problem["node"], problem["device"], problem["reason"]) == (second, "video7", "DeviceMissing")
    world.report(second)
    eventually(lambda: world.reason() == "AllNodesReady", "and that it works again")
    assert "problems" not in world.config["status"]
    wanted = [("Normal", "AllNodesReady"), ("Warning", "SomeUnhealthy"), ("Normal", "AllNodesReady")]
    eventually(lambda: world.events() == wanted, "an Event for each transition")


def test_a_new_content_of_resources_reaches_the_nodes_and_restarts_no_agent(
    operator: RunningOperator, world: World
) -> None:
    name = world.node("a")
    world.apply()
    world.start([name])
    world.report(name)
    eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    pods = [pod["metadata"]["uid"] for pod in world.pods()]
    old = world.objects()[name]["spec"]["revision"]
    world.apply(resources=[resource(), resource("example.com/second")])
    eventually(lambda: world.objects()[name]["spec"]["revision"] != old, "the node has the new revision")
    assert [found["name"] for found in world.objects()[name]["spec"]["resources"]] == [
        "example.com/camera",
        "example.com/second",
    ]
    eventually(lambda: world.reason() == "RolloutInProgress", "the agent has not taken it yet")
    world.report(name)
    eventually(lambda: world.reason() == "AllNodesReady", "it has")
    assert [pod["metadata"]["uid"] for pod in world.pods()] == pods


def test_a_config_in_preview_says_so_and_serves_when_it_is_told_to(operator: RunningOperator, world: World) -> None:
    name = world.node("a")
    world.apply(mode="Preview")
    world.start([name])
    assert world.objects()[name]["spec"]["mode"] == "Preview"
    world.report(name, unregistered="Preview")
    eventually(lambda: world.reason() == "Preview", "it is told")
    status = world.config["status"]
    assert (status["nodes"]["ready"], status["devices"]["total"]) == (1, 2)
    world.apply(mode="Serve")
    eventually(lambda: world.objects()[name]["spec"]["mode"] == "Serve", "the node is told to serve")
    eventually(lambda: world.reason() == "RolloutInProgress", "the agent has not taken it yet")
    world.report(name)
    eventually(lambda: world.reason() == "AllNodesReady", "it has")


def test_a_daemonset_that_was_edited_by_hand_is_put_back(operator: RunningOperator, world: World) -> None:
    world.apply()
    eventually(lambda: world.daemonset, "the DaemonSet is there")
    template = world.template()
    path = "/spec/template/spec/containers"
    world.api.patch(
        "apps/v1",
        "DaemonSet",
        f"{world.name}-agent",
        [
            {"op": "add", "path": f"{path}/-", "value": {"name": "sidecar", "image": "x"}},
            {"op": "add", "path": f"{path}/0/env/-", "value": {"name": "X", "value": "1"}},
            {"op": "replace", "path": f"{path}/0/image", "value": "another:1"},
            {"op": "remove", "path": f"{path}/0/livenessProbe"},
            {"op": "add", "path": "/spec/template/spec/hostNetwork", "value": True},
        ],
        namespace=AGENTS,
        style="json",
    )
    eventually(lambda: world.template() == template, "everything is as it was")
    time.sleep(0.5)
    assert world.daemonset is not None
    assert world.daemonset["metadata"]["generation"] == 3  # the edit, and one write for all of it


@pytest.mark.parametrize("label", ["deviceplugins.dev/config", "app.kubernetes.io/name"])
def test_a_daemonsets_label_that_was_removed_by_hand_is_put_back(
    operator: RunningOperator, world: World, label: str
) -> None:
    world.apply()
    eventually(lambda: world.daemonset, "the DaemonSet is there")
    assert world.daemonset is not None
    labels = world.daemonset["metadata"]["labels"]
    change = {"metadata": {"labels": {label: None}}}
    world.api.patch("apps/v1", "DaemonSet", f"{world.name}-agent", change, namespace=AGENTS)

    def there() -> bool:
        return world.daemonset is not None and world.daemonset["metadata"]["labels"] == labels

    eventually(there, "it has its labels")


def test_a_variable_changed_by_hand_is_put_back_too(operator: RunningOperator, world: World) -> None:
    world.apply()
    eventually(lambda: world.daemonset, "the DaemonSet is there")
    template = world.template()
    world.api.patch(
        "apps/v1",
        "DaemonSet",
        f"{world.name}-agent",
        [{"op": "replace", "path": "/spec/template/spec/containers/0/imagePullPolicy", "value": "Always"}],
        namespace=AGENTS,
        style="json",
    )
    eventually(lambda: world.template() == template, "everything is as it was")


def test_a_wished_restart_goes_through(operator: RunningOperator, world: World) -> None:
    world.apply()
    eventually(lambda: world.daemonset, "the DaemonSet is there")
    annotation = {"kubectl.kubernetes.io/restartedAt": "2026-11-23T12:00:00Z"}
    body = {"spec": {"template": {"metadata": {"annotations": annotation}}}}
    world.api.patch("apps/v1", "DaemonSet", f"{world.name}-agent", body, namespace=AGENTS)
    operator.look(world.name)
    time.sleep(0.5)
    assert world.daemonset is not None
    assert world.daemonset["spec"]["template"]["metadata"]["annotations"] == annotation


def test_a_deleted_config_takes_everything_with_it(operator: RunningOperator, world: World) -> None:
    name = world.node("a")
    world.apply()
    world.start([name])
    world.api.delete(API_VERSION, "DevicePluginConfig", world.name)
    eventually(lambda: world.daemonset is None and not world.objects(), "all of it is gone", within=20)
    time.sleep(1)
    assert world.daemonset is None
    assert world.objects() == {}
    assert all("deletionTimestamp" in pod["metadata"] for pod in world.pods())


def test_the_object_of_a_node_that_is_gone_goes_and_another_machine_starts_afresh(
    operator: RunningOperator, world: World
) -> None:
    first, second = world.node("a"), world.node("b")
    world.apply()
    world.start([first, second])
    world.report(first)
    world.remove_node(second)
    eventually(lambda: world.objects().keys() == {first}, "the object has gone with its node")
    world.remove_node(first)
    old = world.objects().get(first)
    world.node("a")
    world.start([first])
    eventually(
        lambda: (
            (found := world.objects().get(first)) is not None
            and found["spec"]["nodeUID"] == world.api.get("v1", "Node", first)["metadata"]["uid"]
        ),
        "the object is the new machine's",
    )
    if old is not None:
        assert world.objects()[first]["metadata"]["uid"] != old["metadata"]["uid"]
    assert "status" not in world.objects()[first]


def test_a_node_that_is_no_longer_selected_loses_its_object(operator: RunningOperator, world: World) -> None:
    name = world.node("a")
    world.apply()
    world.start([name])
    world.api.patch("v1", "Node", name, {"metadata": {"labels": {"world": None}}})
    eventually(lambda: not world.objects(), "the object has gone")
    eventually(lambda: world.reason() == "NoMatchingNodes", "and the config says so")


def test_an_object_without_its_agent_stays(operator: RunningOperator, world: World) -> None:
    name = world.node("a")
    world.apply()
    world.start([name])
    (pod,) = world.pods()
    uid = world.objects()[name]["metadata"]["uid"]
    world.api.delete("v1", "Pod", pod["metadata"]["name"], namespace=AGENTS)
    operator.look(world.name)
    time.sleep(1)
    assert world.objects()[name]["metadata"]["uid"] == uid


def test_an_object_that_was_changed_by_hand_is_put_back(operator: RunningOperator, world: World) -> None:
    name = world.node("a")
    world.apply()
    world.start([name])
    item = world.objects()[name]
    body = {"spec": {"resources": [resource("example.com/other")]}}
    world.api.patch(API_VERSION, NODE, item["metadata"]["name"], body)
    eventually(
        lambda: world.objects()[name]["spec"]["resources"] == item["spec"]["resources"], "the resources are back"
    )
