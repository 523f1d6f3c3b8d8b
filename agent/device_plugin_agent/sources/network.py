"""Network functions of PCI: the virtual functions of SR-IOV, and physical ones that are asked for by address.

Source of the ABI: Documentation/ABI/testing/sysfs-bus-pci (sriov_numvfs, physfn, virtfn), sysfs-class-net.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from device_plugin_agent.sources import netdev, pci_function, sysfs_device
from device_plugin_agent.sources.base import DRIVER, DRIVER_CHANGED, NODE_MISSING, Candidate, Discovery
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.pci_function import VFIO, Function, Groups
from device_plugin_agent.sources.selection import Selection, printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.functions import FunctionRange
from device_plugin_api.hardware import digits
from device_plugin_api.sources import NetworkSource

_CLASS = "02"
"""Network controllers; linux/pci_ids.h."""

_VIRTFN = re.compile(r"virtfn([0-9]+)")

_DRIVERS_NODES = re.compile(r"/dev/(uio[0-9]+|vhost-vdpa-[0-9]+)")
_RDMA_NODES = re.compile(r"/dev/infiniband/(uverbs|umad|issm)[0-9]+")
_RDMA_SHARED = ("infiniband/rdma_cm",)
_VHOST_NET = ("vhost-net", "net/tun")

_VDPA_DRIVERS = {"vhost_vdpa": "vhost", "virtio_vdpa": "virtio"}
"""Drivers of the vDPA bus, and how device information calls what they make."""

USED_BY_HOST = "UsedByHost"


class _Port(msgspec.Struct, frozen=True, kw_only=True):
    """A physical function."""

    address: str
    directory: Path
    interfaces: Sequence[Path] = ()
    functions: dict[str, int] = msgspec.field(default_factory=dict)
    """Addresses of its virtual functions, and their numbers."""

    @property
    def name(self) -> str:
        return self.interfaces[0].name if self.interfaces else ""

    @property
    def link_type(self) -> str:
        return netdev.link_type(self.interfaces[0]) if self.interfaces else ""


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A function and the port that it sends through: its physical function's, or its own."""

    function: Function
    port: _Port

    @property
    def virtual(self) -> bool:
        return self.port.address != self.function.address

    @property
    def number(self) -> int | None:
        return self.port.functions.get(self.function.address)


class _Nodes(msgspec.Struct, frozen=True, kw_only=True):
    own: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    missing: str | None = None
    """Why a node that it needs cannot be given."""


