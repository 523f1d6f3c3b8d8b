"""USB devices by vendor, product and serial number, with the nodes that belong to them."""

import re
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
from msgspec import structs

from device_plugin_agent.sources import sysfs_device
from device_plugin_agent.sources.base import Candidate, Discovery
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.identity import id_of_parts
from device_plugin_agent.sources.selection import Selection
from device_plugin_agent.uevents import Uevent
from device_plugin_api.hardware import digits
from device_plugin_api.sources import UsbSource

_DEVICE = re.compile(r"[0-9]+-[0-9]+(\.[0-9]+)*")
"""Documentation/ABI/testing/sysfs-bus-usb: bus-port.port…; `usb1` is a root hub and `1-1:1.0` an interface."""

_LIKE_A_PORT = re.compile(r".+-usb\d+-[\d.]+")
"""A serial number that the ID of a device in that port could be made of."""


class _Stick(msgspec.Struct, frozen=True, kw_only=True):
    directory: Path
    vendor: str
    product: str
    serial: str
    port: str
    """Stable over reboots: the controller's place, the root hub's generation and the ports from there."""
    nodes: tuple[sysfs_device.Node, ...]
    refused: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.directory.name} ({self.vendor}:{self.product})"


class Usb:
    """Each device that fits is one device, by its serial number where it alone has it, else by its port."""

    def __init__(self, spec: UsbSource, host: HostView) -> None:
        self._spec = structs.replace(spec, vendor_id=digits(spec.vendor_id), product_id=digits(spec.product_id))
        self._host = host

    def discover(self) -> Discovery:
        """Look at /sys/bus/usb once."""
        spec = self._spec
        found = Selection("USB devices", self._sticks(), lambda stick: stick.name)
        # Of all that are there, whether selected or not: else a driver that binds late would change an ID.
        serials = Counter((stick.vendor, stick.product, stick.serial) for stick in found.items)
        found.keep(f"vendor {spec.vendor_id}", lambda stick: None if stick.vendor == spec.vendor_id else "")
        if spec.product_id:
            found.keep(f"product {spec.product_id}", lambda stick: None if stick.product == spec.product_id else "")
        if spec.serial:
            found.keep(f"serial number {spec.serial}", self._other_serial)
        found.keep("with device nodes", self._without_nodes)
        candidates = [
            self._candidate(stick, alone=serials[stick.vendor, stick.product, stick.serial] == 1)
            for stick in found.items
        ]
        unique = {candidate.id: candidate for candidate in candidates}
        return Discovery(candidates=tuple(unique[id_] for id_ in sorted(unique)), steps=tuple(found.steps))

    def watched(self) -> frozenset[Path]:
        """/dev, where nodes come and go; the kernel's own events tell of the devices."""
        return frozenset((self._host.dev_root,))

    def concerns(self, event: Uevent) -> bool:
        """Whether it is about something on a USB bus."""
        return "/usb" in event.devpath

    def _sticks(self) -> list[_Stick]:
        bus = self._host.sys_root / "bus/usb/devices"
        sticks = (self._stick(bus / name) for name in filter(_DEVICE.fullmatch, sysfs_device.names(bus)))
        return [stick for stick in sticks if stick is not None]

    def _stick(self, link: Path) -> _Stick | None:
        directory = self._host.sysfs_directory(link)
        if directory is None:
            return None
        vendor, product = (sysfs_device.attribute(directory, name) for name in ("idVendor", "idProduct"))
        nodes: list[sysfs_device.Node] = []
        refused: list[str] = []
        if vendor == self._spec.vendor_id:
            nodes, refused = sysfs_device.nodes(self._host, directory, stranger=_is_device)
        return _Stick(
            directory=directory,
            vendor=vendor,
            product=product,
            serial=sysfs_device.attribute(directory, "serial"),
            port=_port(directory),
            nodes=tuple(node for node in nodes if not self._spec.subsystems or node.subsystem in self._spec.subsystems),
            refused=tuple(refused),
        )

    def _other_serial(self, stick: _Stick) -> str | None:
        if fnmatchcase(stick.serial, self._spec.serial):
            return None
        return f"its serial number is {stick.serial}" if stick.serial else "it has no serial number"

    def _without_nodes(self, stick: _Stick) -> str | None:
        if stick.nodes:
            return None
        kinds = ", ".join(self._spec.subsystems) or "any kind"
        return "; ".join((f"it has no device node of {kinds}", *stick.refused))

    def _candidate(self, stick: _Stick, *, alone: bool) -> Candidate:
        # The node of a driver is what people know it by; the bus' own node is for those who bring the driver.
        nodes = sorted(stick.nodes, key=lambda node: (node.subsystem == "usb", node.path))
        identity = stick.serial if stick.serial and alone and not _LIKE_A_PORT.fullmatch(stick.serial) else stick.port
        attributes = {
            "vendorID": stick.vendor,
            "productID": stick.product,
            "manufacturer": sysfs_device.attribute(stick.directory, "manufacturer"),
            "product": sysfs_device.attribute(stick.directory, "product"),
            "serial": stick.serial,
            "port": stick.port,
        }
        return Candidate(
            id=id_of_parts(stick.vendor, stick.product, identity),
            path=nodes[0].path,
            nodes=tuple(node.path for node in nodes),
            sysfs=self._host.sysfs_path(stick.directory),
            numa_node=self._host.numa_node_of(stick.directory),
            attributes={key: value for key, value in attributes.items() if value},
        )


def _is_device(directory: Path) -> bool:
    """Whether another device hangs on this one, which then is a hub."""
    return _DEVICE.fullmatch(directory.name) is not None


def _port(directory: Path) -> str:
    """Controller, generation, ports: `0000:00:05.0-usb2-1.4`. No bus number: those follow the order of probing."""
    hub = next((parent for parent in directory.parents if parent.name.startswith("usb")), directory.parent)
    generation = sysfs_device.attribute(hub, "version").partition(".")[0] or "0"
    return f"{hub.parent.name}-usb{generation}-{directory.name.partition('-')[2]}"
