"""The thread that speaks to NVML, against the double; and one look, against real GPUs too where there are any."""

import threading
import time
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import pynvml
import pytest

from device_plugin_agent.clock import SystemClock
from device_plugin_agent.sources.nvidia.gpu import DOUBLE_BIT_ECC, Fault, Gpu, Seen, mig_profile, pci_address
from device_plugin_agent.sources.nvidia.session import Session
from device_plugin_agent.sources.nvidia.worker import DEADLINE, Nvml
from device_plugin_api.hardware import GPU_UUID, MIG_PROFILE, PCI_ADDRESS
from nvml_double import NvmlDouble
from nvml_double.machines import card, eight, gpu_uuid, mixed, sliced


class Clock(SystemClock):
    """The machine's, and time can be made to pass."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Watched:
    """NVML with its thread, and what it said."""

    def __init__(self, double: NvmlDouble, period: float = 0.01) -> None:
        self.double = double
        self.clock = Clock()
        self.nvml = Nvml(lambda: double, period)
        self.news = 0
        self.nvml.begin(self.clock, self._heard)

    def _heard(self) -> None:
        self.news += 1

    def until(self, condition: Callable[[Seen], bool]) -> Seen:
        """What is seen when the condition holds."""
        ends = time.monotonic() + 30
        while not condition(seen := self.nvml.seen()):
            assert time.monotonic() < ends, seen
            time.sleep(0.005)
        return seen

    def listening(self) -> None:
        """Wait until all GPUs tell what happens."""
        self.until(lambda seen: len(seen.gpus) == len(self.double.cards) and all(gpu.tells for gpu in seen.gpus))


@pytest.fixture
def watch() -> Iterator[Callable[[NvmlDouble], Watched]]:
    made: list[Watched] = []

    def begin(double: NvmlDouble) -> Watched:
        made.append(Watched(double))
        return made[-1]

    yield begin
    for each in made:
        each.nvml.end()
        assert each.nvml._thread is not None
        each.nvml._thread.join(30)
        assert not each.nvml._thread.is_alive()
        assert each.double.started == 0


def test_the_double_has_the_bindings_functions_as_they_are() -> None:
    for name in (name for name in vars(NvmlDouble) if name.startswith("nvml")):
        ours, theirs = (signature(getattr(owner, name)).parameters for owner in (NvmlDouble, pynvml))
        assert list(ours)[1:] == [each for each, how in theirs.items() if how.default is how.empty], name


def machines() -> list[Any]:
    made = [eight, mixed]
    try:
        pynvml.nvmlInit()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        absent = pytest.mark.skip(reason=f"no NVIDIA GPU here: {error}")
        return [*made, pytest.param(lambda: pynvml, id="real", marks=absent)]
    return [*made, pytest.param(lambda: pynvml, id="real")]


@pytest.mark.parametrize("nvml", machines())
def test_a_look_finds_gpus_that_can_be_told_apart_and_an_hour_of_looks_would_leave_nothing(
    nvml: Callable[[], Any],
) -> None:
    turns: list[None] = []
    facts: dict[str, Gpu] = {}
    binding = nvml()
    for _ in range(3):
        session = Session(binding, lambda: turns.append(None), facts)
        found, whole = session.look()
        assert whole
        assert session.wait(1) is None
        session.close()
    assert found
    assert len(turns) >= 3 * len(found)
    for gpu in found:
        assert GPU_UUID.fits(gpu.uuid)
        assert PCI_ADDRESS.fits(gpu.pci_address)
        assert gpu.model
        assert gpu.memory is None or gpu.memory > 0
        assert gpu.trouble is None
        for instance in gpu.instances:
            assert GPU_UUID.fits(instance.uuid)
            assert MIG_PROFILE.fits(instance.profile)
    uuids = [gpu.uuid for gpu in found] + [each.uuid for gpu in found for each in gpu.instances]
    assert len(set(uuids)) == len(uuids)
    assert set(facts) == {gpu.uuid for gpu in found}


@pytest.mark.parametrize("nvml", machines())
def test_the_thread_sees_what_a_look_sees_and_ends_when_told(nvml: Callable[[], Any]) -> None:
    binding, heard = nvml(), threading.Event()
    seen = Nvml(lambda: binding).seen()
    watched = Nvml(lambda: binding, 0.01)
    watched.begin(Clock(), heard.set)
    assert heard.wait(30)
    assert watched.seen().gpus == seen.gpus
    watched.end()
    assert watched._thread is not None
    watched._thread.join(30)
    assert not watched._thread.is_alive()


@pytest.mark.parametrize(
    ("slices", "compute", "memory", "total", "name"),
    [
        (1, 1, 4864, 42505273344, "1g.5gb"),
        (2, 2, 9984, 42505273344, "2g.10gb"),
        (3, 1, 20096, 42949672960, "1c.3g.20gb"),
        (7, 7, 40192, 42949672960, "7g.40gb"),
        (1, 1, 9728, 85899345920, "1g.10gb"),
        (1, 1, 5952, 25769803776, "1g.6gb"),
        (1, 1, 16384, 150754820096, "1g.18gb"),
        (7, 7, 143167, 150754820096, "7g.141gb"),
    ],
)
def test_instances_are_called_as_nvidia_smi_calls_them(
    slices: int, compute: int, memory: int, total: int, name: str
) -> None:
    assert mig_profile(slices=slices, compute_slices=compute, memory=memory, gpu_memory=total) == name


def test_addresses_are_written_as_in_sysfs() -> None:
    assert pci_address("00000000:3B:00.0") == "0000:3b:00.0"
    assert pci_address("00010000:3B:00.0") == "10000:3b:00.0"
    assert pci_address("nonsense") == "nonsense"
    assert pci_address("FFFFFFFF:FFFF:FF.0") == "FFFFFFFF:FFFF:FF.0"


def test_before_it_begins_each_question_is_a_look_and_there_is_no_thread() -> None:
    double = eight()
    nvml = Nvml(lambda: double)
    assert double.calls == []
    assert len(nvml.seen().gpus) == 8
    assert double.started == 0
    assert not any(thread.name == "nvml" for thread in threading.enumerate())


def test_news_are_told_and_questions_answered_without_a_call(watch: Callable[[NvmlDouble], Watched]) -> None:
    watched = watch(eight())
    watched.listening()
    assert watched.news > 0
    with watched.double.hanging("nvmlEventSetWait_v2"):
        watched.until(lambda _: watched.double.stuck is not None)
        calls = len(watched.double.calls)
        for _ in range(100):
            watched.nvml.seen()
        assert len(watched.double.calls) == calls


def test_an_event_is_told_of_the_gpu_or_the_instance_that_it_names(watch: Callable[[NvmlDouble], Watched]) -> None:
    watched = watch(mixed())
    watched.listening()
    gpu = watched.double.cards[6]
    watched.double.xid(gpu, 94, gpu.instances[2])
    watched.double.double_bit_ecc(watched.double.cards[0])
    seen = watched.until(lambda seen: len(seen.faults) == 2)
    assert set(seen.faults) == {
        Fault(gpu=gpu_uuid(1, 6), gpu_instance=9, compute_instance=0, xid=94),
        Fault(gpu=gpu_uuid(1, 0), xid=DOUBLE_BIT_ECC),
    }


def test_the_last_error_of_a_gpu_that_is_lost_since_is_told(watch: Callable[[NvmlDouble], Watched]) -> None:
    watched = watch(eight())
    watched.listening()
    fallen = watched.double.cards[5]
    with watched.double.hanging("nvmlEventSetWait_v2"):
        watched.double.xid(fallen, 79)
        fallen.broken = pynvml.NVML_ERROR_GPU_IS_LOST
    seen = watched.until(lambda seen: bool(seen.faults))
    assert set(seen.faults) == {Fault(gpu=gpu_uuid(0, 5), xid=79)}


def test_a_storm_of_errors_is_told_in_few_words(watch: Callable[[NvmlDouble], Watched]) -> None:
    watched = watch(eight())
    watched.listening()
    before = watched.news
    with watched.double.hanging("nvmlEventSetWait_v2"):
        for _ in range(500):
            for gpu in watched.double.cards:
                watched.double.xid(gpu, 31)
                watched.double.xid(gpu, 79)
    seen = watched.until(lambda seen: len(seen.faults) == 16)
    watched.until(lambda _: watched.double._events.empty())
    assert len(seen.faults) == 16
    assert watched.news - before < 100


def test_what_is_pardoned_is_forgotten(watch: Callable[[NvmlDouble], Watched]) -> None:
    watched = watch(eight())
    watched.listening()
    watched.double.xid(watched.double.cards[0], 79)
    seen = watched.until(lambda seen: bool(seen.faults))
    watched.nvml.pardon(list(seen.faults))
    assert watched.nvml.seen().faults == {}


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetMigMode", "nvmlEventSetWait_v2"])
def test_a_call_that_hangs_is_told_and_its_end_too(watch: Callable[[NvmlDouble], Watched], function: str) -> None:
    double = eight()
    with double.hanging(function):
        watched = watch(double)
        watched.until(lambda _: double.stuck == function)
        assert watched.nvml.seen().problem is None
        watched.clock.ahead += DEADLINE + 1
        seen = watched.nvml.seen()
        assert seen.problem is not None
        assert (seen.problem.reason, seen.problem.seen, seen.pending) == ("NvmlHangs", False, False)
    assert len(watched.until(lambda seen: seen.problem is None and bool(seen.gpus)).gpus) == 8


def test_nothing_is_known_before_the_first_look_ends(watch: Callable[[NvmlDouble], Watched]) -> None:
    double = eight()
    with double.hanging("nvmlInit"):
        watched = watch(double)
        watched.until(lambda _: double.stuck == "nvmlInit")
        assert watched.nvml.seen().pending
    watched.until(lambda seen: not seen.pending)


def test_the_others_are_listened_to_while_one_is_lost_and_that_one_is_found_again(
    watch: Callable[[NvmlDouble], Watched],
) -> None:
    watched = watch(eight())
    watched.listening()
    lost = watched.double.cards[3]
    lost.broken = pynvml.NVML_ERROR_GPU_IS_LOST
    seen = watched.until(lambda seen: any(gpu.trouble for gpu in seen.gpus))
    assert [gpu.uuid for gpu in seen.gpus if gpu.trouble] == [lost.uuid]
    watched.until(lambda _: len(watched.double.listening) == 7)
    watched.double.xid(watched.double.cards[0], 79)
    watched.until(lambda seen: bool(seen.faults))
    starts = watched.double.starts
    watched.until(lambda _: watched.double.starts > starts)
    lost.broken = None
    watched.listening()
    watched.until(lambda seen: not any(gpu.trouble for gpu in seen.gpus))


def test_a_driver_that_comes_later_is_found(watch: Callable[[NvmlDouble], Watched]) -> None:
    double = eight()
    double.fails = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    watched = watch(double)
    assert watched.until(lambda seen: seen.absent is not None).absent == "NVML: Driver Not Loaded"
    double.fails = None
    watched.listening()


def test_instances_come_and_go(watch: Callable[[NvmlDouble], Watched]) -> None:
    watched = watch(NvmlDouble(sliced(0, 3), card(1)))
    watched.listening()
    watched.double.cards[0].instances = sliced(0, 1, 1).instances
    watched.until(lambda seen: [each.profile for each in seen.gpus[0].instances] == ["1g.5gb", "1g.5gb"])
