"""The health of FPGAs' ports, on machines that are made from the kernel's documented ABI."""

import shutil
from pathlib import Path

import pytest

from device_plugin_agent.health.fpga_port import FpgaPort
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources.fpga import Fpga
from device_plugin_api.sources import FpgaSource
from recorded import fpga
from recorded.fpga import CARDS, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return fpga.three_cards(tmp_path)


def looks(machine: Machine, mode: str = "AcceleratorFunction") -> dict[str, Observation]:
    devices = Fpga(FpgaSource(mode=mode), machine.host).discover().candidates
    return {device.id: FpgaPort(machine.host)(device) for device in devices}


@pytest.mark.parametrize("mode", ["AcceleratorFunction", "Region", "RegionManagement"])
def test_ports_without_errors_and_with_full_power_work(machine: Machine, mode: str) -> None:
    assert set(looks(machine, mode).values()) == {WORKS}


@pytest.mark.parametrize(("port", "card"), [("dfl-port.0", CARDS[0]), ("intel-fpga-port.0", CARDS[2])])
def test_a_port_with_errors_tells_them_and_the_first(machine: Machine, port: str, card: str) -> None:
    machine.says(port, "errors/errors", "0x6")
    machine.says(port, "errors/first_error", "0x2")
    seen = looks(machine)[f"{card}-port0"]
    assert seen == Observation(look=Look.BAD, reason="PortErrors", message=f"{port} has errors 0x6, the first was 0x2")


@pytest.mark.parametrize(("state", "shown"), [("0x1", "AP1"), ("0x2", "AP2"), ("0x6", "AP6"), ("0x5", "5")])
def test_a_port_without_full_power_is_throttled(machine: Machine, state: str, shown: str) -> None:
    machine.says("dfl-port.0", "power_state", state)
    seen = looks(machine)[f"{CARDS[0]}-port0"]
    assert (seen.reason, seen.message) == ("Throttled", f"dfl-port.0 is in power state {shown}")


def test_a_region_is_as_good_as_the_worst_of_its_ports(machine: Machine) -> None:
    machine.says("dfl-port.2", "errors/errors", "0x1")
    seen = looks(machine, "Region")
    assert seen[f"{CARDS[1]}-region"].reason == "PortErrors"
    assert seen[f"{CARDS[0]}-region"] is WORKS


def test_a_port_whose_hardware_has_no_error_reporting_works(machine: Machine) -> None:
    shutil.rmtree(machine.directory("dfl-port.0") / "errors")
    (machine.directory("dfl-port.0") / "power_state").unlink()
    assert looks(machine)[f"{CARDS[0]}-port0"] is WORKS


@pytest.mark.parametrize("attribute", ["errors/errors", "power_state"])
def test_what_is_no_number_says_nothing_of_the_port(machine: Machine, attribute: str) -> None:
    machine.says("dfl-port.0", attribute, "rubbish")
    seen = looks(machine)[f"{CARDS[0]}-port0"]
    assert (seen.look, seen.reason) == (Look.FAILED, "ProbeFailed")
    assert seen.message.endswith(f"dfl-port.0/{attribute} is no number")


def test_a_region_that_goes_while_it_is_looked_at_is_a_failed_look(machine: Machine) -> None:
    (device, *_) = Fpga(FpgaSource(mode="Region"), machine.host).discover().candidates
    shutil.rmtree(machine.directory("region0"))
    assert FpgaPort(machine.host)(device).look is Look.FAILED
