"""Real GPUs: what is offered of them, and what containers get."""

import os
import stat

import pynvml
import pytest

from contract.agent_bench import Bench, spec
from device_plugin_agent.sources.nvidia import proc
from device_plugin_agent.sources.nvidia.worker import Nvml
from device_plugin_api.node import DeviceState
from gpu import child
from gpu.machine import DRIVER, SYS, Listed
from gpu.serving import GPU, devices, nvidia, offers, told
from kubelet_double.pods import Pod, RunOptions

pytestmark = pytest.mark.timeout(120)

SHARED = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


async def given(bench: Bench, gpus: list[Listed]) -> tuple[str, RunOptions]:
    """What a container with one GPU gets, nodes and all, and that GPU's UUID."""
    await offers(bench, len(gpus), len(gpus))
    granted = await bench.kubelet.admit(Pod("p"), "c", {GPU: 1})
    (uuid,) = granted.devices[GPU]
    return uuid, await bench.kubelet.start_container(Pod("p"), "c")


async def test_every_gpu_that_nvidia_smi_lists_is_offered_and_told_alike(bench: Bench, gpus: list[Listed]) -> None:
    bench.api.put(spec(nvidia()))
    async with bench.agent():
        await offers(bench, len(gpus), len(gpus))
        await bench.until(lambda: len(bench.states(GPU)) == len(gpus))
        print(f"\n{told(bench)}")
        reported = devices(bench)
        assert set(reported) == {gpu.uuid for gpu in gpus}
        for gpu in gpus:
            device = reported[gpu.uuid]
            assert device.state is DeviceState.HEALTHY, device
            facts = {key: device.attributes[key] for key in ("uuid", "pciAddress", "model", "memoryMiB")}
            listed = {"uuid": gpu.uuid, "pciAddress": gpu.pci_address, "model": gpu.model, "memoryMiB": gpu.memory}
            assert facts == listed
            assert device.numa_node == gpu.numa_node
            topology = () if gpu.numa_node is None else (gpu.numa_node,)
            assert bench.kubelet.manager.sets.numa_nodes(GPU, gpu.uuid) == topology
            place = SYS / "bus/pci/devices" / gpu.pci_address
            print(f"{place} {'is there' if place.exists() else 'IS NOT THERE'}, NUMA node {gpu.numa_node}")
            assert ("pciRoot" in device.attributes) is place.exists()


def test_without_nvml_the_kernels_module_tells_of_the_same_gpus(gpus: list[Listed]) -> None:
    if not (DRIVER / "nvidia/gpus").is_dir():
        pytest.skip(f"{DRIVER}/nvidia/gpus is not there: where that is so, nothing stands in for NVML")
    # A GPU that nobody uses may be asleep, and has no UUID then.
    pynvml.nvmlInit()
    try:
        files = sorted((DRIVER / "nvidia/gpus").glob("*/information"))
        print(*(f"\n{file}\n{file.read_text()}" for file in files))
        seen = {(gpu.uuid, gpu.pci_address, gpu.model, gpu.minor) for gpu in Nvml().seen().gpus}
        assert {(gpu.uuid, gpu.pci_address, gpu.model, gpu.minor) for gpu in proc.gpus(DRIVER)} == seen
        assert {gpu.uuid for gpu in gpus} <= {uuid for uuid, *_ in seen}
    finally:
        pynvml.nvmlShutdown()


@pytest.mark.usefixtures("cuda")
async def test_a_container_gets_nodes_that_are_there_and_the_name_of_its_gpu(bench: Bench, gpus: list[Listed]) -> None:
    bench.api.put(spec(nvidia(device_nodes=True)))
    async with bench.agent():
        uuid, options = await given(bench, gpus)
        await bench.until(lambda: uuid in bench.states(GPU))
        own = f"/dev/nvidia{devices(bench)[uuid].attributes['minor']}"
        print(f"\n{sorted(options.devices)} {options.envs}")
        assert set(options.devices) == {own, *filter(os.path.exists, SHARED)}
        for path, node in options.devices.items():
            assert (node.host_path, node.permissions) == (path, "rw")
            assert stat.S_ISCHR(os.stat(path).st_mode), path
        assert options.envs["NVIDIA_VISIBLE_DEVICES"] == options.envs["GPU_ID"] == uuid
        assert options.cdi_devices == []


@pytest.mark.usefixtures("cuda")
async def test_the_nodes_that_a_container_gets_are_enough_to_compute_and_none_are_not(
    bench: Bench, gpus: list[Listed]
) -> None:
    bench.api.put(spec(nvidia(device_nodes=True)))
    async with bench.agent():
        uuid, options = await given(bench, gpus)
    nodes = sorted(options.devices)
    done = child.apart("compute", nodes, options.envs)
    print(f"\nwith {nodes}: {done}")
    assert (done.code, done.out.split()) == (0, [uuid]), done
    assert done.nodes == set(nodes), "the driver made nodes by itself: what was handed out was not enough"
    without = child.apart("compute", (), options.envs)
    print(f"without: {without}")
    assert without.code != 0, without
