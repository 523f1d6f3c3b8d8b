"""A real etcd and kube-apiserver for tests, and a small client to go with it.

In a conftest.py: `from apiserver_fixture.fixture import api, binaries, control_plane` (and `controllers` where
DaemonSets or garbage collection are needed). `KUBEBUILDER_ASSETS` names the folder with the binaries;
`make test-apiserver` sets it.
"""

from apiserver_fixture.client import ApiError, Client, Json
from apiserver_fixture.control_plane import CONTROLLERS, ControlPlane
from apiserver_fixture.waiting import eventually

__all__ = ["CONTROLLERS", "ApiError", "Client", "ControlPlane", "Json", "eventually"]
