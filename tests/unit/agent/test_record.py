"""Recording a machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device_plugin_agent.record import main, record, replay
from device_plugin_agent.sources import HostView
from device_plugin_agent.sources.paths import Paths
from device_plugin_agent.sources.pci import Pci
from device_plugin_agent.sources.usb import Usb
from device_plugin_api.sources import PathsSource, PciSource, UsbSource
from recorded import unpacked


def copied(host: HostView, into: Path, *, with_serials: bool = False) -> HostView:
    into.mkdir()
    record(host.sys_root, host.dev_root, into, with_serials=with_serials)
    replay(into)
    return HostView(dev_root=into / "dev", sys_root=into / "sys")


def test_a_recorded_machine_offers_what_the_machine_offers(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-vfio-nvme-dri", tmp_path / "machine")
    copy = copied(host, tmp_path / "copy")
    for selector in (PciSource(drivers=("vfio-pci",)), PciSource(classes=("03",))):
        assert Pci(selector, copy).discover() == Pci(selector, host).discover()


def test_a_device_that_is_found_by_its_path_has_its_directory_in_sysfs(tmp_path: Path) -> None:
    host = unpacked("virtio", tmp_path / "machine")
    place = "devices/platform/meter.0/meter/meter-0"
    (host.sys_root / place).mkdir(parents=True)
    (host.sys_root / place / "state").write_text("ok\n")
    numbers = host.sys_root / "dev/char"
    numbers.mkdir(parents=True)
    (numbers / "240:7").symlink_to(f"../../{place}")
    (numbers / "240:8").symlink_to("../../devices/gone")
    for number in (7, 8, 9):
        os.mknod(host.dev_root / f"meter-{number}", 0o020666, os.makedev(240, number))
    copy = copied(host, tmp_path / "copy")
    selector = PathsSource(include=("/dev/meter-*",))
    found = Paths(selector, copy).discover()
    assert found == Paths(selector, host).discover()
    assert [device.sysfs for device in found.candidates] == [f"/sys/{place}", "", ""]
    assert (copy.sys_root / place / "state").read_text() == "ok\n"


def test_serial_numbers_stay_out_unless_asked_for(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path / "machine")
    spec = UsbSource(vendor_id="0403")
    plain = Usb(spec, copied(host, tmp_path / "plain")).discover()
    assert {device.attributes["serial"] for device in plain.candidates} == {"left-out"}
    assert len({device.id for device in plain.candidates}) == 2
    full = Usb(spec, copied(host, tmp_path / "full", with_serials=True)).discover()
    assert full == Usb(spec, host).discover()


def test_hardware_addresses_stay_out(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path / "machine")
    copied(host, tmp_path / "copy")
    addresses = {path.read_text() for path in (tmp_path / "copy/sys").rglob("net/*/address")}
    assert addresses == {"left-out\n"}


def test_no_part_of_a_recording_has_a_serial_number_or_hardware_address_in_it(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-vfio-nvme-dri", tmp_path / "machine")
    copied(host, tmp_path / "copy")
    recorded = b"\n".join(path.read_bytes() for path in (tmp_path / "copy/sys").rglob("*") if path.is_file())
    for secret in (b"NV0001", b"USB0001", b"4e5630303031", b"52:54:00:aa:00:01"):
        assert secret not in recorded
    assert b"QEMU NVMe Ctrl" in recorded


def test_a_network_device_that_is_named_by_its_address_stays_out(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path / "machine")
    stick = (host.sys_root / "bus/usb/devices/1-1").resolve()
    (stick / "net/enx0011223344ff").mkdir(parents=True)
    (stick / "net/enx0011223344ff/type").write_text("1\n")
    (host.sys_root / "class/net/enx0011223344ff").symlink_to(os.path.relpath(stick, host.sys_root / "class/net"))
    copied(host, tmp_path / "copy")
    assert not [path for path in (tmp_path / "copy").rglob("*") if "0011223344ff" in path.name]
    copied(host, tmp_path / "full", with_serials=True)
    assert (tmp_path / "full" / stick.relative_to(tmp_path / "machine") / "net/enx0011223344ff/type").exists()


def test_a_link_in_a_loop_among_the_devices_is_survived(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path / "machine")
    (host.sys_root / "bus/pci/devices/0000:00:1e.0").symlink_to("0000:00:1e.0")
    (host.sys_root / "class/net/nothing").symlink_to("../../devices/nothing")
    copied(host, tmp_path / "copy")


def test_what_cannot_be_read_and_what_is_no_text_is_survived(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path / "machine")
    device = next((host.sys_root / "bus/usb/devices").iterdir()).resolve()
    os.mkfifo(device / "pipe")
    (device / "loop").symlink_to("loop")
    (device / "binary").write_bytes(bytes(range(256)) * 100)
    copied(host, tmp_path / "copy")


@pytest.mark.parametrize(
    "line", ["c 1:3 ../outside", "c 1:3 /tmp/outside", "c 1:3 a/../../outside", "c 1:3", "c x:y a"]
)
def test_a_recording_from_a_stranger_makes_nodes_in_its_own_directory_alone(
    tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "dev.list").write_text(f"{line}\n")
    with pytest.raises(SystemExit, match="device-plugin-agent replay: "):
        main(["replay", str(tree)])
    assert [path.name for path in tmp_path.rglob("*") if not path.is_dir()] == ["dev.list"]


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "device_plugin_agent", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_machine_is_recorded_and_replayed_by_the_agents_own_commands(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path / "machine")
    copy = tmp_path / "copy"
    for arguments in (
        ("record", "--with-serials", "--sys-root", host.sys_root, "--dev-root", host.dev_root, copy),
        ("replay", copy),
    ):
        ended = command(*arguments)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    spec = UsbSource(vendor_id="0403")
    found = Usb(spec, HostView(dev_root=copy / "dev", sys_root=copy / "sys")).discover()
    assert len(found.candidates) == 2
    assert found == Usb(spec, host).discover()
    again = command("record", copy)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"device-plugin-agent record: {copy}: File exists\n"


def test_a_recording_whose_directory_of_nodes_leads_elsewhere_is_not_replayed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "dev").symlink_to("elsewhere")
    (tmp_path / "dev.list").write_text("c 1:3 null\n")
    with pytest.raises(SystemExit, match="File exists"):
        main(["replay", str(tmp_path)])
    assert not list((tmp_path / "elsewhere").iterdir())
