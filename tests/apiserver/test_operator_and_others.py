"""What the operator leaves alone, and how little it writes."""

from collections.abc import Iterator
from typing import Any

import pytest

from apiserver.objects import API_VERSION, CONFIG, NODE, Json, resource
from apiserver.operator_world import RunningOperator, World, eventually, settled, versions
from device_plugin_operator.settings import Settings


@pytest.fixture(scope="module")
def operator(settings: Settings) -> Iterator[RunningOperator]:
    with RunningOperator(settings) as running:
        yield running


def test_a_hundred_looks_write_nothing(operator: RunningOperator, world: World) -> None:
    settled(world)
    operator.looks(world.name, 3)
    before, writes = versions(world), len(operator.writes)
    operator.looks(world.name, 100)
    assert operator.writes[writes:] == []
    assert versions(world) == before


def test_of_a_config_nothing_but_its_status_is_ever_written(operator: RunningOperator, world: World) -> None:
    settled(world)
    world.apply(resources=[resource(), resource("example.com/second")])
    eventually(lambda: world.reason() == "RolloutInProgress", "the change is on its way")
    written = {path for _, path in operator.writes if path.endswith(f"/devicepluginconfigs/{world.name}")}
    assert written == set()
    managers = {entry["manager"]: entry.get("subresource") for entry in world.config["metadata"]["managedFields"]}
    assert managers.pop("device-plugin-operator") == "status"
    assert world.config["metadata"]["generation"] == 2


def test_what_a_config_no_longer_needs_leaves_the_template(operator: RunningOperator, world: World) -> None:
    def volumes() -> set[str]:
        return {volume["name"] for volume in world.template()["spec"]["volumes"]}

    world.apply()
    eventually(lambda: world.daemonset, "the DaemonSet is there")
    plain = world.template()
    world.apply(
        resources=[
            resource(allocation={"cdi": {"mode": "Always"}}),
            {"name": "example.com/function", "source": {"network": {"vendors": ["8086"]}}},
        ],
        tolerations=[{"key": "gpu", "operator": "Exists"}],
    )
    eventually(lambda: {"cdi", "net", "device-info"} <= volumes(), "it has what it needs")
    world.apply()
    eventually(lambda: world.template() == plain, "it has what it had")


def test_what_others_put_on_our_objects_stays(operator: RunningOperator, world: World) -> None:
    name = settled(world)
    theirs: Json = {"finalizers": ["example.com/keep"], "labels": {"example.com/a": "b"}, "annotations": {"c": "d"}}
    item = world.objects()[name]["metadata"]["name"]
    world.api.patch(API_VERSION, CONFIG, world.name, {"metadata": theirs})
    world.api.patch(API_VERSION, NODE, item, {"metadata": theirs})
    try:
        world.apply(cordonedDevices=[_cordon(name)])
        eventually(lambda: world.objects()[name]["spec"].get("cordonedDevices"), "the object was written")
        world.report(name, broken=["video7"])
        eventually(lambda: world.reason() == "SomeUnhealthy", "the status was written")
        for found in (world.config, world.objects()[name]):
            metadata = found["metadata"]
            assert metadata["finalizers"] == theirs["finalizers"]
            assert theirs["labels"].items() <= metadata["labels"].items()
            assert theirs["annotations"].items() <= metadata["annotations"].items()
    finally:
        for kind, each in ((CONFIG, world.name), (NODE, item)):
            world.api.patch(API_VERSION, kind, each, {"metadata": {"finalizers": None}})


def _cordon(node: str) -> dict[str, Any]:
    return {"node": node, "resource": "example.com/camera", "device": "video0", "reason": "lens broken"}
