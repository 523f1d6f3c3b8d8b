"""What makes a GPU Unhealthy or Unknown, by which words, and for how long."""

from pathlib import Path
from typing import Any

import pynvml
import pytest
from msgspec.structs import replace

from device_plugin_agent.health.probes import exists
from device_plugin_agent.health.tracker import Look, step
from device_plugin_agent.sources import Candidate, Unfit
from device_plugin_agent.sources.nvidia.gpu import DOUBLE_BIT_ECC, Fault
from device_plugin_agent.sources.nvidia.source import Nvidia
from device_plugin_api.node import DeviceState
from device_plugin_api.nvidia import Mig, NvidiaSource
from device_plugin_api.resource import Health
from manual_clock import ManualClock
from nvml_double import NvmlDouble
from nvml_double.machines import card, eight, gpu_uuid, mig_uuid, mixed
from recorded.gpus import Machine

SMALL = Mig(mode="Mixed", profiles=("1g.5gb",))


class World:
    """A machine, a source that looks at it, and a clock. `happens` is what the driver's events would have told."""

    def __init__(self, root: Path, double: NvmlDouble, **selector: Any) -> None:
        self.double = double
        self.machine = Machine(root, double)
        self.clock = ManualClock()
        self.source = Nvidia(NvidiaSource(**selector), Health(), self.machine.host, self.clock)

    def happens(self, xid: int, gpu: str, gpu_instance: int | None = None, compute_instance: int | None = None) -> None:
        fault = Fault(gpu=gpu, gpu_instance=gpu_instance, compute_instance=compute_instance, xid=xid)
        self.machine.nvml._faults[fault] = self.clock.monotonic()

    def troubles(self) -> dict[str, Unfit]:
        return {each.id: each.trouble for each in self.source.discover().candidates if each.trouble is not None}

    def reasons(self) -> dict[str, str]:
        return {device: trouble.reason for device, trouble in self.troubles().items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, eight())


def test_an_xid_names_itself_in_reason_and_words(world: World) -> None:
    world.happens(79, gpu_uuid(0, 3))
    assert world.troubles() == {gpu_uuid(0, 3): Unfit(reason="Xid79", why="Xid 79 (it has fallen off the bus)")}


def test_several_are_told_as_one_that_does_not_change_with_their_order(world: World) -> None:
    for number in (79, 48, 300):
        world.happens(number, gpu_uuid(0, 0))
    (trouble,) = world.troubles().values()
    assert trouble.reason == "Xid48"
    assert trouble.why == "Xid 48 (double-bit ECC error), Xid 79 (it has fallen off the bus), Xid 300"


@pytest.mark.parametrize("number", [13, 31, 43, 45, 68, 109])
def test_errors_of_programs_do_not_count(world: World, number: int) -> None:
    world.happens(number, gpu_uuid(0, 0))
    assert world.troubles() == {}


def test_which_errors_do_not_count_can_be_set(tmp_path: Path) -> None:
    world = World(tmp_path, eight(), ignored_xids=(79,))
    world.happens(79, gpu_uuid(0, 0))
    world.happens(13, gpu_uuid(0, 1))
    assert world.reasons() == {gpu_uuid(0, 1): "Xid13"}


def test_which_errors_alone_count_can_be_set(tmp_path: Path) -> None:
    world = World(tmp_path, eight(), critical_xids=(79, 13))
    for device, number in enumerate((79, 13, 48)):
        world.happens(number, gpu_uuid(0, device))
    assert world.reasons() == {gpu_uuid(0, 0): "Xid79", gpu_uuid(0, 1): "Xid13"}


def test_a_double_bit_error_counts_whatever_the_lists_say(tmp_path: Path) -> None:
    world = World(tmp_path, eight(), critical_xids=(79,))
    world.happens(DOUBLE_BIT_ECC, gpu_uuid(0, 0))
    assert world.reasons() == {gpu_uuid(0, 0): "DoubleBitEcc"}


def test_an_error_is_over_after_so_many_periods_without_another(world: World) -> None:
    world.happens(79, gpu_uuid(0, 0))
    world.clock.advance(15)
    world.happens(79, gpu_uuid(0, 0))
    world.clock.advance(19.5)  # successThreshold 2, periodSeconds 10
    assert world.reasons() == {gpu_uuid(0, 0): "Xid79"}
    assert world.source.discover().changes_in == pytest.approx(0.5)
    world.clock.advance(0.5)
    assert world.reasons() == {}


def test_a_cordon_that_is_lifted_ends_what_happened_to_that_device_alone(world: World) -> None:
    world.happens(79, gpu_uuid(0, 0))
    world.happens(79, gpu_uuid(0, 1))
    assert len(world.reasons()) == 2
    world.source.pardon([gpu_uuid(0, 0), "unknown"])
    assert world.reasons() == {gpu_uuid(0, 1): "Xid79"}


