"""Selectors and identities over any hardware there may be."""

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from device_plugin_agent.sources import HostView, Selection
from device_plugin_agent.sources.identity import MAX_ID
from device_plugin_agent.sources.pci import Pci
from device_plugin_agent.sources.usb import Usb
from device_plugin_api.sources import PciSource, UsbSource

CONTROLLER = "devices/pci0000:00/0000:00:05.0"


@dataclass(frozen=True)
class Stick:
    port: str
    serial: str


@dataclass(frozen=True)
class Function:
    address: str
    vendor: str
    device: str
    class_: str
    driver: str


def sub(*some: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(some), unique=True, max_size=2).map(tuple)


STICKS = st.lists(
    st.builds(
        Stick,
        port=st.sampled_from(["1", "2", "3.1", "3.2", "4.1.1"]),
        serial=st.sampled_from(["", "0001", "A1", "b/2 ü"]),
    ),
    unique_by=lambda stick: stick.port,
)
FUNCTIONS = st.lists(
    st.builds(
        Function,
        address=st.builds("0000:{:02x}:00.{}".format, st.integers(0, 3), st.integers(0, 7)),
        vendor=st.sampled_from(["8086", "10de"]),
        device=st.sampled_from(["1533", "10ca"]),
        class_=st.sampled_from(["030000", "030200", "020000"]),
        driver=st.sampled_from(["", "one", "two"]),
    ),
    unique_by=lambda function: function.address,
    max_size=6,
)
SELECTORS = st.builds(
    PciSource,
    vendors=sub("8086", "0x10de", "ffff"),
    devices=sub("1533", "0x10ca"),
    classes=sub("03", "0302", "0x020000"),
    drivers=sub("one", "two"),
    addresses=sub("0000:00:00.0", "0000:01:00.1"),
)


class Machine:
    """A made-up /sys and /dev that is gone at the end of the block."""

    def __init__(self) -> None:
        self._directory = TemporaryDirectory()
        root = Path(self._directory.name)
        self.host = HostView(dev_root=root / "dev", sys_root=root / "sys")
        self._numbers = count()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *error: object) -> None:
        self._directory.cleanup()

    def device(self, directory: str, bus: str, node: str, attributes: dict[str, str]) -> Path:
        """A directory below /sys with a node of its own."""
        made, number = self.host.sys_root / directory, next(self._numbers)
        made.mkdir(parents=True)
        for name, text in ({"dev": f"240:{number}", "uevent": f"DEVNAME={node}"} | attributes).items():
            (made / name).write_text(f"{text}\n")
        path = self.host.dev_root / node
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(path, 0o020600, os.makedev(240, number))
        listing = self.host.sys_root / "bus" / bus / "devices"
        listing.mkdir(parents=True, exist_ok=True)
        (listing / made.name).symlink_to(made)
        return made

    def plug(self, stick: Stick, bus: int, number: int) -> None:
        """A stick on a bus of this number, as the device of that number."""
        serial = {"serial": stick.serial} if stick.serial else {}
        self.device(
            f"{CONTROLLER}/usb{bus}/{bus}-{stick.port}",
            "usb",
            f"bus/usb/{bus:03}/{number:03}",
            {"idVendor": "0403", "idProduct": "6001"} | serial,
        )

    def insert(self, function: Function) -> None:
        """A PCI function."""
        made = self.device(
            f"devices/pci0000:00/{function.address}",
            "pci",
            f"thing-{function.address}",
            {"vendor": f"0x{function.vendor}", "device": f"0x{function.device}", "class": f"0x{function.class_}"},
        )
        if function.driver:
            (made / "driver").symlink_to(f"../../../bus/pci/drivers/{function.driver}")


def sticks_by_id(sticks: list[Stick], bus: int, first: int, selector: UsbSource) -> dict[str, Stick]:
    with Machine() as machine:
        for number, stick in enumerate(sticks, first):
            machine.plug(stick, bus, number)
        ports = {stick.port: stick for stick in sticks}
        found = Usb(selector, machine.host).discover().candidates
        return {each.id: ports[each.attributes["port"].rpartition("-")[2]] for each in found}


@settings(max_examples=40, deadline=None)
@given(STICKS)
def test_each_stick_has_one_legal_id_that_no_number_of_bus_or_device_is_in(sticks: list[Stick]) -> None:
    every = UsbSource(vendor_id="0403")
    ids = sticks_by_id(sticks, 1, 2, every)
    assert set(ids.values()) == set(sticks)
    assert all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?", id_) and len(id_) <= MAX_ID for id_ in ids)
    assert sticks_by_id(sticks[::-1], 7, 90, every) == ids


@settings(max_examples=40, deadline=None)
@given(STICKS)
def test_a_stick_keeps_its_id_in_another_port_if_its_serial_number_is_its_own(sticks: list[Stick]) -> None:
    every = UsbSource(vendor_id="0403")
    before = sticks_by_id(sticks, 1, 2, every)
    moved = [replace(stick, port=f"9.{stick.port}") for stick in sticks]
    after = sticks_by_id(moved, 1, 2, every)
    serials = Counter(stick.serial for stick in sticks if stick.serial)
    own = {id_ for id_, stick in before.items() if serials[stick.serial] == 1}
    assert before.keys() & after.keys() == own


@settings(max_examples=60, deadline=None)
@given(FUNCTIONS, SELECTORS)
def test_a_function_is_selected_when_it_fits_one_of_each_list_that_is_given(
    functions: list[Function], selector: PciSource
) -> None:
    def fits(function: Function) -> bool:
        def one_of(values: tuple[str, ...], value: str) -> bool:
            return not values or any(value == each.removeprefix("0x") for each in values)

        starts = tuple(each.removeprefix("0x") for each in selector.classes)
        return (
            one_of(selector.vendors, function.vendor)
            and one_of(selector.devices, function.device)
            and (not starts or function.class_.startswith(starts))
            and one_of(selector.drivers, function.driver)
            and one_of(selector.addresses, function.address)
        )

    with Machine() as machine:
        for function in functions:
            machine.insert(function)
        discovery = Pci(selector, machine.host).discover()
    assert [each.id for each in discovery.candidates] == sorted(each.address for each in functions if fits(each))
    kept = [step.kept for step in discovery.steps]
    assert kept[0] == len(functions)
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] == len(discovery.candidates)


def test_a_step_of_a_selection_is_never_longer_than_a_status_takes() -> None:
    selection = Selection(f"GPUs by {'x' * 300}\n", ["a"], str)
    selection.expand("y" * 300, lambda item: (item, item))
    assert [(len(step.step), step.step.isprintable()) for step in selection.steps] == [(256, True), (256, True)]
