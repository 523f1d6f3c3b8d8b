from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver.api_proxy import ApiProxy, through
from apiserver.operator_world import World, kubeconfig, world_name
from apiserver_fixture import Client, ControlPlane
from apiserver_fixture.fixture import api, binaries, control_plane, controllers
from device_plugin_operator.settings import Settings
from kubelet_double.fixture import kubelet, kubelet_clock, kubelet_root, stopped_kubelet

LONGEST = (
    "test_operator_leads",
    "test_uninstall",
    "test_upgrade",
    "test_operator_lease_faults",
    "test_operator_gives_up",
    "test_operator_latency",
    "test_operator_faults",
)
"""First, so that no worker of xdist is left alone with one of them at the end."""

__all__ = [
    "api",
    "behind_proxy",
    "binaries",
    "control_plane",
    "controllers",
    "kubelet",
    "kubelet_clock",
    "kubelet_root",
    "proxy",
    "settings",
    "spare_plane",
    "stopped_kubelet",
    "world",
]


@pytest.fixture(scope="session")
def spare_plane(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Another control plane, for tests that take the installation apart: they install() what they need."""
    with ControlPlane(binaries, tmp_path_factory.mktemp("spare-plane")) as plane:
        plane.start_controllers()
        yield plane


@pytest.fixture(scope="session")
def settings(controllers: ControlPlane) -> Settings:
    """Of an operator with the rights that its manifests give it."""
    token = controllers.token_for("device-plugin-system", "device-plugin-operator")
    return Settings(agent_image="agent:1", http_port=0, kubeconfig=str(kubeconfig(controllers, token)))


@pytest.fixture(scope="module")
def proxy(controllers: ControlPlane) -> Iterator[ApiProxy]:
    """What an operator may have between itself and the API server."""
    with ApiProxy(controllers.url, controllers.ca_file) as made:
        yield made


@pytest.fixture(scope="module")
def behind_proxy(controllers: ControlPlane, proxy: ApiProxy) -> Settings:
    """Of an operator that asks by way of it."""
    return Settings(agent_image="agent:1", http_port=0, kubeconfig=str(through(proxy, controllers)))


@pytest.fixture
def world(api: Client, request: pytest.FixtureRequest) -> Iterator[World]:
    """A config of the test's own name, not applied yet."""
    made = World(api, world_name(request.node.name))
    yield made
    made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For xdist: the files that take longest first, and together what shares an API server or an operator."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
    for item in items:
        spare = "spare_plane" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("spare plane" if spare else item.path.stem))
