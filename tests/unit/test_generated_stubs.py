"""The committed stubs are what grpcio-tools makes of our .proto files, and speak the kubelet's names."""

import subprocess
import sys
from pathlib import Path

import pytest

from device_plugin_agent.kubelet_api import deviceplugin_pb2, podresources_pb2

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("device_plugin_agent/kubelet_api")


def test_generated_files_are_what_the_protos_make(tmp_path: Path) -> None:
    environment = {"VENV": sys.prefix, "PATH": "/usr/bin:/bin"}
    subprocess.run([ROOT / "hack/generate-protos.sh", tmp_path], check=True, env=environment, timeout=50)
    made = {path.name: path.read_text() for path in (tmp_path / FOLDER).iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / "agent" / FOLDER).glob("*_pb2*.py*")}
    stale = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    assert not stale, "run hack/generate-protos.sh and commit the result"
    assert len(kept) == 8


@pytest.mark.parametrize(
    ("method", "streams"),
    [
        ("v1beta1.Registration.Register", False),
        ("v1beta1.DevicePlugin.GetDevicePluginOptions", False),
        ("v1beta1.DevicePlugin.ListAndWatch", True),
        ("v1beta1.DevicePlugin.GetPreferredAllocation", False),
        ("v1beta1.DevicePlugin.Allocate", False),
        ("v1beta1.DevicePlugin.PreStartContainer", False),
        ("v1.PodResourcesLister.List", False),
        ("v1.PodResourcesLister.GetAllocatableResources", False),
        ("v1.PodResourcesLister.Get", False),
    ],
)
def test_methods_have_the_names_that_the_kubelet_uses(method: str, streams: bool) -> None:
    service, name = method.rsplit(".", 1)
    module = deviceplugin_pb2 if service.startswith("v1beta1") else podresources_pb2
    found = module.DESCRIPTOR.services_by_name[service.rpartition(".")[2]]
    assert found.full_name == service
    assert found.methods_by_name[name].server_streaming is streams


def test_both_protos_lie_in_one_descriptor_pool_under_names_of_our_own() -> None:
    for module, package in ((deviceplugin_pb2, "v1beta1"), (podresources_pb2, "v1")):
        assert module.DESCRIPTOR.package == package
        assert module.DESCRIPTOR.name.startswith("device_plugin_agent/kubelet_api/")
        assert module.DESCRIPTOR.pool.FindMessageTypeByName(f"{package}.NUMANode") is not None


def test_generated_code_imports_relative_to_the_package() -> None:
    for path in (ROOT / "agent" / FOLDER).glob("*_pb2_grpc.py"):
        assert "\nfrom device_plugin_agent.kubelet_api import " in path.read_text()