class Network:
    """Each function that fits is one device; of those in one IOMMU group under vfio-pci, the first."""

    def __init__(self, spec: NetworkSource, host: HostView) -> None:
        numbers = {name: tuple(map(digits, getattr(spec, name))) for name in ("vendors", "devices")}
        self._spec = structs.replace(spec, **numbers)
        self._host = host
        self._ports = tuple(map(FunctionRange.parse, spec.pf_names))
        self._roots = tuple(map(FunctionRange.parse, spec.root_devices))

    def discover(self) -> Discovery:
        """Look at /sys/bus/pci once."""
        spec = self._spec
        functions = pci_function.functions(self._host, _CLASS)
        found = Selection("network functions", self._with_ports(functions), lambda each: each.function.address)
        found.keep("virtual, or named in pciAddresses", self._unasked, told_as="HasFunctions")
        found.narrow("vendor", spec.vendors, lambda each: each.function.vendor in spec.vendors)
        found.narrow("device", spec.devices, lambda each: each.function.device in spec.devices)
        found.narrow("address", spec.pci_addresses, lambda each: each.function.address in spec.pci_addresses)
        found.narrow("of", spec.pf_names, lambda each: _in(self._ports, each.port.name, each.number))
        found.narrow("of", spec.root_devices, lambda each: _in(self._roots, each.port.address, each.number))
        found.narrow("link type", spec.link_types, lambda each: each.port.link_type in spec.link_types)
        found.keep(
            f"driver {' or '.join(spec.drivers)}" if spec.drivers else "with a driver",
            self._other_driver,
            told_as=DRIVER_CHANGED,
        )
        found.keep("not used by the host", _HostUse(self._host.net_dir), told_as=USED_BY_HOST)
        nodes = {each.function.address: self._nodes(each.function) for each in found.items}
        found.keep("with their nodes", lambda each: nodes[each.function.address].missing, told_as=NODE_MISSING)
        groups = Groups(functions, [each.function for each in found.items])
        found.keep("first of their IOMMU group", lambda each: groups.not_first(each.function))
        candidates = tuple(
            self._candidate(each, nodes[each.function.address], groups.companions(each.function))
            for each in found.items
        )
        return Discovery(candidates=candidates, steps=tuple(found.steps), unfit=found.unfit)

    def watched(self) -> frozenset[Path]:
        """Where nodes come and go below /dev; the kernel's own events tell of the functions."""
        directories = (self._host.dev_root / name for name in ("", "vfio", "infiniband", "net"))
        return frozenset(directory for directory in directories if directory.is_dir())

    def concerns(self, event: Uevent) -> bool:
        """Whether it is about a PCI function or what is inside, but for traffic."""
        return event.devpath.startswith("/devices/pci") and event.subsystem not in ("queues", "block", "scsi")

    def _with_ports(self, functions: Sequence[Function]) -> list[_Found]:
        ports: dict[str, _Port] = {}
        found = []
        for each in functions:
            address = each.physical or each.address
            if address not in ports:
                ports[address] = _port(address, self._host.sysfs_directory(each.directory / "physfn") or each.directory)
            found.append(_Found(function=each, port=ports[address]))
        return found

    def _unasked(self, each: _Found) -> str | None:
        if each.virtual:
            return None
        if each.port.functions:
            return f"it has {len(each.port.functions)} virtual functions"
        if each.function.address in self._spec.pci_addresses:
            return None
        named = f" ({each.port.name})" if each.port.name else ""
        most = sysfs_device.attribute(each.function.directory, "sriov_totalvfs")
        has = f"with none of its {most} virtual functions made" if most else "without SR-IOV"
        return f"a physical function{named} {has}"

    def _other_driver(self, each: _Found) -> str | None:
        if each.function.driver and not self._spec.drivers:
            return None
        return each.function.other_driver(self._spec.drivers)

    def _nodes(self, function: Function) -> _Nodes:
        host, spec = self._host, self._spec
        try:
            own, shared = [], []
            if function.driver == VFIO:
                group, container = pci_function.vfio_nodes(host, function)
                own, shared = [group], [container]
            inside, refused = sysfs_device.nodes(host, function.directory, stranger=_is_function)
            own += [node.path for node in inside if _DRIVERS_NODES.fullmatch(node.path)]
            if spec.is_rdma:
                rdma = [node.path for node in inside if _RDMA_NODES.fullmatch(node.path)]
                if not any("uverbs" in path for path in rdma):
                    raise sysfs_device.NoNode("; ".join(("it has no RDMA device", *refused)))
                own += rdma
                shared += [_needed(host, name) for name in _RDMA_SHARED]
            if spec.need_vhost_net:
                shared += [_needed(host, name) for name in _VHOST_NET]
        except sysfs_device.NoNode as missing:
            return _Nodes(missing=str(missing))
        return _Nodes(own=tuple(own), shared=tuple(shared))

    def _candidate(self, each: _Found, nodes: _Nodes, companions: list[str]) -> Candidate:
        function, port = each.function, each.port
        vdpa = _vdpa(function.directory)
        attributes = {
            "pciAddress": function.address,
            "vendor": function.vendor,
            "device": function.device,
            DRIVER: function.driver,
            "iommuGroup": function.group,
            "iommuGroupSharedWith": printable(",".join(companions)),
            "pciRoot": function.root,
            "physicalFunction": function.physical,
            "pfName": printable(port.name),
            "function": "" if each.number is None else str(each.number),
            "linkType": port.link_type,
            "rdmaDevice": _rdma_device(function.directory) if self._spec.is_rdma else "",
            "vdpaDevice": vdpa[0],
            "vdpaType": vdpa[1],
        }
        sysfs = self._host.sysfs_path(function.directory)
        return Candidate(
            id=function.address,
            path=nodes.own[0] if nodes.own else "",
            nodes=nodes.own,
            shared_nodes=nodes.shared,
            hardware=(sysfs,),
            sysfs=sysfs,
            uplink=self._host.sysfs_path(port.directory) if each.virtual else "",
            numa_node=None if self._spec.exclude_topology else self._host.numa_node_of(function.directory),
            attributes={key: value for key, value in attributes.items() if value},
        )


class _HostUse:
    """Judges functions; reads the host's routes once, and only if there is any to judge."""

    def __init__(self, net_dir: Path) -> None:
        self._net_dir = net_dir
        self._routes: frozenset[str] | None = None
        self._unseen = ""

    def __call__(self, each: _Found) -> str | None:
        if self._routes is None:
            try:
                self._routes = netdev.routed(self._net_dir)
            except netdev.RoutesUnseen as error:
                self._routes, self._unseen = frozenset(), str(error)
        own = netdev.interfaces(each.function.directory)
        why = netdev.used_by_host(own, self._routes)
        if why is None and own and self._unseen and not each.virtual:
            return f"whether the host uses it cannot be known: {self._unseen}"
        return why


def _port(address: str, directory: Path) -> _Port:
    functions = {}
    for name in sysfs_device.names(directory):
        numbered = _VIRTFN.fullmatch(name)
        if numbered is not None:
            functions[sysfs_device.target(directory, name)] = int(numbered[1])
    return _Port(address=address, directory=directory, interfaces=netdev.interfaces(directory), functions=functions)


def _in(ranges: Sequence[FunctionRange], owner: str, number: int | None) -> bool:
    return any(each.holds(owner, number) for each in ranges)


def _needed(host: HostView, name: str) -> str:
    try:
        return sysfs_device.checked(host, name)
    except sysfs_device.NoNode as missing:
        raise sysfs_device.NoNode(f"/dev/{name}: {missing}") from None


def _rdma_device(directory: Path) -> str:
    """Its name. In the directory of the device as long as the host sees it, and always told by its uverbs node."""
    names = (entry.name for entry in sysfs_device.matches(directory, "infiniband/*"))
    verbs = sysfs_device.matches(directory, "infiniband_verbs/uverbs*")
    told = (sysfs_device.attribute(each, "ibdev") for each in verbs)
    return printable(next(names, "") or next(told, ""))


def _vdpa(directory: Path) -> tuple[str, str]:
    """The name of its vDPA device, and `vhost` or `virtio`; empty ones without it."""
    for device in sysfs_device.matches(directory, "vdpa[0-9]*"):
        return printable(device.name), _VDPA_DRIVERS.get(sysfs_device.target(device, "driver"), "")
    return "", ""


def _is_function(directory: Path) -> bool:
    return pci_function.is_address(directory.name)
