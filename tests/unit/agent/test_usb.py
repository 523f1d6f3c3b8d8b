"""USB devices on recorded and made-up machines."""

import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.sources import Candidate, Discovery, HostView
from device_plugin_agent.sources.usb import Usb
from device_plugin_agent.uevents import Uevent
from device_plugin_api.sources import UsbSource
from recorded import unpacked

FTDI = UsbSource(vendor_id="0403", product_id="6001")
CONTROLLER = "devices/pci0000:00/0000:00:05.0"


@pytest.fixture
def host(tmp_path: Path) -> HostView:
    return unpacked("sriov-igb-numa-usb", tmp_path)


def found(host: HostView, spec: UsbSource = FTDI) -> list[Candidate]:
    return list(Usb(spec, host).discover().candidates)


def dropped(discovery: Discovery) -> list[str]:
    return [line for step in discovery.steps for line in step.dropped]


def stick(host: HostView, bus: str, port: str, serial: str, number: int, *, hub: str = "") -> Path:
    """Plug another adapter in: its directory, the bus' link and both nodes."""
    name = f"{bus}-{port}"
    device = host.sys_root / CONTROLLER / f"usb{bus}" / hub / name
    tty = device / f"{name}:1.0" / f"ttyUSB{number}" / "tty" / f"ttyUSB{number}"
    tty.mkdir(parents=True)
    for subsystem, directory in (("usb", device), ("tty", tty)):
        (directory / "subsystem").symlink_to(f"/sys/bus/{subsystem}")
    (device / "idVendor").write_text("0403\n")
    (device / "idProduct").write_text("6001\n")
    if serial:
        (device / "serial").write_text(f"{serial}\n")
    (device / "dev").write_text(f"189:{100 + number}\n")
    (device / "uevent").write_text(f"DEVNAME=bus/usb/001/{100 + number}\n")
    (tty / "dev").write_text(f"188:{number}\n")
    (tty / "uevent").write_text(f"DEVNAME=ttyUSB{number}\n")
    for path, major, minor in ((f"bus/usb/001/{100 + number}", 189, 100 + number), (f"ttyUSB{number}", 188, number)):
        os.mknod(host.dev_root / path, 0o020600, os.makedev(major, minor))
    (host.sys_root / "bus/usb/devices" / name).symlink_to(device)
    return device


def unplug(host: HostView, device: Path, number: int) -> None:
    (host.sys_root / "bus/usb/devices" / device.name).unlink()
    shutil.rmtree(device)
    (host.dev_root / f"ttyUSB{number}").unlink()
    (host.dev_root / f"bus/usb/001/{100 + number}").unlink()


def test_two_identical_sticks_are_two_devices_with_all_their_nodes(host: HostView) -> None:
    first, second = found(host)
    assert (first.path, first.nodes) == ("/dev/ttyUSB0", ("/dev/ttyUSB0", "/dev/bus/usb/001/002"))
    assert (second.path, second.nodes) == ("/dev/ttyUSB1", ("/dev/ttyUSB1", "/dev/bus/usb/001/003"))
    assert first.id == "0403-6001-1-0000:00:05.0-1"
    assert first.attributes["product"] == "QEMU USB SERIAL"
    assert first.attributes["port"] == "0000:00:05.0-usb2-1"
    assert first.sysfs == f"/sys/{CONTROLLER}/usb1/1-1"


def test_only_the_nodes_asked_for_are_handed_out(host: HostView) -> None:
    spec = UsbSource(vendor_id="0403", subsystems=("tty",))
    assert [device.nodes for device in found(host, spec)] == [("/dev/ttyUSB0",), ("/dev/ttyUSB1",)]


def test_a_serial_number_or_a_glob_of_it_selects(host: HostView) -> None:
    stick(host, "1", "3", "A50285BI", 3)
    assert [device.id for device in found(host, UsbSource(vendor_id="0403", serial="A502*"))] == ["0403-6001-A50285BI"]
    discovery = Usb(UsbSource(vendor_id="0403", serial="A502*"), host).discover()
    assert dropped(discovery)[0] == "1-1 (0403:6001): its serial number is 1-0000:00:05.0-1"


def test_a_device_with_a_serial_number_is_the_same_in_another_port(host: HostView) -> None:
    device = stick(host, "1", "3", "A50285BI", 3)
    before = {each.id for each in found(host)}
    unplug(host, device, 3)
    stick(host, "1", "4", "A50285BI", 7)
    assert {each.id for each in found(host)} == before
    (moved,) = (each for each in found(host) if each.id.endswith("A50285BI"))
    assert moved.path == "/dev/ttyUSB7"


@pytest.mark.parametrize("serial", ["", "0001"])
def test_devices_without_a_serial_number_of_their_own_are_known_by_their_port(host: HostView, serial: str) -> None:
    stick(host, "1", "3", serial, 3)
    stick(host, "1", "4", serial, 4)
    ids = {each.id for each in found(host) if each.path in ("/dev/ttyUSB3", "/dev/ttyUSB4")}
    assert ids == {"0403-6001-0000:00:05.0-usb2-3", "0403-6001-0000:00:05.0-usb2-4"}


def test_a_device_whose_serial_number_is_anothers_port_does_not_take_its_place(host: HostView) -> None:
    stick(host, "1", "3", "", 3)
    stick(host, "1", "4", "0000:00:05.0-usb2-3", 4)
    ids = {each.path: each.id for each in found(host)}
    assert ids["/dev/ttyUSB3"] == "0403-6001-0000:00:05.0-usb2-3"
    assert ids["/dev/ttyUSB4"] == "0403-6001-0000:00:05.0-usb2-4"


