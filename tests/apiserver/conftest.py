from collections.abc import Iterator

import pytest

from apiserver_fixture import ControlPlane
from apiserver_fixture.fixture import api, control_plane, controllers
from kubelet_double.fixture import kubelet, kubelet_clock, kubelet_root, stopped_kubelet

__all__ = [
    "api",
    "control_plane",
    "controllers",
    "kubelet",
    "kubelet_clock",
    "kubelet_root",
    "spare_plane",
    "stopped_kubelet",
]


@pytest.fixture(scope="session")
def spare_plane(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Another control plane, for tests that take the installation apart: they install() what they need."""
    with ControlPlane(control_plane.assets, tmp_path_factory.mktemp("spare-plane")) as plane:
        plane.start_controllers()
        yield plane
