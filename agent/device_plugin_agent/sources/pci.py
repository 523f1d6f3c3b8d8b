"""PCI functions by vendor, device, class, driver and address, with the nodes that belong to them."""

from pathlib import Path

from msgspec import structs

from device_plugin_agent.sources import pci_function, sysfs_device
from device_plugin_agent.sources.base import DRIVER_CHANGED, Candidate, Discovery
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.pci_function import VFIO, Function, Groups
from device_plugin_agent.sources.selection import Selection, printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.hardware import digits
from device_plugin_api.sources import PciSource


class Pci:
    """Each function that fits is one device; of those in one IOMMU group, which only go together, the first."""

    def __init__(self, spec: PciSource, host: HostView) -> None:
        numbers = {name: tuple(map(digits, getattr(spec, name))) for name in ("vendors", "devices", "classes")}
        self._spec = structs.replace(spec, **numbers)
        self._host = host

    def discover(self) -> Discovery:
        """Look at /sys/bus/pci once."""
        spec = self._spec
        functions = pci_function.functions(self._host)
        found = Selection("PCI functions", functions, lambda function: function.address)
        found.narrow("vendor", spec.vendors, lambda each: each.vendor in spec.vendors)
        found.narrow("device", spec.devices, lambda each: each.device in spec.devices)
        found.narrow("class", spec.classes, lambda each: each.class_.startswith(spec.classes))
        found.narrow("address", spec.addresses, lambda each: each.address in spec.addresses)
        if spec.drivers:
            found.keep(
                f"driver {' or '.join(spec.drivers)}",
                lambda each: each.other_driver(spec.drivers),
                told_as=DRIVER_CHANGED,
            )
        nodes = {each.address: self._nodes(each) for each in found.items}
        found.keep("with device nodes", lambda each: None if nodes[each.address][0] else nodes[each.address][2])
        groups = Groups(functions, found.items)
        found.keep("first of its IOMMU group", groups.not_first)
        candidates = tuple(
            self._candidate(each, *nodes[each.address][:2], groups.companions(each)) for each in found.items
        )
        return Discovery(candidates=candidates, steps=tuple(found.steps), unfit=found.unfit)

    def watched(self) -> frozenset[Path]:
        """/dev and /dev/vfio, where nodes come and go; the kernel's own events tell of the functions."""
        directories = (self._host.dev_root, self._host.dev_root / "vfio")
        return frozenset(directory for directory in directories if directory.is_dir())

    def concerns(self, event: Uevent) -> bool:
        """Whether it is about a PCI function or what is inside."""
        return event.devpath.startswith("/devices/pci") and event.subsystem not in ("net", "queues", "block", "scsi")

    def _nodes(self, function: Function) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Its own nodes, those that it shares with all of its kind, and why it has none."""
        inside, refused = sysfs_device.nodes(self._host, function.directory, stranger=_is_function)
        own = [node.path for node in inside]
        shared: list[str] = []
        if function.driver == VFIO:
            try:
                group, container = pci_function.vfio_nodes(self._host, function)
            except sysfs_device.NoNode as missing:
                return (), (), str(missing)
            own, shared = [group, *own], [container]
        return tuple(own), tuple(shared), "; ".join(("it has no device node", *refused))

    def _candidate(
        self, function: Function, nodes: tuple[str, ...], shared: tuple[str, ...], companions: list[str]
    ) -> Candidate:
        attributes = {
            "pciAddress": function.address,
            "vendor": function.vendor,
            "device": function.device,
            "class": function.class_,
            "driver": function.driver,
            "iommuGroup": function.group,
            "iommuGroupSharedWith": printable(",".join(companions)),
            "pciRoot": function.root,
            "physicalFunction": function.physical,
        }
        sysfs = self._host.sysfs_path(function.directory)
        return Candidate(
            id=function.address,
            path=nodes[0],
            nodes=nodes,
            shared_nodes=shared,
            hardware=(sysfs,),
            sysfs=sysfs,
            numa_node=self._host.numa_node_of(function.directory),
            attributes={key: value for key, value in attributes.items() if value},
        )


def _is_function(directory: Path) -> bool:
    return pci_function.is_address(directory.name)