def test_a_device_whose_clone_has_no_driver_yet_is_known_by_its_port_already(host: HostView) -> None:
    stick(host, "1", "3", "0001", 3)
    clone = stick(host, "1", "4", "0001", 4)
    for dev in clone.rglob("dev"):
        dev.unlink()
    assert "0403-6001-0000:00:05.0-usb2-3" in {each.id for each in found(host)}


def test_a_hub_is_not_the_devices_that_hang_on_it(host: HostView) -> None:
    hub = stick(host, "1", "5", "HUB", 5)
    stick(host, "1", "5.1", "LEAF", 6, hub="1-5")
    assert hub.exists()
    nodes = {each.id: each.nodes for each in found(host)}
    assert nodes["0403-6001-HUB"] == ("/dev/ttyUSB5", "/dev/bus/usb/001/105")
    assert nodes["0403-6001-LEAF"] == ("/dev/ttyUSB6", "/dev/bus/usb/001/106")


def test_a_node_that_is_another_device_is_left_out_and_told(host: HostView) -> None:
    (host.dev_root / "ttyUSB0").unlink()
    os.mknod(host.dev_root / "ttyUSB0", 0o020600, os.makedev(1, 3))
    (host.dev_root / "bus/usb/001/002").unlink()
    discovery = Usb(FTDI, host).discover()
    assert [each.path for each in discovery.candidates] == ["/dev/ttyUSB1"]
    (line,) = dropped(discovery)
    assert "/dev/ttyUSB0: is not the device 188:0 that the kernel names" in line
    assert "/dev/bus/usb/001/002: cannot be looked at: No such file or directory" in line


def test_every_step_says_what_it_kept(host: HostView) -> None:
    steps = Usb(UsbSource(vendor_id="0403", product_id="9999"), host).discover().steps
    assert [(step.step, step.kept) for step in steps] == [
        ("USB devices", 2),
        ("vendor 0403", 2),
        ("product 9999", 0),
        ("with device nodes", 0),
    ]


def test_a_machine_without_usb_has_none(tmp_path: Path) -> None:
    assert found(HostView(dev_root=tmp_path, sys_root=tmp_path / "sys")) == []


def test_links_that_lead_out_of_sys_are_not_followed(host: HostView, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "idVendor").write_text("0403")
    (host.sys_root / "bus/usb/devices/9-9").symlink_to(outside)
    assert len(found(host)) == 2


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\nb", "x" * 300, "", "null\0"])
def test_a_hostile_device_name_in_sysfs_is_left_out(host: HostView, name: str) -> None:
    uevent = host.sys_root / CONTROLLER / "usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0/uevent"
    uevent.write_text(f"DEVNAME={name}\n")
    assert [each.path for each in found(host)] == ["/dev/bus/usb/001/002", "/dev/ttyUSB1"]


@pytest.mark.parametrize("name", ["tty USB0", "ttyÜSB0", "tty;$(reboot)", "t" * 255])
def test_a_strange_but_printable_device_name_in_sysfs_is_offered_under_the_same_id(host: HostView, name: str) -> None:
    before = [each.id for each in found(host)]
    uevent = host.sys_root / CONTROLLER / "usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0/uevent"
    uevent.write_text(f"DEVNAME={name}\n")
    (host.dev_root / "ttyUSB0").rename(host.dev_root / name)
    assert [(each.id, each.path) for each in found(host)] == [(before[0], f"/dev/{name}"), (before[1], "/dev/ttyUSB1")]


@pytest.mark.parametrize("serial", ["two words", "ünïcode", "two\nlines", "\x1b[31mred", "s" * 300])
def test_a_hostile_serial_number_makes_a_plain_id_and_a_printable_attribute(host: HostView, serial: str) -> None:
    stick(host, "1", "3", serial, 7)
    (third,) = [each for each in found(host) if each.path == "/dev/ttyUSB7"]
    assert re.fullmatch(r"0403-6001-[A-Za-z0-9_.:-]{1,53}", third.id)
    assert third.attributes["serial"].isprintable()


def test_events_of_usb_devices_and_what_is_in_them_concern_it(host: HostView) -> None:
    source = Usb(FTDI, host)
    assert source.concerns(Uevent(action="add", devpath=f"/{CONTROLLER}/usb1/1-1/tty/ttyUSB0", subsystem="tty"))
    assert not source.concerns(Uevent(action="change", devpath="/devices/virtual/net/veth1", subsystem="net"))


@given(serial=st.text(max_size=126).filter(lambda text: text.strip()))
def test_ids_are_legal_whatever_the_serial_number(serial: str) -> None:
    from device_plugin_agent.sources.identity import MAX_ID, id_of_parts

    made = id_of_parts("0403", "6001", serial)
    assert made.isascii()
    assert made[0].isalnum()
    assert made[-1].isalnum()
    assert len(made) <= MAX_ID


class Pulled(HostView, frozen=True):
    """A host from which each node vanishes when it has been looked at once."""

    def refusal(self, seen: os.stat_result, hardware: Path | None) -> str | None:
        wrong = super().refusal(seen, hardware)
        for node in self.dev_root.rglob("*"):
            if node.lstat().st_rdev == seen.st_rdev:
                node.unlink()
        return wrong


def test_a_device_that_is_pulled_out_while_it_is_looked_at_ends_nothing(host: HostView) -> None:
    pulled = Pulled(dev_root=host.dev_root, sys_root=host.sys_root)
    assert found(pulled)
    assert found(pulled) == []
