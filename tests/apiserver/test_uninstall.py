"""The installation is taken away piece by piece, in any order: nothing is left and nothing hangs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from apiserver.operator_world import AGENTS, World, eventually, kubeconfig
from apiserver.replica import Replica
from apiserver_fixture import ControlPlane
from apiserver_fixture.control_plane import ROOT

pytestmark = pytest.mark.timeout(240)

SYSTEM = "device-plugin-system"
CRD = "apiextensions.k8s.io/v1"
KINDS = ("devicepluginconfigs.deviceplugins.dev", "nodedeviceplugins.deviceplugins.dev")


class Installation:
    """All of ours on one API server, with a config that is served on one node."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        plane.install()
        self.api = plane.client()
        self.world = World(self.api, "leaving")
        token = plane.token_for(SYSTEM, "device-plugin-operator")
        self.operator = Replica("operator", folder, kubeconfig(plane, token))
        node = self.world.node("a")
        self.world.apply()
        self.world.start([node])
        self.world.report(node)
        eventually(lambda: self.world.reason() == "AllNodesReady", "all is well")

    def take(self, part: str) -> None:
        """Take a part away, without waiting for what follows from that."""
        match part:
            case "operator":
                self.operator.process.stop(within=15)
            case "configs":
                self.api.delete("deviceplugins.dev/v1alpha1", "DevicePluginConfig", self.world.name)
            case "configs, waiting for what they own":
                name = self.world.name
                self.api.delete("deviceplugins.dev/v1alpha1", "DevicePluginConfig", name, propagation="Foreground")
            case "CRDs":
                for name in KINDS:
                    self.api.delete(CRD, "CustomResourceDefinition", name)
            case "namespaces":
                for name in (SYSTEM, AGENTS):
                    self.api.delete("v1", "Namespace", name)
            case "rights and policies":
                for path in (ROOT / "manifests/base").glob("*.yaml"):
                    self._delete_cluster_scoped(path)

    def _delete_cluster_scoped(self, path: Path) -> None:
        for item in yaml.safe_load_all(path.read_text()):
            metadata = item.get("metadata", {})
            if metadata.get("namespace") in (None, "default") and item["kind"] not in ("Namespace", "Kustomization"):
                api_version, kind = item["apiVersion"], item["kind"]
                self.api.delete(api_version, kind, metadata["name"], namespace=metadata.get("namespace"))

    def gone(self) -> bool:
        """Whether nothing is left. Plays the kubelet meanwhile: pods that shall end have ended."""
        for pod in self.world.pods():
            if "deletionTimestamp" in pod["metadata"]:
                self.api.delete("v1", "Pod", pod["metadata"]["name"], namespace=AGENTS, missing_ok=True)
        return not (
            any(self.api.find(CRD, "CustomResourceDefinition", name) for name in KINDS)
            or any(self.api.find("v1", "Namespace", name) for name in (SYSTEM, AGENTS))
        )


@pytest.fixture
def installation(spare_plane: ControlPlane, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(spare_plane, tmp_path)
    with made.operator.process:
        yield made
    made.api.delete("v1", "Node", "leaving-a")


@pytest.mark.parametrize(
    "order",
    [
        ("operator", "configs, waiting for what they own", "CRDs", "namespaces", "rights and policies"),
        ("CRDs", "namespaces", "operator", "rights and policies"),
        ("namespaces", "rights and policies", "configs", "CRDs", "operator"),
    ],
    ids=lambda order: f"{order[0]} first, {order[-1]} last",
)
def test_in_whatever_order_it_is_taken_away_nothing_is_left_and_nothing_hangs(
    installation: Installation, order: tuple[str, ...]
) -> None:
    for part in order:
        installation.take(part)
    eventually(installation.gone, "all is gone", within=100, every=0.2)


def test_an_operator_whose_kinds_are_taken_away_ends_and_the_next_one_waits_for_them(
    installation: Installation, spare_plane: ControlPlane, tmp_path: Path
) -> None:
    installation.take("CRDs")
    eventually(installation.operator.ended, "it ends")
    assert installation.operator.process.code == 1
    token = spare_plane.token_for(SYSTEM, "device-plugin-operator")
    following = Replica("following", tmp_path, kubeconfig(spare_plane, token))
    with following.process:
        eventually(lambda: following.said("Waiting for the CustomResourceDefinitions"), "it says what it waits for")
        spare_plane.install()
        eventually(lambda: following.said("Leading"), "they are there again")
        installation.world.apply()
        eventually(installation.world.reason, "it serves")
