"""A real error of a program on a GPU, which the driver tells as an Xid, and what the kubelet learns of it."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from contract.agent_bench import Bench, spec
from device_plugin_agent.sources.base import Discovery
from device_plugin_agent.sources.nvidia.source import Nvidia
from device_plugin_api.nvidia import APPLICATION_XIDS
from device_plugin_api.resource import Health
from gpu import child
from gpu.machine import Listed
from gpu.serving import GPU, devices, nvidia, offers, told

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("cuda", "events")]

QUICK = Health(period_seconds=1, success_threshold=1)
CLEAN = Health(period_seconds=5, success_threshold=1)
LONG = Health(period_seconds=600, success_threshold=1)


@pytest.fixture(scope="session")
def events(gpus: list[Listed]) -> None:
    """NVML tells errors as they happen."""
    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        supported = pynvml.nvmlDeviceGetSupportedEventTypes(handle)
        if not supported & pynvml.nvmlEventTypeXidCriticalError:
            pytest.skip(f"NVML does not tell Xids here: the event types that it supports are {supported:#x}")
        kept = pynvml.nvmlEventSetCreate()
        pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, kept)
        pynvml.nvmlEventSetFree(kept)
    except pynvml.NVMLError as error:
        pytest.skip(f"NVML does not tell events here: {error}")
    finally:
        pynvml.nvmlShutdown()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the agent's source was asked what there is."""
    count = 0
    discover = Nvidia.discover

    def counted(source: Nvidia) -> Discovery:
        nonlocal count
        count += 1
        return discover(source)

    monkeypatch.setattr(Nvidia, "discover", counted)
    return lambda: count


async def fault(gpu: Listed) -> dict[str, Any]:
    """A program does what it must not."""
    done = await asyncio.to_thread(child.cuda, "fault", gpu=gpu.uuid)
    if "JIT_COMPILER_NOT_FOUND" in done.err:
        pytest.skip(f"the driver cannot compile the kernel that would fail: {done}")
    assert done.code == 0, f"the program that is to fail on the GPU did not come so far: {done}"
    seen: dict[str, Any] = json.loads(done.out)
    print(f"\n{seen}")
    assert seen["gpu"] == gpu.uuid
    assert "ILLEGAL_ADDRESS" in seen["error"], seen
    return seen


async def told_by(bench: Bench, condition: Callable[[], bool]) -> None:
    """Wait for what the driver tells."""
    try:
        await bench.until(condition, 15)
    except TimeoutError:
        pytest.fail(f"the driver told nothing of the fault within 15 s; the agent tells:\n{told(bench)}")


async def test_an_error_of_a_program_is_heard_and_counts_only_where_the_lists_say_so(
    bench: Bench, gpus: list[Listed], looks: Callable[[], int]
) -> None:
    bench.api.put(spec(nvidia(QUICK)))
    async with bench.agent() as agent:
        await offers(bench, len(gpus), len(gpus))
        await bench.until(lambda: len(bench.states(GPU)) == len(gpus))
        assert "health" not in devices(bench)[gpus[0].uuid].attributes, told(bench)
        quiet = len(bench.kubelet.history)
        await fault(gpus[0])
        nvml = agent._supervisor._host.nvml
        await told_by(bench, lambda: bool(nvml.seen().faults))
        faults = nvml.seen().faults
        print(f"heard: {sorted(faults, key=lambda each: each.xid)}")
        assert {each.gpu for each in faults} == {gpus[0].uuid}
        assert {each.xid for each in faults} <= set(APPLICATION_XIDS)
        # The look that is under way may have begun before; the one after the next has seen it.
        seen = looks()
        await bench.until(lambda: looks() >= seen + 3)
        assert bench.kubelet.history[quiet:] == []
        assert set(bench.states(GPU).values()) == {"Works"}
        bench.api.put(spec(nvidia(LONG, critical_xids=APPLICATION_XIDS), revision="r2"))
        await offers(bench, len(gpus) - 1, len(gpus))


async def test_an_error_that_counts_is_told_at_once_and_over_after_a_clean_while(
    bench: Bench, gpus: list[Listed]
) -> None:
    bench.api.put(spec(nvidia(CLEAN, critical_xids=APPLICATION_XIDS)))
    async with bench.agent():
        await offers(bench, len(gpus), len(gpus))
        lists = len(bench.kubelet.received)

        async def listed() -> float:
            await told_by(bench, lambda: len(bench.kubelet.received) > lists)
            return time.monotonic()

        listed_at, seen = await asyncio.gather(listed(), fault(gpus[0]))
        (unhealthy,) = (device.id for device in bench.kubelet.received[lists].devices if not device.healthy)
        assert unhealthy == gpus[0].uuid
        await told_by(bench, lambda: bench.states(GPU).get(gpus[0].uuid) not in (None, "Works"))
        device = devices(bench)[gpus[0].uuid]
        after_launch, after_end = (1000 * (listed_at - seen[key]) for key in ("launched", "ended"))
        print(f"{device.reason}: {device.message}")
        print(f"the kubelet's list: {after_launch:.0f} ms after the launch, {after_end:.0f} after the program knew")
        assert device.reason in {f"Xid{number}" for number in APPLICATION_XIDS}, told(bench)
        await offers(bench, len(gpus), len(gpus))
        print(f"Healthy again {time.monotonic() - listed_at:.1f} s after that list")
