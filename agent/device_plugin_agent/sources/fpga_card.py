"""Intel FPGAs as the host's /sys has them, by either of their kernel drivers.

DFL, in the kernel since 4.19: Documentation/fpga/dfl.rst, Documentation/ABI/testing/sysfs-platform-dfl-{port,fme},
sysfs-class-fpga-region. The older one comes with Intel's OPAE, and has the same by other names.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from device_plugin_agent.sources import sysfs_device
from device_plugin_agent.sources.host import HostView
from device_plugin_api.hardware import FPGA_ID, NO_FPGA_ID


class _Driver(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel driver calls things."""

    class_: str
    """In /sys/class: one entry for each FPGA, and with DFL for each region of it too."""
    port: re.Pattern[str]
    engine: re.Pattern[str]
    interface: str
    """The attribute of an engine that tells its interface, as a glob. With DFL all regions of an FPGA have one."""


_DRIVERS = (
    _Driver(
        class_="fpga_region",
        port=re.compile(r"dfl-port\.[0-9]+"),
        engine=re.compile(r"dfl-fme\.[0-9]+"),
        interface="dfl-fme-region.*/fpga_region/region*/compat_id",
    ),
    _Driver(
        class_="fpga",
        port=re.compile(r"intel-fpga-port\.[0-9]+"),
        engine=re.compile(r"intel-fpga-fme\.[0-9]+"),
        interface="pr/interface_id",
    ),
)


class Id(msgspec.Struct, frozen=True, kw_only=True):
    """Of an accelerator function or an interface."""

    text: str = ""
    """32 hexadecimal digits; empty when there is none."""
    wrong: str = ""
    """Why there is none, worded for people."""


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """The management engine of an FPGA."""

    name: str
    directory: Path
    interface: Id


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """What programs reach an accelerator function through."""

    name: str
    directory: Path
    number: str
    """Of its FPGA, from 0; empty when it cannot be read."""
    afu: Id


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One function of PCI, or one device of a platform: an FPGA, or a virtual function with one of its ports."""

    device: Path
    """It, in /sys/devices."""
    directory: Path
    """The FPGA's own directory in there."""
    ports: tuple[Port, ...]
    own_engine: Engine | None
    engine: Engine | None
    """Its own, or that of the physical function."""

    @property
    def address(self) -> str:
        """Of PCI; of a platform its name."""
        return self.device.name


def is_port(name: str) -> bool:
    """Whether a directory of that name is a port."""
    return any(driver.port.fullmatch(name) for driver in _DRIVERS)


def cards(host: HostView) -> list[Card]:
    """All that there are, sorted by address."""
    found = (_card(host, driver, directory) for driver in _DRIVERS for directory in _directories(host, driver))
    return sorted((card for card in found if card.ports or card.own_engine), key=lambda card: card.address)


def _directories(host: HostView, driver: _Driver) -> Iterator[Path]:
    listing = host.sys_root / "class" / driver.class_
    for name in sysfs_device.names(listing):
        directory = host.sysfs_directory(listing / name)
        if directory is not None:
            yield directory


def _card(host: HostView, driver: _Driver, directory: Path) -> Card:
    device = directory.parent.parent
    own = _engine(driver, directory)
    return Card(
        device=device,
        directory=directory,
        ports=tuple(_port(directory / name) for name in sysfs_device.names(directory) if driver.port.fullmatch(name)),
        own_engine=own,
        engine=own or _physical_engine(host, driver, device),
    )


def _physical_engine(host: HostView, driver: _Driver, device: Path) -> Engine | None:
    physical = host.sysfs_directory(device / "physfn")
    if physical is None:
        return None
    found = (_engine(driver, physical / driver.class_ / name) for name in sysfs_device.names(physical / driver.class_))
    return next((engine for engine in found if engine is not None), None)


def _engine(driver: _Driver, directory: Path) -> Engine | None:
    for name in sysfs_device.names(directory):
        if driver.engine.fullmatch(name):
            engine = directory / name
            return Engine(name=name, directory=engine, interface=_interface(engine, driver.interface))
    return None


def _interface(engine: Path, attribute: str) -> Id:
    for found in sysfs_device.matches(engine, attribute):
        return _id(found.parent, found.name, "interface id")
    return Id(wrong="it has no interface id")


def _port(directory: Path) -> Port:
    return Port(
        name=directory.name,
        directory=directory,
        number=sysfs_device.attribute(directory, "id"),
        afu=_id(directory, "afu_id", "AFU id"),
    )


def _id(directory: Path, attribute: str, what: str) -> Id:
    try:
        text = sysfs_device.text(directory, attribute)
    except OSError as error:  # EBUSY while it is being reprogrammed
        return Id(wrong=f"its {what} cannot be read: {error.strerror}")
    if not text:
        return Id(wrong=f"its {what} is empty")
    if NO_FPGA_ID.fits(text):
        return Id(wrong=f"its {what} is all {'zeros: there is none' if '0' in text else 'ones: it does not answer'}")
    if not FPGA_ID.fits(text):
        return Id(wrong=f"its {what} is {text!r}")
    return Id(text=text)