def test_an_error_of_an_instance_hits_it_alone_and_one_of_the_gpu_all_of_its_instances(tmp_path: Path) -> None:
    world = World(tmp_path, mixed(), mig=SMALL)
    world.happens(94, gpu_uuid(1, 6), 9, 0)
    assert world.reasons() == {mig_uuid(1, 6, 2): "Xid94"}
    world.happens(79, gpu_uuid(1, 7))
    assert world.reasons() == {mig_uuid(1, 6, 2): "Xid94", mig_uuid(1, 7, 2): "Xid79"}


def test_instances_are_unknown_where_the_operator_does_not_allow_to_watch_them(tmp_path: Path) -> None:
    world = World(tmp_path, mixed(), mig=SMALL)
    host = replace(world.machine.host, allow_mig_monitor=False)
    source = Nvidia(NvidiaSource(mig=SMALL), Health(), host, world.clock)
    troubles = [each.trouble for each in source.discover().candidates]
    assert {(trouble.reason, trouble.seen) for trouble in troubles if trouble} == {("MigMonitorNotAllowed", False)}
    assert len(troubles) == 8


def test_a_gpu_whose_rows_cannot_be_remapped_is_told(world: World) -> None:
    world.double.cards[1].remap_failed = True
    assert world.reasons() == {gpu_uuid(0, 1): "RowRemapFailed"}
    world.double.cards[1].remap_failed = False
    assert world.reasons() == {}


@pytest.mark.parametrize(
    ("error", "reason", "seen"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, "GpuLost", True),
        (pynvml.NVML_ERROR_RESET_REQUIRED, "ResetRequired", True),
        (pynvml.NVML_ERROR_UNKNOWN, "NvmlFailed", False),
    ],
)
def test_a_gpu_that_does_not_answer_is_told_and_the_others_work(
    world: World, error: int, reason: str, seen: bool
) -> None:
    assert world.reasons() == {}
    world.double.cards[4].broken = error
    troubles = world.troubles()
    assert {device: (each.reason, each.seen) for device, each in troubles.items()} == {gpu_uuid(0, 4): (reason, seen)}
    world.double.cards[4].broken = None
    assert world.reasons() == {}


def test_a_gpu_that_was_lost_before_the_agent_started_is_told_too(tmp_path: Path) -> None:
    double = eight()
    double.cards[4].broken = pynvml.NVML_ERROR_GPU_IS_LOST
    world = World(tmp_path, double)
    assert world.reasons() == {gpu_uuid(0, 4): "GpuLost"}


def test_a_machine_whose_gpus_cannot_tell_their_errors_offers_them(tmp_path: Path) -> None:
    double = eight()
    double.has_events = False
    world = World(tmp_path, double)
    assert world.reasons() == {}
    devices = world.source.discover().candidates
    assert {each.attributes["health"] for each in devices} == {"limited: it does not tell its errors"}


@pytest.mark.parametrize("error", [pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNKNOWN])
def test_the_instances_of_a_gpu_that_does_not_answer_are_told_as_it_is(tmp_path: Path, error: int) -> None:
    world = World(tmp_path, mixed(), mig=SMALL)
    assert world.reasons() == {}
    world.double.cards[7].broken = error
    assert set(world.reasons()) == {mig_uuid(1, 7, 2)}


def test_all_gpus_are_unknown_when_nvml_fails_as_a_whole(world: World) -> None:
    world.troubles()
    world.double.fails = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    troubles = world.troubles()
    assert len(troubles) == 8
    assert {(each.reason, each.seen) for each in troubles.values()} == {("NvmlFailed", False)}


def test_a_driver_that_breaks_its_library_is_no_end(tmp_path: Path) -> None:
    double = NvmlDouble(card(0))
    double.cards[0].links = None  # type: ignore[assignment]
    world = World(tmp_path, double)
    assert world.reasons() == {gpu_uuid(0, 0): "NvmlFailed"}


def test_a_device_that_is_not_in_any_cdi_spec_is_told_what_to_do(tmp_path: Path) -> None:
    world = World(tmp_path, eight(), device_list="CDI")
    world.machine.spec(*(gpu_uuid(0, number) for number in range(7)), "all")
    (trouble,) = world.troubles().values()
    assert trouble.reason == "CdiSpecMissing"
    assert f"names nvidia.com/gpu={gpu_uuid(0, 7)}: nvidia-ctk cdi generate" in trouble.why
    world.machine.spec(gpu_uuid(0, 7), file="more.yaml")
    assert world.reasons() == {}


def test_what_cannot_be_known_is_unknown_for_as_long_as_that_lasts() -> None:
    blind = Unfit(reason="NvmlHangs", why="NVML does not answer", seen=False)
    health, track = Health(), None
    device = Candidate(id="GPU-0", trouble=blind)
    for second in range(10):
        seen = exists(device, "/dev/nvidia0")
        assert seen.look is Look.BLIND
        track = step(track, seen, health, now=second, monotonic=second)
        assert track.state is DeviceState.UNKNOWN
