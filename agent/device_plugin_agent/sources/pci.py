"""PCI functions by vendor, device, class, driver and address, with the nodes that belong to them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from device_plugin_agent.sources import sysfs_device
from device_plugin_agent.sources.base import Candidate, Discovery
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.selection import Selection, printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.hardware import PCI_ADDRESS, digits
from device_plugin_api.resource import PciSource

_VFIO = "vfio-pci"
_VFIO_CONTAINER = "vfio/vfio"


@dataclass(frozen=True, kw_only=True)
class _Function:
    address: str
    directory: Path
    vendor: str
    device: str
    class_: str
    driver: str
    group: str
    """Its IOMMU group; empty without an IOMMU."""


class Pci:
    """Each function that fits is one device; of those in one IOMMU group, which only go together, the first."""

    def __init__(self, spec: PciSource, host: HostView) -> None:
        numbers = {name: tuple(map(digits, getattr(spec, name))) for name in ("vendors", "devices", "classes")}
        self._spec = structs.replace(spec, **numbers)
        self._host = host

    def discover(self) -> Discovery:
        """Look at /sys/bus/pci once."""
        spec = self._spec
        functions = self._functions()
        found = Selection("PCI functions", functions, lambda function: function.address)
        _narrow(found, "vendor", spec.vendors, lambda each: each.vendor in spec.vendors)
        _narrow(found, "device", spec.devices, lambda each: each.device in spec.devices)
        _narrow(found, "class", spec.classes, lambda each: each.class_.startswith(spec.classes))
        _narrow(found, "address", spec.addresses, lambda each: each.address in spec.addresses)
        if spec.drivers:
            found.keep(f"driver {' or '.join(spec.drivers)}", self._other_driver)
        nodes = {each.address: self._nodes(each) for each in found.items}
        found.keep("with device nodes", lambda each: None if nodes[each.address][0] else nodes[each.address][2])
        first: dict[str, str] = {}
        for each in found.items:
            if each.group and each.driver == _VFIO:
                first.setdefault(each.group, each.address)
        found.keep("first of its IOMMU group", lambda each: _not_first(each, first))
        groups: dict[str, list[str]] = {}
        for each in functions:
            groups.setdefault(each.group, []).append(each.address)
        candidates = tuple(
            self._candidate(each, *nodes[each.address][:2], groups[each.group] if each.group else [])
            for each in found.items
        )
        return Discovery(candidates=candidates, steps=tuple(found.steps))

    def watched(self) -> frozenset[Path]:
        """/dev and /dev/vfio, where nodes come and go; the kernel's own events tell of the functions."""
        directories = (self._host.dev_root, self._host.dev_root / "vfio")
        return frozenset(directory for directory in directories if directory.is_dir())

    def concerns(self, event: Uevent) -> bool:
        """Whether it is about a PCI function or what is inside."""
        return event.devpath.startswith("/devices/pci") and event.subsystem not in ("net", "queues", "block", "scsi")

    def _functions(self) -> list[_Function]:
        bus = self._host.sys_root / "bus/pci/devices"
        try:
            names = sorted(name for name in os.listdir(bus) if PCI_ADDRESS.fits(name))
        except OSError:
            return []
        functions = []
        for name in names:
            directory = self._host.sysfs_directory(bus / name)
            if directory is not None:
                functions.append(
                    _Function(
                        address=name,
                        directory=directory,
                        **{
                            key: digits(sysfs_device.attribute(directory, file))
                            for key, file in (("vendor", "vendor"), ("device", "device"), ("class_", "class"))
                        },
                        driver=sysfs_device.target(directory, "driver"),
                        group=sysfs_device.target(directory, "iommu_group"),
                    )
                )
        return functions

    def _other_driver(self, function: _Function) -> str | None:
        if function.driver in self._spec.drivers:
            return None
        return f"its driver is {function.driver}" if function.driver else "it has no driver"

    def _nodes(self, function: _Function) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Its own nodes, those that it shares with all of its kind, and why it has none."""
        inside, refused = sysfs_device.nodes(self._host, function.directory, stranger=_is_function)
        own = [node.path for node in inside]
        shared: list[str] = []
        if function.driver == _VFIO:
            try:
                shared = [sysfs_device.checked(self._host, _VFIO_CONTAINER)]
                own = [sysfs_device.checked(self._host, f"vfio/{function.group}"), *own]
            except sysfs_device.NoNode as missing:
                return (), (), f"/dev/vfio/{function.group or 'vfio'}: {missing.why}"
        return tuple(own), tuple(shared), "; ".join(("it has no device node", *refused))

    def _candidate(
        self, function: _Function, nodes: tuple[str, ...], shared: tuple[str, ...], group: list[str]
    ) -> Candidate:
        attributes = {
            "pciAddress": function.address,
            "vendor": function.vendor,
            "device": function.device,
            "class": function.class_,
            "driver": function.driver,
            "iommuGroup": function.group,
            "iommuGroupSharedWith": printable(",".join(each for each in group if each != function.address)),
            "pciRoot": _root(function.directory),
            "physicalFunction": sysfs_device.target(function.directory, "physfn"),
        }
        return Candidate(
            id=function.address,
            path=nodes[0],
            nodes=nodes,
            shared_nodes=shared,
            sysfs=self._host.sysfs_path(function.directory),
            numa_node=self._host.numa_node_of(function.directory),
            attributes={key: value for key, value in attributes.items() if value},
        )


def _is_function(directory: Path) -> bool:
    return PCI_ADDRESS.fits(directory.name)


def _root(directory: Path) -> str:
    """The root complex it hangs on: `pci0000:00`."""
    return next((part for part in directory.parts if part.startswith("pci")), "")


def _narrow(found: Selection[_Function], what: str, values: tuple[str, ...], fits: Callable[[_Function], bool]) -> None:
    if values:
        found.keep(f"{what} {' or '.join(values)}", lambda each: None if fits(each) else "")


def _not_first(function: _Function, first: dict[str, str]) -> str | None:
    leader = first.get(function.group)
    if function.driver != _VFIO or leader in (None, function.address):
        return None
    return f"it is in IOMMU group {function.group}, which goes as {leader}"
