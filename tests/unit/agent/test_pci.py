"""PCI functions on recorded machines."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from device_plugin_agent.sources import Candidate, Discovery, HostView
from device_plugin_agent.sources.pci import Pci
from device_plugin_agent.uevents import Uevent
from device_plugin_api.sources import PciSource
from recorded import unpacked

VF = "devices/pci0000:00/0000:00:03.0/0000:01:10.6"


@pytest.fixture
def host(tmp_path: Path) -> HostView:
    return unpacked("sriov-igb-vfio-nvme-dri", tmp_path)


def discover(host: HostView, **selector: tuple[str, ...]) -> Discovery:
    return Pci(PciSource(**selector), host).discover()


def found(host: HostView, **selector: tuple[str, ...]) -> list[Candidate]:
    return list(discover(host, **selector).candidates)


def test_a_function_bound_to_vfio_is_its_iommu_group(host: HostView) -> None:
    (device,) = found(host, drivers=("vfio-pci",))
    assert (device.id, device.path, device.nodes) == ("0000:01:10.6", "/dev/vfio/16", ("/dev/vfio/16",))
    assert device.shared_nodes == ("/dev/vfio/vfio",)
    assert device.attributes == {
        "pciAddress": "0000:01:10.6",
        "vendor": "8086",
        "device": "10ca",
        "class": "020000",
        "driver": "vfio-pci",
        "iommuGroup": "16",
        "pciRoot": "pci0000:00",
        "physicalFunction": "0000:01:00.0",
    }


def test_a_graphics_card_has_its_drivers_nodes(host: HostView) -> None:
    (device,) = found(host, classes=("03",), vendors=("1af4",))
    assert device.nodes == ("/dev/dri/card0", "/dev/dri/renderD128", "/dev/fb0")


def test_an_accelerator_has_the_node_of_the_accel_subsystem(host: HostView) -> None:
    address = "0000:00:0b.0"
    function = host.sys_root / "devices/pci0000:00" / address
    accel = function / "accel/accel0"
    accel.mkdir(parents=True)
    for name, text in (("vendor", "0x8086"), ("device", "0x7d1d"), ("class", "0x120000")):
        (function / name).write_text(f"{text}\n")
    (function / "driver").symlink_to("../../../bus/pci/drivers/intel_vpu")
    (host.sys_root / "bus/pci/devices" / address).symlink_to(f"../../../devices/pci0000:00/{address}")
    (accel / "dev").write_text("261:0\n")
    (accel / "uevent").write_text("MAJOR=261\nMINOR=0\nDEVNAME=accel/accel0\nDEVTYPE=accel_minor\n")
    (accel / "subsystem").symlink_to("../../../../../class/accel")
    (host.dev_root / "accel").mkdir()
    os.mknod(host.dev_root / "accel/accel0", 0o020666, os.makedev(261, 0))
    (device,) = found(host, classes=("12",), drivers=("intel_vpu",))
    assert (device.id, device.path, device.nodes) == (address, "/dev/accel/accel0", ("/dev/accel/accel0",))
    assert device.shared_nodes == ()


def test_a_disk_is_offered_only_where_the_operator_allows_block_devices_by_whatever_node(host: HostView) -> None:
    discovery = discover(host, classes=("0108",))
    assert discovery.candidates == ()
    assert "/dev/nvme0: it commands a disk, as a block device does" in discovery.steps[-2].dropped[0]
    (device,) = found(replace(host, allow_block_devices=True), classes=("0108",))
    assert device.nodes == ("/dev/nvme0", "/dev/ng0n1", "/dev/nvme0n1")


def test_a_bridge_does_not_have_what_is_behind_it(host: HostView) -> None:
    assert found(host, drivers=("pcieport",)) == []


def test_a_network_function_has_no_device_node_and_says_so(host: HostView) -> None:
    discovery = discover(host, addresses=("0000:01:10.0",))
    assert discovery.candidates == ()
    assert discovery.steps[-2].dropped[0].startswith("0000:01:10.0: it has no device node")


def test_all_given_members_have_to_fit_and_each_step_says_what_it_kept(host: HostView) -> None:
    discovery = discover(host, vendors=("8086",), devices=("10ca",), classes=("0200",), drivers=("vfio-pci",))
    assert [(step.step, step.kept) for step in discovery.steps] == [
        ("PCI functions", 19),
        ("vendor 8086", 10),
        ("device 10ca", 4),
        ("class 0200", 4),
        ("driver vfio-pci", 1),
        ("with device nodes", 1),
        ("first of its IOMMU group", 1),
    ]
    assert discovery.steps[4].dropped[0] == "0000:01:10.0: its driver is igbvf"


def test_numbers_may_have_their_prefix(host: HostView) -> None:
    plain = discover(host, vendors=("8086",), devices=("10ca",), classes=("0200",), drivers=("vfio-pci",))
    prefixed = discover(host, vendors=("0x8086",), devices=("0x10ca",), classes=("0x0200",), drivers=("vfio-pci",))
    assert prefixed == plain


def test_functions_of_one_iommu_group_go_together(host: HostView) -> None:
    other = host.sys_root / VF.replace("10.6", "10.4")
    for link, to in (("driver", "../x/vfio-pci"), ("iommu_group", "../x/16")):
        (other / link).unlink()
        (other / link).symlink_to(to)
    discovery = discover(host, drivers=("vfio-pci",))
    assert [device.id for device in discovery.candidates] == ["0000:01:10.4"]
    assert discovery.candidates[0].attributes["iommuGroupSharedWith"] == "0000:01:10.6"
    assert discovery.steps[-1].dropped == ("0000:01:10.6: it is in IOMMU group 16, which goes as 0000:01:10.4",)


def test_a_group_whose_node_is_not_there_is_left_out_with_the_reason(host: HostView) -> None:
    (host.dev_root / "vfio/16").unlink()
    discovery = discover(host, drivers=("vfio-pci",))
    assert discovery.candidates == ()
    assert "/dev/vfio/16: cannot be looked at: No such file or directory" in discovery.steps[-2].dropped[0]


def test_the_numa_node_is_the_functions_own(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path)
    (device,) = found(host, drivers=("vfio-pci",))
    assert device.numa_node == int((host.sys_root / "bus/pci/devices" / device.id / "numa_node").read_text())


def test_rubbish_in_sysfs_selects_nothing(host: HostView) -> None:
    (host.sys_root / VF / "vendor").write_bytes(b"\xff\xfe" * 3000)
    os.mkfifo(host.sys_root / "bus/pci/devices/0000:99:00.0")
    assert found(host, vendors=("8086",), drivers=("vfio-pci",)) == []


def test_a_driver_whose_name_is_no_text_can_still_be_reported(host: HostView) -> None:
    card = (host.sys_root / "bus/pci/devices" / found(host, classes=("03",), vendors=("1af4",))[0].id).resolve()
    (card / "driver").unlink()
    os.symlink(b"../x/\xff\n", bytes(card / "driver"))
    (device,) = found(host, classes=("03",), vendors=("1af4",))
    assert device.attributes["driver"] == "??"


def test_events_of_functions_concern_it_and_traffic_of_their_network_devices_does_not(host: HostView) -> None:
    source = Pci(PciSource(drivers=("vfio-pci",)), host)
    assert source.concerns(Uevent(action="bind", devpath=f"/{VF}", subsystem="pci"))
    assert not source.concerns(Uevent(action="change", devpath=f"/{VF}/net/eth0/queues/rx-0", subsystem="queues"))
    assert not source.concerns(Uevent(action="add", devpath="/devices/virtual/tty/tty9", subsystem="tty"))
