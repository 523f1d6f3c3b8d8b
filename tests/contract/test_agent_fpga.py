"""FPGAs that are programmed anew, fail, and are handed out: what the kubelet and containers learn."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from contract.agent_bench import Bench, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_api.resource import Health, Resource
from device_plugin_api.sources import FpgaSource, Source
from kubelet_double.pods import Pod
from recorded.fpga import CARDS, NLB0, NLB3, ONES, PAC, Machine

LOOPBACK, STREAM, REGION = "example.com/nlb0", "example.com/nlb3", "example.com/pac"
PORTS = [f"{card}-port0" for card in CARDS[:2]]
QUICK = Health(period_seconds=1, failure_threshold=1, success_threshold=1)


@pytest.fixture
def machine(bench: Bench, tmp_path: Path) -> Machine:
    """Two cards, a port each, both with the same accelerator function."""
    made = Machine(tmp_path)
    for number, card in enumerate(CARDS[:2]):
        made.card(card, numa=number)
    return made


def fpga(name: str, **selector: Any) -> Resource:
    return Resource(name=name, source=Source(fpga=FpgaSource(**selector)), health=QUICK)


def serve(bench: Bench, *resources: Resource) -> None:
    bench.api.put(spec(*resources))


async def test_a_port_that_is_programmed_anew_moves_to_the_resource_of_its_new_function(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, fpga(LOOPBACK, afu_ids=(NLB0,)), fpga(STREAM, afu_ids=(NLB3,)))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        await bench.offers(0, 0, STREAM)
        machine.program("dfl-port.0", NLB3)
        await bench.offers(1, 1, LOOPBACK)
        await bench.offers(1, 1, STREAM)
        await bench.until(lambda: bench.states(LOOPBACK) == {PORTS[1]: "Works"})
        machine.program("dfl-port.0", NLB0)
        await bench.offers(2, 2, LOOPBACK)
        await bench.offers(0, 0, STREAM)


async def test_a_port_leaves_a_resource_that_seldom_looks_as_soon_as_another_has_it(
    bench: Bench, machine: Machine
) -> None:
    seldom = Health(period_seconds=3600, success_threshold=1)
    serve(bench, fpga(STREAM, afu_ids=(NLB3,)), structs.replace(fpga(LOOPBACK, afu_ids=(NLB0,)), health=seldom))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        machine.program("dfl-port.0", NLB3)
        await bench.offers(1, 1, STREAM)
        await bench.offers(1, 1, LOOPBACK)


async def test_a_port_in_use_that_is_programmed_anew_moves_when_it_is_free(bench: Bench, machine: Machine) -> None:
    serve(bench, fpga(LOOPBACK, afu_ids=(NLB0,)), fpga(STREAM, afu_ids=(NLB3,)))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        await bench.kubelet.admit(Pod("p"), "c", {LOOPBACK: 2})
        machine.program("dfl-port.0", NLB3)
        await bench.offers(1, 2, LOOPBACK)
        await bench.until(lambda: bench.states(LOOPBACK) == {PORTS[0]: "OtherAFU", PORTS[1]: "Works"})
        assert bench.resource_status(LOOPBACK).devices[0].message.startswith(f"its AFU is {NLB3}; it goes when")
        await bench.until(
            lambda: any(
                "still with a container" in line for line in bench.resource_status(STREAM).candidates[-1].dropped
            )
        )
        bench.clock.pass_(ALLOCATION_GRACE)
        bench.kubelet.delete_pod(Pod("p"))
        await bench.offers(1, 1, LOOPBACK)
        await bench.offers(1, 1, STREAM)


async def test_a_port_in_use_that_is_programmed_anew_while_no_agent_runs_moves_when_it_is_free(
    bench: Bench, machine: Machine
) -> None:
    serve(bench, fpga(STREAM, afu_ids=(NLB3,)), fpga(LOOPBACK, afu_ids=(NLB0,)))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        await bench.kubelet.admit(Pod("p"), "c", {LOOPBACK: 2})
        await bench.until(lambda: all(each.allocated_to for each in bench.resource_status(LOOPBACK).devices))
    machine.program("dfl-port.0", NLB3)
    async with bench.agent():
        await bench.offers(1, 2, LOOPBACK)
        await bench.offers(0, 0, STREAM)
        await bench.until(lambda: bench.states(LOOPBACK)[PORTS[0]] == "OtherAFU")
        bench.clock.pass_(ALLOCATION_GRACE)
        bench.kubelet.delete_pod(Pod("p"))
        await bench.offers(1, 1, STREAM)
        await bench.offers(1, 1, LOOPBACK)


async def test_a_port_that_does_not_answer_stays_in_its_resource_and_is_told(bench: Bench, machine: Machine) -> None:
    serve(bench, fpga(LOOPBACK, afu_ids=(NLB0,)))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        machine.program("dfl-port.0", ONES)
        await bench.offers(1, 2, LOOPBACK)
        await bench.until(lambda: bench.states(LOOPBACK)[PORTS[0]] == "AFUInvalid")
        machine.program("dfl-port.0", NLB0)
        await bench.offers(2, 2, LOOPBACK)


async def test_a_container_gets_the_port_and_learns_what_it_is_programmed_with(bench: Bench, machine: Machine) -> None:
    serve(bench, fpga(LOOPBACK))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        await bench.until(lambda: {device.numa_node for device in bench.resource_status(LOOPBACK).devices} == {0, 1})
        await bench.kubelet.admit(Pod("p"), "c", {LOOPBACK: 2})
        options = await bench.kubelet.start_container(Pod("p"), "c")
    assert set(options.devices) == {"/dev/dfl-port.0", "/dev/dfl-port.1"}
    assert options.envs == {
        "NLB0_ID": ",".join(PORTS),
        "NLB0_PATH": "/dev/dfl-port.0,/dev/dfl-port.1",
        "FPGA_AFU_1": NLB0,
        "FPGA_REGION_1": PAC,
        "FPGA_AFU_2": NLB0,
        "FPGA_REGION_2": PAC,
    }


async def test_a_port_is_offered_by_itself_or_with_its_region_and_never_both(bench: Bench, machine: Machine) -> None:
    serve(bench, fpga(LOOPBACK), fpga(REGION, mode="RegionManagement"))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        await bench.offers(0, 0, REGION)
        await bench.until(lambda: len(bench.resource_status(REGION).candidates) > 0)
        assert bench.resource_status(REGION).candidates[-1].dropped[0].endswith(f"offered as {LOOPBACK}")


@pytest.mark.parametrize(
    ("attribute", "text", "reason"), [("errors/errors", "0x2", "PortErrors"), ("power_state", "0x6", "Throttled")]
)
async def test_a_port_with_a_fault_is_told_and_so_is_its_recovery(
    bench: Bench, machine: Machine, attribute: str, text: str, reason: str
) -> None:
    serve(bench, fpga(LOOPBACK))
    async with bench.agent():
        await bench.offers(2, 2, LOOPBACK)
        machine.says("dfl-port.1", attribute, text)
        await bench.offers(1, 2, LOOPBACK)
        await bench.until(lambda: bench.states(LOOPBACK) == {PORTS[0]: "Works", PORTS[1]: reason})
        machine.says("dfl-port.1", attribute, "0x0")
        await bench.offers(2, 2, LOOPBACK)


async def test_an_fpga_that_is_pulled_while_in_use_stays_listed(bench: Bench, machine: Machine) -> None:
    serve(bench, fpga(REGION, mode="RegionManagement"))
    async with bench.agent():
        await bench.offers(2, 2, REGION)
        await bench.kubelet.admit(Pod("p"), "c", {REGION: 2})
        for name in ("dfl-port.0", "dfl-fme.0"):
            machine.drop(name)
        await bench.offers(1, 2, REGION)
        await bench.until(lambda: bench.states(REGION)[f"{CARDS[0]}-region"] == "DeviceMissing")
