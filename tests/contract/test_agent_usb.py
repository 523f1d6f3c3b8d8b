"""USB devices that come and go: what the kubelet learns, and how fast."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.agent_bench import CAMERA, Bench, spec
from contract.pacing import paced
from device_plugin_agent.sources import Discovery
from device_plugin_agent.sources.usb import Usb
from device_plugin_agent.uevents import Uevent, Uevents
from device_plugin_api.resource import Resource
from device_plugin_api.sources import Source, UsbSource
from kubelet_double.pods import Pod

CONTROLLER = "devices/pci0000:00/0000:00:05.0/usb1"


class Machine:
    """One USB bus; `tell` is where the kernel's events go."""

    def __init__(self, bench: Bench) -> None:
        self.sys = bench.settings.sys_root
        self.dev = bench.dev
        self.tell: Callable[[Uevent | None], None] | None = None
        (self.sys / "bus/usb/devices").mkdir(parents=True)

    def plug(self, port: str, serial: str, number: int) -> None:
        device = self.sys / CONTROLLER / f"1-{port}"
        tty = device / f"1-{port}:1.0" / f"ttyUSB{number}"
        tty.mkdir(parents=True)
        for name, text in (("idVendor", "0403"), ("idProduct", "6001"), ("serial", serial)):
            (device / name).write_text(f"{text}\n")
        (tty / "dev").write_text(f"188:{number}\n")
        (tty / "uevent").write_text(f"DEVNAME=ttyUSB{number}\n")
        (self.sys / "bus/usb/devices" / device.name).symlink_to(device)
        os.mknod(self.dev / f"ttyUSB{number}", 0o020600, os.makedev(188, number))
        self._event("add", device)

    def pull(self, port: str, number: int) -> None:
        device = self.sys / CONTROLLER / f"1-{port}"
        (self.sys / "bus/usb/devices" / device.name).unlink()
        shutil.rmtree(device)
        (self.dev / f"ttyUSB{number}").unlink()
        self._event("remove", device)

    def _event(self, action: str, device: Path) -> None:
        assert self.tell is not None
        devpath = f"/{device.relative_to(self.sys)}"
        self.tell(Uevent(action=action, devpath=devpath, subsystem="usb"))


@pytest.fixture
def machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(bench)

    def opened(uevents: Uevents) -> None:
        made.tell = uevents._tell

    monkeypatch.setattr(Uevents, "open", opened)
    source = Source(usb=UsbSource(vendor_id="0403", product_id="6001"))
    bench.api.put(spec(Resource(name=CAMERA, source=source)))
    return made


async def test_a_stick_is_offered_when_the_kernel_tells_and_the_same_one_in_another_port(
    bench: Bench, machine: Machine
) -> None:
    async with bench.agent():
        await bench.offers(0, 0)
        machine.plug("1", "A1", 0)
        await bench.offers(1, 1)
        machine.pull("1", 0)
        await bench.offers(0, 1)
        machine.plug("4", "A1", 7)
        await bench.offers(1, 1)
        await bench.until(lambda: bench.states() == {"0403-6001-A1": "Works"})
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        options = await bench.kubelet.start_container(Pod("p"), "c")
        assert list(options.devices) == ["/dev/ttyUSB7"]


async def test_a_stick_that_is_replugged_between_two_looks_is_the_same_with_its_new_node(
    bench: Bench, machine: Machine
) -> None:
    async with bench.agent():
        await bench.offers(0, 0)
        machine.plug("1", "A1", 0)
        await bench.offers(1, 1)
        machine.pull("1", 0)
        machine.plug("1", "A1", 9)
        await bench.until(lambda: [each.path for each in bench.resource_status().devices] == ["/dev/ttyUSB9"])
        assert list(bench.states()) == ["0403-6001-A1"]
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        options = await bench.kubelet.start_container(Pod("p"), "c")
        assert list(options.devices) == ["/dev/ttyUSB9"]


async def test_a_thousand_events_of_usb_cost_one_look_a_period_and_events_of_others_none(
    bench: Bench, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    discover = Usb.discover

    def counted(source: Usb) -> Discovery:
        looks.append(asyncio.get_running_loop().time())
        return discover(source)

    async with bench.agent():
        await bench.offers(0, 0)
        tell = machine.tell
        assert tell is not None
        await bench.until(lambda: bench.resource_status().registered)
        monkeypatch.setattr(Usb, "discover", counted)
        for _ in range(1000):
            tell(Uevent(action="change", devpath="/devices/virtual/net/veth1", subsystem="net"))
        await asyncio.sleep(0.2)
        assert len(looks) <= 1  # the first answer of podresources
        for _ in range(1000):
            tell(Uevent(action="change", devpath=f"/{CONTROLLER}/1-1", subsystem="usb"))
            await asyncio.sleep(0.0005)
        machine.plug("1", "A1", 0)
        await bench.offers(1, 1)
        assert paced(looks)
        looks.clear()
        tell(None)
        await bench.until(lambda: len(looks) > 0)


async def test_a_stick_in_use_that_is_pulled_stays_listed_until_it_is_free(bench: Bench, machine: Machine) -> None:
    async with bench.agent():
        await bench.offers(0, 0)
        machine.plug("1", "A1", 0)
        await bench.offers(1, 1)
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        machine.pull("1", 0)
        await bench.until(lambda: bench.states() == {"0403-6001-A1": "DeviceMissing"})
        await bench.offers(0, 1)


async def test_a_stick_in_use_is_not_offered_again_when_a_clone_with_its_serial_number_comes(
    bench: Bench, machine: Machine
) -> None:
    async with bench.agent():
        await bench.offers(0, 0)
        machine.plug("1", "0001", 0)
        await bench.offers(1, 1)
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        machine.plug("2", "0001", 1)
        clone = "0403-6001-0000:00:05.0-usb0-2"
        await bench.until(lambda: bench.states() == {"0403-6001-0001": "DeviceMissing", clone: "Works"})
        assert bench.resource_status().candidates[-1].dropped == (
            f"/dev/ttyUSB0: still with a container as 0403-6001-0001 of {CAMERA}",
        )
    async with bench.agent():
        await bench.until(lambda: bench.states().get("0403-6001-0001") == "DeviceMissing")
        await bench.offers(1, 2)
        bench.kubelet.delete_pod(Pod("p"))
        await bench.until(lambda: bench.states().get("0403-6001-0000:00:05.0-usb0-1") == "Works")
