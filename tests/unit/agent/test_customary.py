"""Variables and device information by the words that programs and CNI plugins know."""

import json
from typing import Any

import pytest

from device_plugin_agent import customary
from device_plugin_agent.devinfo.document import content, file_name
from device_plugin_agent.sources import Candidate
from device_plugin_api.nvidia import NvidiaSource
from device_plugin_api.sources import (
    FpgaSource,
    GroupMember,
    GroupsSource,
    NetworkSource,
    PathsSource,
    PciSource,
    SimulatedSource,
    Source,
)

ADDRESS, PORT = "0000:3b:01.0", "0000:3b:00.0"
NETWORK = Source(network=NetworkSource())


def function(*nodes: str, shared: tuple[str, ...] = (), **attributes: str) -> Candidate:
    known = {"pciAddress": ADDRESS, "physicalFunction": PORT} | attributes
    path = nodes[0] if nodes else ""
    return Candidate(id=ADDRESS, path=path, nodes=nodes, shared_nodes=shared, attributes=known)


def info(device: Candidate) -> Any:
    inside = {path: path for path in (*device.nodes, *device.shared_nodes)}
    return json.loads(customary.variables("a.com/net", NETWORK, [(device, inside)])["PCIDEVICE_A_COM_NET_INFO"])


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (function(), {}),
        (
            function("/dev/vfio/16", shared=("/dev/vfio/vfio",)),
            {"vfio": {"dev-mount": "/dev/vfio/16", "mount": "/dev/vfio/vfio"}},
        ),
        (function("/dev/uio3"), {"uio": {"mount": "/dev/uio3"}}),
        (function("/dev/vhost-vdpa-0"), {"vdpa": {"mount": "/dev/vhost-vdpa-0"}}),
        (
            function(
                "/dev/infiniband/uverbs1",
                "/dev/infiniband/umad1",
                "/dev/infiniband/issm1",
                shared=("/dev/infiniband/rdma_cm",),
                rdmaDevice="mlx5_3",
            ),
            {
                "rdma": {
                    "rdma_dev": "mlx5_3",
                    "uverbs": "/dev/infiniband/uverbs1",
                    "umad": "/dev/infiniband/umad1",
                    "issm": "/dev/infiniband/issm1",
                    "rdma_cm": "/dev/infiniband/rdma_cm",
                }
            },
        ),
    ],
)
def test_a_program_learns_what_each_node_is_for(device: Candidate, expected: dict[str, Any]) -> None:
    assert info(device) == {ADDRESS: {"generic": {"deviceID": ADDRESS}} | expected}


def test_a_program_learns_where_a_node_is_in_its_container() -> None:
    given = [(function("/dev/vfio/16"), {"/dev/vfio/16": "/dev/vfio/net0"})]
    told = json.loads(customary.variables("a.com/net", NETWORK, given)["PCIDEVICE_A_COM_NET_INFO"])
    assert told[ADDRESS]["vfio"] == {"dev-mount": "/dev/vfio/net0"}


def test_the_name_of_the_variable_is_the_whole_resource_in_capitals() -> None:
    made = customary.variables("vendor-1.example.com/qat.vf-gen4", Source(pci=PciSource()), [(function(), {})])
    assert made["PCIDEVICE_VENDOR_1_EXAMPLE_COM_QAT_VF_GEN4"] == ADDRESS


def test_of_fpgas_a_program_learns_what_each_is_programmed_with_and_takes() -> None:
    devices = [
        Candidate(id="a", attributes={"afuID": "d842", "interfaceID": "6952"}),
        Candidate(id="b", attributes={"afuID": "f7df"}),
    ]
    made = customary.variables("a.com/nlb", Source(fpga=FpgaSource()), [(device, {}) for device in devices])
    assert made == {"FPGA_AFU_1": "d842", "FPGA_REGION_1": "6952", "FPGA_AFU_2": "f7df"}


def test_other_devices_have_no_such_variables() -> None:
    simulated = Source(simulated=SimulatedSource(count=1))
    assert customary.variables("a.com/net", simulated, [(Candidate(id="a"), {})]) == {}


@pytest.mark.parametrize(
    ("how", "visible", "named"),
    [
        ("Environment", "GPU-1,GPU-2", ()),
        ("CDI", "void", ("nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2")),
        ("Both", "GPU-1,GPU-2", ("nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2")),
    ],
)
def test_gpus_are_told_by_uuid_to_the_runtime_that_was_asked_for(
    how: str, visible: str, named: tuple[str, ...]
) -> None:
    source = Source(nvidia=NvidiaSource(device_list=how))
    gpus = [Candidate(id=f"{number}", attributes={"uuid": f"GPU-{number}"}) for number in (1, 2)]
    made = customary.variables("nvidia.com/gpu", source, [(gpu, {}) for gpu in gpus])
    assert made == {"NVIDIA_VISIBLE_DEVICES": visible}
    assert customary.cdi_devices(source, gpus) == named


def test_device_information_is_found_by_resource_and_device() -> None:
    assert file_name("intel.com/sriov_net", ADDRESS) == "intel.com-sriov_net-0000:3b:01.0-device.json"


def test_device_information_of_a_function_names_its_port_and_what_else_it_has() -> None:
    device = function("/dev/infiniband/uverbs1", shared=("/dev/vhost-net", "/dev/net/tun"), rdmaDevice="mlx5_3")
    assert json.loads(content(device)) == {
        "type": "pci",
        "version": "1.1.0",
        "pci": {
            "pci-address": ADDRESS,
            "vhost-net": "/dev/vhost-net",
            "rdma-device": "mlx5_3",
            "pf-pci-address": PORT,
        },
    }


def test_device_information_of_a_vdpa_device_is_about_that() -> None:
    device = function("/dev/vhost-vdpa-0", vdpaDevice="vdpa3", vdpaType="vhost")
    assert json.loads(content(device)) == {
        "type": "vdpa",
        "version": "1.1.0",
        "vdpa": {
            "parent-device": "vdpa3",
            "driver": "vhost",
            "path": "/dev/vhost-vdpa-0",
            "pci-address": ADDRESS,
            "pf-pci-address": PORT,
        },
    }


RIG = Source(
    groups=GroupsSource(
        members=(
            GroupMember(name="camera", paths=PathsSource(include=("/dev/video*",))),
            GroupMember(name="light", optional=True, paths=PathsSource(include=("/dev/light*",))),
        )
    )
)


def rig(number: int, *members: str) -> customary.Given:
    hosts = {member: f"/dev/{member}{number}" for member in members}
    return Candidate(id=f"rig-{number}", attributes=hosts), {host: f"/dev/in{host}" for host in hosts.values()}


def test_each_member_of_a_group_is_told_by_its_name_as_the_container_sees_it() -> None:
    given = [rig(0, "camera", "light"), rig(1, "camera")]
    assert customary.variables("a.com/test-rig", RIG, given) == {
        "TEST_RIG_CAMERA_PATH": "/dev/in/dev/camera0,/dev/in/dev/camera1",
        "TEST_RIG_LIGHT_PATH": "/dev/in/dev/light0,",
    }


def test_a_member_that_no_group_of_the_container_has_is_not_told() -> None:
    assert customary.variables("a.com/rig", RIG, [rig(0, "camera")]) == {"RIG_CAMERA_PATH": "/dev/in/dev/camera0"}
