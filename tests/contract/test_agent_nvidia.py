"""NVIDIA GPUs that break, come back and hang: what the kubelet and containers learn."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pynvml
import pytest
from msgspec import structs

from contract.agent_bench import Bench, spec
from device_plugin_agent.sources.nvidia.worker import DEADLINE
from device_plugin_api.node import CordonedDevice
from device_plugin_api.nvidia import Mig, NvidiaSource
from device_plugin_api.resource import Health, Resource, Sharing
from device_plugin_api.sources import Source
from kubelet_double.double import KubeletDouble
from kubelet_double.manager import AdmissionError
from kubelet_double.pods import Pod
from nvml_double import NvmlDouble
from nvml_double.machines import eight, gpu_uuid, mixed
from recorded.gpus import Machine

GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-1g.5gb"
QUICK = Health(period_seconds=1, success_threshold=1)
SLOW = Health(period_seconds=3600, success_threshold=1)


@pytest.fixture
def gpus(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NvmlDouble:
    """Eight GPUs, the last two in MIG mode."""
    double = mixed(0)
    Machine(tmp_path, double)
    monkeypatch.setitem(sys.modules, "pynvml", double)
    return double


def nvidia(name: str = GPU, health: Health = QUICK, sharing: Sharing | None = None, **selector: Any) -> Resource:
    source = Source(nvidia=NvidiaSource(**selector))
    return Resource(name=name, source=source, health=health, sharing=sharing or Sharing())


async def listening(bench: Bench, double: NvmlDouble) -> None:
    """Wait until NVML's events are listened to."""
    await bench.until(lambda: len(double.listening) == len(double.cards))


async def test_pods_get_the_uuids_of_their_gpus_and_what_is_told_is_who_has_them(
    bench: Bench, gpus: NvmlDouble
) -> None:
    bench.api.put(spec(nvidia()))
    async with bench.agent():
        await bench.offers(6, 6, GPU)
        await bench.kubelet.admit(Pod("p"), "c", {GPU: 2})
        options = await bench.kubelet.start_container(Pod("p"), "c")
        # The room that is left on the other NUMA node stays whole.
        assert options.envs["NVIDIA_VISIBLE_DEVICES"] == f"{gpu_uuid(0, 4)},{gpu_uuid(0, 5)}"
        assert options.envs["GPU_ID"] == options.envs["NVIDIA_VISIBLE_DEVICES"]
        assert (options.devices, options.cdi_devices) == ({}, [])


async def test_an_xid_is_told_at_once_and_over_after_a_clean_while(bench: Bench, gpus: NvmlDouble) -> None:
    bench.api.put(spec(nvidia(health=Health(period_seconds=600, success_threshold=1))))
    async with bench.agent():
        await bench.offers(6, 6, GPU)
        await listening(bench, gpus)
        gpus.xid(gpus.cards[3], 79)
        await bench.offers(5, 6, GPU)
        await bench.until(lambda: bench.states(GPU).get(gpu_uuid(0, 3)) == "Xid79")
        (device,) = (each for each in bench.resource_status(GPU).devices if each.id == gpu_uuid(0, 3))
        assert device.message == "/dev/nvidia3: Xid 79 (it has fallen off the bus)"
        bench.clock.pass_(600)
        await bench.offers(6, 6, GPU)


async def test_an_xid_of_a_program_disturbs_nobody(bench: Bench, gpus: NvmlDouble) -> None:
    bench.api.put(spec(nvidia()))
    async with bench.agent():
        await bench.offers(6, 6, GPU)
        await listening(bench, gpus)
        gpus.xid(gpus.cards[3], 31)
        gpus.xid(gpus.cards[4], 79)
        await bench.offers(5, 6, GPU)
        await bench.until(lambda: bench.states(GPU).get(gpu_uuid(0, 4)) == "Xid79")
        assert bench.states(GPU)[gpu_uuid(0, 3)] == "Works"


async def test_a_cordon_that_is_lifted_brings_a_gpu_back(bench: Bench, gpus: NvmlDouble) -> None:
    plain = spec(nvidia(health=SLOW))
    cordon = CordonedDevice(resource=GPU, device=gpu_uuid(0, 3), reason="looked at")
    bench.api.put(plain)
    async with bench.agent():
        await bench.offers(6, 6, GPU)
        await listening(bench, gpus)
        gpus.xid(gpus.cards[3], 79)
        await bench.until(lambda: bench.states(GPU).get(gpu_uuid(0, 3)) == "Xid79")
        bench.api.put(structs.replace(plain, cordoned_devices=(cordon,)))
        await bench.until(lambda: bench.states(GPU)[gpu_uuid(0, 3)] == "Cordoned")
        bench.api.put(plain)
        await bench.offers(6, 6, GPU)


