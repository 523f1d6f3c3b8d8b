"""Machines with Intel FPGAs, made from the kernel's documented ABI; README.md says where every value comes from."""

import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from device_plugin_agent.sources import HostView

NLB0, NLB3 = "d8424dc4a4a3c413f89e433683f9040b", "f7df405cbd7acf7222f144b0b93acd18"
"""Accelerator functions."""

PAC, OLDER = "69528db6eb31577a8c3668f9faa081f6", "ce48969398f05f33946d560708be108a"
"""Interfaces."""

ONES, ZEROS = "f" * 32, "0" * 32


@dataclass(frozen=True)
class Driver:
    """How a kernel driver names things."""

    pci: str
    class_: str
    fpga: str
    port: str
    engine: str


DFL = Driver("dfl-pci", "fpga_region", "region", "dfl-port.", "dfl-fme.")
OPAE = Driver("intel-fpga-pci", "fpga", "intel-fpga-dev.", "intel-fpga-port.", "intel-fpga-fme.")


class Machine:
    """A /sys and a /dev to be changed. Ports, engines and FPGAs are numbered in the order in which they are made."""

    def __init__(self, root: Path) -> None:
        self.sys = root / "sys"
        self.dev = root / "dev"
        self.sys.mkdir()
        self.dev.mkdir(exist_ok=True)
        self._minors = count()
        self._fpgas = {driver.class_: count() for driver in (DFL, OPAE)}
        self._ports = {driver.class_: count() for driver in (DFL, OPAE)}
        self._engines = {driver.class_: count() for driver in (DFL, OPAE)}

    @property
    def host(self) -> HostView:
        return HostView(dev_root=self.dev, sys_root=self.sys)

    def card(
        self,
        address: str,
        *,
        driver: Driver = DFL,
        interface: str = PAC,
        afus: tuple[str, ...] = (NLB0,),
        numa: int = 0,
        physical: str = "",
        released: int = 0,
    ) -> Path:
        """A card, with a port for each AFU; a virtual function of a `physical` one has no management engine.

        `released`: how many more ports it has that went to virtual functions.
        """
        device = self._function(address, driver, numa)
        fpga = device / driver.class_ / f"{driver.fpga}{next(self._fpgas[driver.class_])}"
        fpga.mkdir(parents=True)
        self._in_class(driver, fpga)
        if physical:
            (device / "physfn").symlink_to(f"../{physical}")
        else:
            self._engine(driver, fpga, interface, len(afus) + released)
        for number, afu in enumerate(afus):
            self._port(driver, fpga, number, afu)
        return fpga

    def directory(self, name: str) -> Path:
        """Of a port, an engine or an FPGA."""
        (found,) = self.sys.glob(f"devices/*/*/*/*/**/{name}")
        return found

    def program(self, port: str, afu: str) -> None:
        """Partial reconfiguration: no event is sent."""
        self.says(port, "afu_id", afu)

    def says(self, name: str, attribute: str, text: str) -> None:
        """Let an attribute of a port or an engine read so."""
        place = self.directory(name) / attribute
        written = place.with_name(f"{place.name}.new")
        written.write_text(f"{text}\n")
        written.rename(place)  # nobody reads it half written

    def drop(self, name: str) -> None:
        """Take a port or an engine away."""
        shutil.rmtree(self.directory(name))
        (self.dev / name).unlink()

    def _function(self, address: str, driver: Driver, numa: int) -> Path:
        bus = f"0000:{int(address[5:7], 16) - 1:02x}"
        device = self.sys / f"devices/pci{bus}/{bus}:00.0/{address}"
        device.mkdir(parents=True)
        for name, text in (("vendor", "0x8086"), ("device", "0x09c4"), ("class", "0x120000"), ("numa_node", str(numa))):
            (device / name).write_text(f"{text}\n")
        (device / "driver").symlink_to(f"../../../../bus/pci/drivers/{driver.pci}")
        self._link(self.sys / "bus/pci/devices" / address, device)
        return device

    def _engine(self, driver: Driver, fpga: Path, interface: str, ports: int) -> None:
        name = f"{driver.engine}{next(self._engines[driver.class_])}"
        engine = self._node(fpga / name)
        (engine / "ports_num").write_text(f"{ports}\n")
        if driver is OPAE:
            (engine / "pr").mkdir()
            (engine / "pr/interface_id").write_text(f"{interface}\n")
            return
        for _ in range(ports):
            number = next(self._fpgas[driver.class_])
            region = engine / f"dfl-fme-region.{number}/fpga_region/region{number}"
            region.mkdir(parents=True)
            if interface:  # else reading it fails with ENOENT
                (region / "compat_id").write_text(f"{interface}\n")
            self._in_class(driver, region)

    def _port(self, driver: Driver, fpga: Path, number: int, afu: str) -> None:
        port = self._node(fpga / f"{driver.port}{next(self._ports[driver.class_])}")
        (port / "errors").mkdir()
        for name, text in (
            ("id", str(number)),
            ("afu_id", afu),
            ("power_state", "0x0"),
            ("errors/errors", "0x0"),
            ("errors/first_error", "0x0"),
        ):
            (port / name).write_text(f"{text}\n")

    def _node(self, directory: Path) -> Path:
        minor, name = next(self._minors), directory.name
        directory.mkdir()
        (directory / "dev").write_text(f"240:{minor}\n")
        (directory / "uevent").write_text(f"MAJOR=240\nMINOR={minor}\nDEVNAME={name}\n")
        os.mknod(self.dev / name, 0o020600, os.makedev(240, minor))
        return directory

    def _in_class(self, driver: Driver, directory: Path) -> None:
        self._link(self.sys / "class" / driver.class_ / directory.name, directory)

    def _link(self, link: Path, target: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent))


CARDS = ("0000:5e:00.0", "0000:86:00.0", "0000:af:00.0")


def three_cards(root: Path) -> Machine:
    """A card with one port under DFL; one with two ports on another NUMA node; one under the older driver."""
    machine = Machine(root)
    machine.card(CARDS[0])
    machine.card(CARDS[1], afus=(NLB3, NLB0), numa=1)
    machine.card(CARDS[2], driver=OPAE, interface=OLDER, numa=1)
    return machine
