"""pytest fixtures: a conftest.py imports them by name."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver_fixture.client import Client
from apiserver_fixture.control_plane import ControlPlane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with our CRDs and manifests, once per session (and per worker of xdist)."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        pytest.fail(
            "KUBEBUILDER_ASSETS is not set: it names the folder with etcd and kube-apiserver. "
            "`make test-apiserver` sets it up and runs these tests.",
            pytrace=False,
        )
    folder = tmp_path_factory.mktemp("control-plane")
    with ControlPlane(Path(assets), folder, audited=True) as plane:
        plane.install()
        yield plane


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Client:
    """The API server as seen by the cluster's administrator."""
    return control_plane.client()


@pytest.fixture(scope="session")
def controllers(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with the DaemonSet, garbage collection, namespace and ServiceAccount controllers."""
    control_plane.start_controllers()
    return control_plane