async def test_an_error_of_an_instance_takes_that_instance_alone(
    bench: Bench, gpus: NvmlDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.settings = structs.replace(bench.settings, allow_mig_monitor=True)
    bench.api.put(spec(nvidia(), nvidia(MIG, SLOW, mig=Mig(mode="Mixed", profiles=("1g.5gb",)))))
    async with bench.agent():
        await bench.offers(8, 8, MIG)
        await listening(bench, gpus)
        gpus.xid(gpus.cards[6], 94, gpus.cards[6].instances[0])
        await bench.offers(7, 8, MIG)
        await bench.offers(6, 6, GPU)


async def test_a_gpu_that_is_lost_is_told_and_found_again(bench: Bench, gpus: NvmlDouble) -> None:
    bench.api.put(spec(nvidia()))
    async with bench.agent():
        await bench.offers(6, 6, GPU)
        gpus.cards[2].broken = pynvml.NVML_ERROR_GPU_IS_LOST
        await bench.offers(5, 6, GPU)
        await bench.until(lambda: bench.states(GPU).get(gpu_uuid(0, 2)) == "GpuLost")
        gpus.cards[2].broken = None
        await bench.offers(6, 6, GPU)


async def test_all_is_unknown_while_nvml_hangs_and_the_agent_goes_on(bench: Bench, gpus: NvmlDouble) -> None:
    bench.api.put(spec(nvidia(sharing=Sharing(replicas=2, max_per_container=1))))
    async with bench.agent() as agent:
        await bench.offers(12, 12, GPU)
        with gpus.hanging("nvmlEventSetWait_v2"):
            await bench.until(lambda: gpus.stuck is not None)
            bench.clock.pass_(DEADLINE + 1)
            await bench.offers(0, 12, GPU)
            await bench.until(lambda: set(bench.states(GPU).values()) == {"NvmlHangs"})
            assert {device.state.value for device in bench.resource_status(GPU).devices} == {"Unknown"}
            assert agent.http.answers["/livez"]().ok
            with pytest.raises(AdmissionError):
                await bench.kubelet.admit(Pod("p"), "c", {GPU: 1})
        await bench.offers(12, 12, GPU)
        with pytest.raises(AdmissionError, match="maxPerContainer is 1"):
            await bench.kubelet.admit(Pod("p"), "c", {GPU: 2})


async def test_an_agent_ends_while_nvml_hangs(bench: Bench, gpus: NvmlDouble) -> None:
    bench.api.put(spec(nvidia()))
    with gpus.hanging("nvmlInit"):
        async with bench.agent():
            await bench.until(lambda: gpus.stuck is not None)


async def test_by_cdi_a_container_gets_the_names_of_nvidias_spec(
    bench: Bench, gpus: NvmlDouble, tmp_path: Path
) -> None:
    bench.api.put(spec(nvidia(device_list="CDI")))
    async with bench.agent():
        await bench.offers(0, 6, GPU)
        await bench.until(lambda: set(bench.states(GPU).values()) == {"CdiSpecMissing"})
        names = "\n".join(f"- name: {gpu_uuid(0, number)}" for number in range(8))
        written = bench.settings.cdi_dir / "nvidia.new"
        written.write_text(f"cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n{names}\n")
        written.rename(written.with_suffix(".yaml"))
        await bench.offers(6, 6, GPU)
        await bench.kubelet.admit(Pod("p"), "c", {GPU: 1})
        options = await bench.kubelet.start_container(Pod("p"), "c")
        assert options.cdi_devices == [f"nvidia.com/gpu={options.envs['GPU_ID']}"]
        assert options.envs["NVIDIA_VISIBLE_DEVICES"] == "void"


async def test_two_nodes_tell_their_own_gpus(
    kubelet_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = [{gpu_uuid(node, number) for number in range(8)} for node in (0, 1)]
    doubles = [eight(node) for node in (0, 1)]
    async with AsyncExitStack() as stack:
        benches = []
        for node, double in enumerate(doubles):
            for root in (tmp_path, kubelet_root):
                (root / str(node)).mkdir()
            kubelet = await stack.enter_async_context(KubeletDouble(kubelet_root / str(node)))
            bench = Bench(tmp_path / str(node), kubelet)
            Machine(tmp_path / str(node), double)
            bench.api.put(spec(nvidia()))
            # One process runs both agents: each takes the library that is there when it starts.
            monkeypatch.setitem(sys.modules, "pynvml", double)
            await stack.enter_async_context(bench.agent())
            await bench.offers(8, 8, GPU)
            await listening(bench, double)
            benches.append(bench)
        first, second = benches
        assert not uuids[0] & uuids[1]
        await first.until(lambda: set(first.states(GPU)) == uuids[0])
        await second.until(lambda: set(second.states(GPU)) == uuids[1])
        doubles[1].xid(doubles[1].cards[3], 79)
        await second.offers(7, 8, GPU)
        await first.offers(8, 8, GPU)


async def test_a_driver_that_is_not_there_is_told_among_the_candidates(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = NvmlDouble()
    double.fails = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    monkeypatch.setitem(sys.modules, "pynvml", double)
    bench.api.put(spec(nvidia()))
    async with bench.agent():
        await bench.offers(0, 0, GPU)
        await bench.until(lambda: bool(bench.api.status) and bool(bench.resource_status(GPU).candidates))
        assert "Driver Not Loaded" in bench.resource_status(GPU).candidates[0].step
