"""Machines with SR-IOV cards, made from the kernel's documented ABI; README.md says where every value comes from."""

import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from device_plugin_agent.sources import HostView

ROOT = "devices/pci0000:3a/0000:3a:00.0"
"""The root port that the cards hang on."""

PORTS = ("0000:3b:00.0", "0000:3b:00.1")
NAMES = ("ens801f0", "ens801f1")
FUNCTIONS = 64

KERNEL, VFIO, UIO, RDMA, VDPA, NONE = (range(32), range(32, 48), range(48, 56), range(56, 60), range(60, 62), 62)
"""Which functions of the first port are bound to what; the one from NONE on are bound to nothing."""

_ETHERNET = "0x020000"


class Machine:
    """A /sys and a /dev to be changed; what the kernel would do by itself is done here too."""

    def __init__(self, root: Path) -> None:
        self.sys = root / "sys"
        self.dev = root / "dev"
        self.net = root / "net"
        self.net.mkdir(parents=True)
        self._numbers = count()
        (self.sys / "bus/pci/devices").mkdir(parents=True)
        for node in ("vfio/vfio", "infiniband/rdma_cm", "vhost-net", "net/tun"):
            self._node(node)
        self.routes()

    @property
    def host(self) -> HostView:
        return HostView(dev_root=self.dev, sys_root=self.sys, net_dir=self.net)

    def directory(self, address: str) -> Path:
        return self.sys / ROOT / address

    def port(self, address: str, name: str, *, most: int = 128) -> None:
        """A physical function whose link is up."""
        self._function(address, "0x1592")
        self._write(address, "sriov_totalvfs", str(most))
        self._write(address, "sriov_numvfs", "0")
        self.bind(address, "ice", interface=name)
        self.link(address, "up")

    def functions(self, port: str, addresses: list[str]) -> None:
        """So many virtual functions, bound to nothing, in place of those that there are: a write to sriov_numvfs."""
        for link in self.directory(port).glob("virtfn*"):
            old = os.path.basename(os.readlink(link))
            self._drop(old)
            link.unlink()
        for number, address in enumerate(addresses):
            self._function(address, "0x1889")
            (self.directory(address) / "physfn").symlink_to(f"../{port}")
            (self.directory(port) / f"virtfn{number}").symlink_to(f"../{address}")
        self._write(port, "sriov_numvfs", str(len(addresses)))

    def bind(self, address: str, driver: str, *, interface: str = "") -> None:
        """Bind a function to a driver, which makes what it makes; to "": unbind it."""
        directory = self.directory(address)
        self._unbind(address)
        if not driver:
            return
        (directory / "driver").symlink_to(f"../../../../bus/pci/drivers/{driver}")
        if driver == "vfio-pci":
            group = str(next(self._numbers))
            (directory / "iommu_group").unlink(missing_ok=True)
            (directory / "iommu_group").symlink_to(f"../../../../kernel/iommu_groups/{group}")
            self._node(f"vfio/{group}")
        elif driver == "uio_pci_generic":
            number = next(self._numbers)
            self._node(f"uio{number}", directory / f"uio/uio{number}")
        else:
            self.interface(address, interface or f"eth{next(self._numbers)}")

    def interface(self, address: str, name: str) -> None:
        """A network device of a function."""
        made = self.directory(address) / "net" / name
        made.mkdir(parents=True)
        for attribute, text in (("type", "1"), ("ifindex", str(next(self._numbers))), ("operstate", "down")):
            (made / attribute).write_text(f"{text}\n")

    def rdma(self, address: str) -> None:
        """An RDMA device of a function."""
        directory, number = self.directory(address), next(self._numbers)
        (directory / f"infiniband/rocep{number}").mkdir(parents=True)
        self._node(f"infiniband/uverbs{number}", directory / f"infiniband_verbs/uverbs{number}")
        self._node(f"infiniband/umad{number}", directory / f"infiniband_mad/umad{number}")

    def vdpa(self, address: str) -> None:
        """A vDPA device of a function, bound to vhost_vdpa."""
        device, number = self.directory(address) / "vdpa0", next(self._numbers)
        device.mkdir()
        (device / "driver").symlink_to("../x/vhost_vdpa")
        self._node(f"vhost-vdpa-{number}", device / f"vhost-vdpa-{number}")

    def link(self, port: str, state: str) -> None:
        """The kernel's word for the link of a physical function."""
        (interface,) = (self.directory(port) / "net").iterdir()
        (interface / "operstate").write_text(f"{state}\n")
        (interface / "carrier").write_text(f"{int(state == 'up')}\n")

    def routes(self, *through: str) -> None:
        """The host's routing table: a default route through each of these."""
        head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
        lines = [f"{name}\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0" for name in through]
        (self.net / "route").write_text("\n".join([head, *lines, ""]))

    def _function(self, address: str, device: str) -> None:
        directory = self.directory(address)
        directory.mkdir(parents=True)
        for name, text in (("vendor", "0x8086"), ("device", device), ("class", _ETHERNET), ("numa_node", "1")):
            (directory / name).write_text(f"{text}\n")
        (self.sys / "bus/pci/devices" / address).symlink_to(f"../../../{ROOT}/{address}")

    def _unbind(self, address: str) -> None:
        directory = self.directory(address)
        for made in _nodes_in(directory):
            (self.dev / made).unlink()
        group = directory / "iommu_group"
        if group.is_symlink() and (directory / "driver").is_symlink():
            (self.dev / "vfio" / os.path.basename(os.readlink(group))).unlink(missing_ok=True)
        (directory / "driver").unlink(missing_ok=True)
        for name in ("net", "uio", "infiniband", "infiniband_verbs", "infiniband_mad", "vdpa0"):
            shutil.rmtree(directory / name, ignore_errors=True)

    def _drop(self, address: str) -> None:
        self._unbind(address)
        (self.sys / "bus/pci/devices" / address).unlink()
        shutil.rmtree(self.directory(address))

    def _write(self, address: str, attribute: str, text: str) -> None:
        (self.directory(address) / attribute).write_text(f"{text}\n")

    def _node(self, name: str, directory: Path | None = None) -> None:
        number = next(self._numbers)
        path = self.dev / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(path, 0o020600, os.makedev(240, number))
        if directory is not None:
            directory.mkdir(parents=True)
            (directory / "dev").write_text(f"240:{number}\n")
            (directory / "uevent").write_text(f"MAJOR=240\nMINOR={number}\nDEVNAME={name}\n")


def _nodes_in(directory: Path) -> Iterator[str]:
    for uevent in directory.rglob("uevent"):
        yield uevent.read_text().rpartition("DEVNAME=")[2].strip()


def addresses(port: int, number: int = FUNCTIONS) -> list[str]:
    """Where the virtual functions of a port are, as the card's offset and stride put them."""
    first = (0x08, 0x88)[port]
    return [f"0000:3b:{(first + each) // 8:02x}.{(first + each) % 8}" for each in range(number)]


def two_ports(root: Path) -> Machine:
    """Two ports with 64 functions each; drivers are mixed on the first, and the second has no link."""
    machine = Machine(root)
    for port, name in zip(PORTS, NAMES, strict=True):
        machine.port(port, name)
    for index, port in enumerate(PORTS):
        machine.functions(port, addresses(index))
    for number, address in enumerate(addresses(0)[:NONE]):
        machine.bind(address, "vfio-pci" if number in VFIO else "uio_pci_generic" if number in UIO else "iavf")
        if number in RDMA:
            machine.rdma(address)
        if number in VDPA:
            machine.vdpa(address)
    for address in addresses(1):
        machine.bind(address, "iavf")
    machine.link(PORTS[1], "down")
    return machine
