"""An operator that begins with answers of the past, as from an API server that lags behind."""

from collections.abc import Iterator

import pytest

from apiserver.api_proxy import ApiProxy, Ask, Fault, through
from apiserver.operator_world import RunningOperator, World, eventually, versions, world_name
from apiserver_fixture import Client, ControlPlane
from device_plugin_operator.settings import Settings


@pytest.fixture
def proxy(controllers: ControlPlane) -> Iterator[ApiProxy]:
    with ApiProxy(controllers.url, controllers.ca_file) as made:
        yield made


@pytest.fixture
def settings(controllers: ControlPlane, proxy: ApiProxy) -> Settings:
    return Settings(agent_image="agent:1", http_port=0, kubeconfig=str(through(proxy, controllers)))


@pytest.fixture
def worlds(api: Client, request: pytest.FixtureRequest) -> Iterator[tuple[World, World]]:
    made = World(api, world_name(request.node.name)), World(api, "gone")
    yield made
    for each in made:
        each.close()


def of_the_past(ask: Ask) -> Fault | None:
    """All it reads is as it was first, but for pods and the Lease; watches are not to be had."""
    if ask.watches:
        return Fault(status=503)
    return None if ask.path.endswith(("/pods", "/leases/device-plugin-operator")) else Fault(stale=True)


def test_old_news_make_nothing_twice_and_bring_nothing_back(
    settings: Settings, proxy: ApiProxy, worlds: tuple[World, World]
) -> None:
    world, gone = worlds
    with RunningOperator(settings):
        node = world.node("a")
        world.apply()
        world.start([node])
        world.report(node)
        gone.apply()
        eventually(lambda: world.reason() == "AllNodesReady", "all is well")
        eventually(lambda: gone.reason() == "NoMatchingNodes", "so it is with the other")
    gone.api.delete("deviceplugins.dev/v1alpha1", "DevicePluginConfig", gone.name)
    eventually(lambda: gone.daemonset is None, "the other is gone with all it had")
    uids = {item["metadata"]["uid"] for item in world.objects().values()}
    with proxy.following(of_the_past), RunningOperator(settings) as operator:
        operator.look(world.name)
        operator.look(gone.name)
        eventually(
            lambda: ("POST", "/apis/deviceplugins.dev/v1alpha1/nodedeviceplugins") in operator.writes, "it tried"
        )
    with RunningOperator(settings) as operator:
        operator.look(world.name)
        eventually(lambda: world.reason() == "AllNodesReady", "all is well again")
        assert {item["metadata"]["uid"] for item in world.objects().values()} == uids
        eventually(lambda: gone.daemonset is None, "what is gone stays so")

        def quiet() -> bool:
            before = versions(world)
            operator.look(world.name)
            return versions(world) == before

        eventually(quiet, "a look changes nothing")
