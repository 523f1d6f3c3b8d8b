"""PCI functions as the host's /sys lists them, and the nodes of those that are bound to vfio-pci."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from device_plugin_agent.sources import sysfs_device
from device_plugin_agent.sources.host import HostView
from device_plugin_api.hardware import PCI_ADDRESS, digits

VFIO = "vfio-pci"
_VFIO_CONTAINER = "vfio/vfio"


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One function, as it is now."""

    address: str
    directory: Path
    vendor: str
    device: str
    class_: str
    driver: str
    """Empty when none is bound."""
    group: str
    """Its IOMMU group; empty without an IOMMU."""

    @property
    def physical(self) -> str:
        """The address of the physical function that it is a virtual one of; empty when it is none."""
        return sysfs_device.target(self.directory, "physfn")

    @property
    def root(self) -> str:
        """The root complex it hangs on: `pci0000:00`."""
        return root_of(self.directory)

    def other_driver(self, drivers: Iterable[str]) -> str | None:
        """What is bound to it, worded for people; None when that is one of these."""
        if self.driver in drivers:
            return None
        return f"its driver is {self.driver}" if self.driver else "it has no driver"


def functions(host: HostView, class_: str = "") -> list[Function]:
    """All that there are, sorted by address; or those whose class begins so."""
    bus = host.sys_root / "bus/pci/devices"
    found = []
    for name in filter(is_address, sysfs_device.names(bus)):
        directory = host.sysfs_directory(bus / name)
        if directory is None:
            continue
        function = Function(
            address=name,
            directory=directory,
            **{
                key: digits(sysfs_device.attribute(directory, file))
                for key, file in (("vendor", "vendor"), ("device", "device"), ("class_", "class"))
            },
            driver=sysfs_device.target(directory, "driver"),
            group=sysfs_device.target(directory, "iommu_group"),
        )
        if function.class_.startswith(class_):
            found.append(function)
    return found


def root_of(directory: Path) -> str:
    """The root complex that a directory in /sys/devices hangs on; empty when it hangs on none."""
    return next((part for part in directory.parts if part.startswith("pci")), "")


def is_address(name: str) -> bool:
    """Whether a directory of that name is a function."""
    return PCI_ADDRESS.fits(name)


def vfio_nodes(host: HostView, function: Function) -> tuple[str, str]:
    """The node of its IOMMU group, and the one that all of them share; raises NoNode."""
    try:
        return (
            sysfs_device.checked(host, f"vfio/{function.group}"),
            sysfs_device.checked(host, _VFIO_CONTAINER),
        )
    except sysfs_device.NoNode as missing:
        raise sysfs_device.NoNode(f"/dev/vfio/{function.group or 'vfio'}: {missing}") from None


class Groups:
    """Which functions go together: those of one IOMMU group, as the first of them that is bound to vfio-pci."""

    def __init__(self, every: Iterable[Function], chosen: Iterable[Function]) -> None:
        self._members: dict[str, list[str]] = {}
        for each in every:
            self._members.setdefault(each.group, []).append(each.address)
        self._first: dict[str, str] = {}
        for each in chosen:
            if each.group and each.driver == VFIO:
                self._first.setdefault(each.group, each.address)

    def companions(self, function: Function) -> list[str]:
        """The other functions of its group."""
        members = self._members.get(function.group, []) if function.group else []
        return [address for address in members if address != function.address]

    def not_first(self, function: Function) -> str | None:
        """As what else it goes, worded for people; None when it goes as itself."""
        leader = self._first.get(function.group)
        if function.driver != VFIO or leader in (None, function.address):
            return None
        return f"it is in IOMMU group {function.group}, which goes as {leader}"
