"""A source of somebody's own: its agents run the image that the operator's settings name, and no other."""

from collections.abc import Iterator

import pytest

from apiserver.operator_world import RunningOperator, World, kubeconfig
from apiserver_fixture import ControlPlane, eventually
from device_plugin_operator.settings import Settings

SOURCE_IMAGES = {"iio": "registry.example.com/agent-iio:1"}


@pytest.fixture
def operator(controllers: ControlPlane) -> Iterator[RunningOperator]:
    token = controllers.token_for("device-plugin-system", "device-plugin-operator")
    path = str(kubeconfig(controllers, token))
    with RunningOperator(
        Settings(agent_image="agent:1", source_images=SOURCE_IMAGES, http_port=0, kubeconfig=path)
    ) as running:
        yield running


def image(world: World) -> str:
    return str(world.template()["spec"]["containers"][0]["image"])


def using(source: str) -> list[object]:
    return [{"name": "example.com/sensor", "source": {"custom": {"name": source, "parameters": {"name": "bme280"}}}}]


def test_its_image_comes_from_the_operators_settings(operator: RunningOperator, world: World) -> None:
    world.apply(resources=using("iio"))
    eventually(lambda: world.daemonset, "the DaemonSet is there")
    assert image(world) == SOURCE_IMAGES["iio"]
    world.apply(resources=[{"name": "example.com/sensor", "source": {"simulated": {"count": 1}}}])
    eventually(lambda: image(world) == "agent:1", "without the source it is the agents' own")


def test_one_without_an_image_is_told_and_gets_no_agents(operator: RunningOperator, world: World) -> None:
    world.apply(resources=using("scales"))
    eventually(lambda: world.reason() == "InvalidSpec", "the config says so")
    (ready,) = [each for each in world.config["status"]["conditions"] if each["type"] == "Ready"]
    assert "source.custom.name 'scales' has no image: the operator's setting sourceImages has iio" in ready["message"]
    assert world.daemonset is None
