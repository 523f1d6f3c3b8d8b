"""Intel FPGAs, on machines that are made from the kernel's documented ABI."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from device_plugin_agent.record import record
from device_plugin_agent.sources import Candidate, Discovery, HostView, Unfit
from device_plugin_agent.sources.fpga import Fpga
from device_plugin_agent.uevents import Uevent
from device_plugin_api.sources import FpgaSource
from recorded import fpga
from recorded.fpga import CARDS, NLB0, NLB3, OLDER, ONES, OPAE, PAC, ZEROS, Machine

FIRST, SECOND, THIRD, FOURTH = (f"{CARDS[0]}-port0", f"{CARDS[1]}-port0", f"{CARDS[1]}-port1", f"{CARDS[2]}-port0")
REGIONS = [f"{card}-region" for card in CARDS]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return fpga.three_cards(tmp_path)


def discover(host: HostView, mode: str = "AcceleratorFunction", **selector: Any) -> Discovery:
    return Fpga(FpgaSource(mode=mode, **selector), host).discover()


def found(host: HostView, mode: str = "AcceleratorFunction", **selector: Any) -> dict[str, Candidate]:
    return {each.id: each for each in discover(host, mode, **selector).candidates}


# Ports as they are programmed


def test_every_port_of_either_driver_is_a_device(machine: Machine) -> None:
    assert {id_: each.nodes for id_, each in found(machine.host).items()} == {
        FIRST: ("/dev/dfl-port.0",),
        SECOND: ("/dev/dfl-port.1",),
        THIRD: ("/dev/dfl-port.2",),
        FOURTH: ("/dev/intel-fpga-port.0",),
    }


def test_what_is_known_of_a_port(machine: Machine) -> None:
    device = found(machine.host)[THIRD]
    assert device.path == "/dev/dfl-port.2"
    assert device.sysfs == "/sys/devices/pci0000:85/0000:85:00.0/0000:86:00.0/fpga_region/region2/dfl-port.2"
    assert device.numa_node == 1
    assert device.attributes == {
        "pciAddress": CARDS[1],
        "pciRoot": "pci0000:85",
        "interfaceID": PAC,
        "afuID": NLB0,
        "port": "1",
    }


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"afu_ids": (NLB0,)}, [FIRST, THIRD, FOURTH]),
        ({"afu_ids": ("f7df405c-bd7a-cf72-22f1-44b0b93acd18",)}, [SECOND]),
        ({"afu_ids": (NLB0, NLB3)}, [FIRST, SECOND, THIRD, FOURTH]),
        ({"interface_ids": (OLDER,)}, [FOURTH]),
        ({"interface_ids": (PAC,), "afu_ids": (NLB0,)}, [FIRST, THIRD]),
        ({"ports": (1, 2)}, [THIRD]),
        ({"afu_ids": ("1" * 32,)}, []),
    ],
)
def test_ports_have_to_fit_every_selector(machine: Machine, selector: dict[str, Any], expected: list[str]) -> None:
    assert list(found(machine.host, **selector)) == expected


def test_a_port_that_is_programmed_anew_is_another_resources(machine: Machine) -> None:
    machine.program("dfl-port.0", NLB3)
    discovery = discover(machine.host, afu_ids=(NLB0,))
    assert FIRST not in {each.id for each in discovery.candidates}
    assert discovery.unfit[FIRST] == Unfit(reason="OtherAFU", why=f"its AFU is {NLB3}", leaves=True)
    assert FIRST in found(machine.host, afu_ids=(NLB3,))


@pytest.mark.parametrize(
    ("afu", "why"),
    [
        (ONES, "its AFU id is all ones: it does not answer"),
        (ZEROS, "its AFU id is all zeros: there is none"),
        ("", "its AFU id is empty"),
        ("rubbish", "its AFU id is 'rubbish'"),
    ],
)
def test_a_port_without_an_accelerator_function_is_not_offered_and_says_why(
    machine: Machine, afu: str, why: str
) -> None:
    machine.program("dfl-port.0", afu)
    for afu_ids in ((), (NLB0,)):
        discovery = discover(machine.host, afu_ids=afu_ids)
        assert FIRST not in {each.id for each in discovery.candidates}
        assert discovery.unfit[FIRST] == Unfit(reason="AFUInvalid", why=why)


def test_a_port_whose_id_cannot_be_read_while_it_is_programmed_is_not_another_resources(machine: Machine) -> None:
    (machine.directory("dfl-port.0") / "afu_id").unlink()
    unfit = discover(machine.host, afu_ids=(NLB0,)).unfit[FIRST]
    assert unfit == Unfit(reason="AFUInvalid", why="its AFU id cannot be read: No such file or directory")


def test_a_port_without_its_region_is_not_offered_and_says_so(machine: Machine) -> None:
    machine.drop("dfl-fme.0")
    discovery = discover(machine.host)
    assert FIRST not in {each.id for each in discovery.candidates}
    assert discovery.unfit[FIRST].reason == "RegionMissing"


def test_a_port_of_a_virtual_function_is_of_the_region_of_the_physical_one(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.card(CARDS[0], afus=(), released=1)
    machine.card("0000:5e:00.1", physical=CARDS[0], numa=1)
    (device,) = found(machine.host, interface_ids=(PAC,)).values()
    assert (device.id, device.attributes["interfaceID"], device.numa_node) == ("0000:5e:00.1-port0", PAC, 1)
    assert discover(machine.host, "Region").unfit[REGIONS[0]].why == "it has no port"


def test_ports_can_be_used_where_no_region_can_be_programmed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.card(CARDS[0], interface="")
    (device,) = found(machine.host).values()
    assert "interfaceID" not in device.attributes


def test_a_port_without_its_node_says_so(machine: Machine) -> None:
    (machine.dev / "dfl-port.0").unlink()
    unfit = discover(machine.host).unfit[FIRST]
    assert unfit.reason == "NodeMissing"
    assert "/dev/dfl-port.0: cannot be looked at: No such file or directory" in unfit.why


# Regions


def test_a_region_is_the_ports_of_an_fpga(machine: Machine) -> None:
    assert {id_: each.nodes for id_, each in found(machine.host, "Region").items()} == {
        REGIONS[0]: ("/dev/dfl-port.0",),
        REGIONS[1]: ("/dev/dfl-port.1", "/dev/dfl-port.2"),
        REGIONS[2]: ("/dev/intel-fpga-port.0",),
    }


def test_with_its_management_a_region_is_the_ports_and_the_engine(machine: Machine) -> None:
    assert {id_: each.nodes for id_, each in found(machine.host, "RegionManagement").items()} == {
        REGIONS[0]: ("/dev/dfl-port.0", "/dev/dfl-fme.0"),
        REGIONS[1]: ("/dev/dfl-port.1", "/dev/dfl-port.2", "/dev/dfl-fme.1"),
        REGIONS[2]: ("/dev/intel-fpga-port.0", "/dev/intel-fpga-fme.0"),
    }


def test_what_is_known_of_a_region(machine: Machine) -> None:
    device = found(machine.host, "Region")[REGIONS[1]]
    assert device.sysfs == "/sys/devices/pci0000:85/0000:85:00.0/0000:86:00.0/fpga_region/region2"
    assert device.numa_node == 1
    assert device.attributes == {
        "pciAddress": CARDS[1],
        "pciRoot": "pci0000:85",
        "interfaceID": PAC,
        "afuID": f"{NLB3},{NLB0}",
        "port": "0,1",
    }


@pytest.mark.parametrize("mode", ["Region", "RegionManagement"])
def test_regions_are_selected_by_their_interface(machine: Machine, mode: str) -> None:
    assert list(found(machine.host, mode, interface_ids=(OLDER,))) == [REGIONS[2]]
    assert list(found(machine.host, mode, interface_ids=(PAC, OLDER))) == REGIONS


def test_a_region_stays_whatever_its_ports_are_programmed_with(machine: Machine) -> None:
    machine.program("dfl-port.0", ZEROS)
    assert "afuID" not in found(machine.host, "Region")[REGIONS[0]].attributes


@pytest.mark.parametrize(
    ("interface", "why"),
    [
        ("", "it has no interface id"),
        (ONES, "its interface id is all ones: it does not answer"),
        (ZEROS, "its interface id is all zeros: there is none"),
    ],
)
def test_a_region_without_interface_id_is_not_programmable_and_says_so(
    tmp_path: Path, interface: str, why: str
) -> None:
    machine = Machine(tmp_path)
    machine.card(CARDS[0], interface=interface)
    discovery = discover(machine.host, "Region")
    assert discovery.candidates == ()
    assert discovery.unfit[REGIONS[0]] == Unfit(reason="NotProgrammable", why=why)
    assert discovery.steps[1].step == "programmable"
    assert discovery.steps[1].dropped == (f"{REGIONS[0]}: {why}",)


def test_an_empty_interface_id_of_the_older_driver_is_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.card(CARDS[0], driver=OPAE, interface="")
    assert discover(machine.host, "Region").unfit[REGIONS[0]].why == "its interface id is empty"


# Machines


def test_a_machine_without_fpga_says_that_there_is_nothing(tmp_path: Path) -> None:
    discovery = discover(HostView(dev_root=tmp_path, sys_root=tmp_path))
    assert {step.kept for step in discovery.steps} == {0}


def test_a_recording_of_a_machine_has_the_same_fpgas(machine: Machine, tmp_path: Path) -> None:
    record(machine.sys, machine.dev, tmp_path / "recorded", with_serials=False)
    recorded = replace(machine.host, sys_root=tmp_path / "recorded/sys")
    for mode in ("AcceleratorFunction", "RegionManagement"):
        assert found(recorded, mode) == found(machine.host, mode)


def test_rubbish_in_sysfs_is_no_fpga(machine: Machine) -> None:
    (machine.sys / "class/fpga_region/region99").symlink_to("../../../../../../etc")
    (machine.sys / "class/fpga_region/region98").symlink_to("region98")
    (machine.sys / "class/fpga/intel-fpga-dev.9").mkdir()
    (machine.directory("dfl-port.0") / "afu_id").write_bytes(b"\xff\xfe" * 3000)
    (machine.directory("dfl-port.1") / "id").write_bytes(b"\xff")
    assert {FOURTH, THIRD} < found(machine.host).keys()


SOME = st.sampled_from([NLB0, NLB3, ONES, ZEROS, "", "rubbish"])
SOME_CARDS = st.lists(st.tuples(st.sampled_from([PAC, OLDER, ONES, ""]), st.lists(SOME, max_size=3)), max_size=3)


def sub(*some: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(some), unique=True, max_size=2).map(tuple)


@settings(max_examples=40, deadline=None)
@given(SOME_CARDS, sub(NLB0, NLB3), sub(PAC, OLDER))
def test_every_port_is_offered_if_it_fits_and_told_why_not_otherwise(
    cards: list[tuple[str, list[str]]], afu_ids: tuple[str, ...], interface_ids: tuple[str, ...]
) -> None:
    def fits(interface: str, afu: str) -> bool:
        return afu in (afu_ids or (NLB0, NLB3)) and (not interface_ids or interface in interface_ids)

    with TemporaryDirectory() as directory:
        machine = Machine(Path(directory))
        for card, (interface, afus) in zip(CARDS, cards, strict=False):
            machine.card(card, interface=interface, afus=tuple(afus))
        discovery = discover(machine.host, afu_ids=afu_ids, interface_ids=interface_ids)
    ports = {
        f"{card}-port{number}": fits(interface, afu)
        for card, (interface, afus) in zip(CARDS, cards, strict=False)
        for number, afu in enumerate(afus)
    }
    assert [each.id for each in discovery.candidates] == [id_ for id_, fit in ports.items() if fit]
    assert discovery.unfit.keys() == {id_ for id_, fit in ports.items() if not fit}


def test_events_of_fpgas_concern_it(machine: Machine) -> None:
    source = Fpga(FpgaSource(), machine.host)
    card = "/devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0"
    for path in (f"{card}/fpga_region/region0/dfl-port.0", f"{card}/fpga/intel-fpga-dev.0/intel-fpga-port.0"):
        assert source.concerns(Uevent(action="remove", devpath=path, subsystem="platform"))
    assert not source.concerns(Uevent(action="add", devpath="/devices/virtual/net/veth0", subsystem="net"))
