"""Devices by CDI, as the kubelet and the directory of the container runtime see them."""

import json
import re
from typing import Any

import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_api.resource import Allocation, Cdi, EnvVar
from kubelet_double.manager import AdmissionError
from kubelet_double.pods import Pod

BY_CDI = Allocation(cdi=Cdi(gid=44, file_mode="0660"), env=(EnvVar(name="WHERE", value="$(DEVICE_PATH)"),))


def specs(bench: Bench) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(bench.settings.cdi_dir.glob("*.json"))]


def told(bench: Bench) -> set[str]:
    """Every name that a container runtime can resolve now."""
    return {f"{each['kind']}={device['name']}" for each in specs(bench) for device in each["devices"]}


async def test_a_container_gets_names_that_are_in_the_file_and_no_device_nodes(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(allocation=BY_CDI), cdi=True))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.kubelet.admit(pod, "c", {CAMERA: 2})
        options = await bench.kubelet.start_container(pod, "c")
        await bench.until(lambda: bench.resource_status().cdi)
    assert options.devices == {}
    assert set(options.cdi_devices) == told(bench)
    assert options.envs == {
        "CAMERA_ID": "video0,video1",
        "CAMERA_PATH": "/dev/video0,/dev/video1",
        "WHERE": "/dev/video0",
    }
    (node,) = specs(bench)[0]["devices"][0]["containerEdits"]["deviceNodes"]
    assert node == {"path": "/dev/video0", "permissions": "rw", "gid": 44, "fileMode": 0o660}


async def test_the_file_is_there_before_the_kubelet_knows_the_resource(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(allocation=BY_CDI), cdi=True))
    await bench.kubelet.stop()
    async with bench.agent():
        await bench.until(lambda: bool(told(bench)))
        assert bench.kubelet.registrations == []


async def test_a_plugged_device_is_in_the_file_before_it_is_offered(bench: Bench) -> None:
    bench.api.put(spec(resource(allocation=BY_CDI), cdi=True))
    async with bench.agent():
        await bench.offers(0, 0)
        bench.plug("video0")
        await bench.offers(1, 1)
        assert len(told(bench)) == 1


@pytest.mark.parametrize(
    ("mode", "runtime", "by_cdi"),
    [("Auto", True, True), ("Auto", False, False), ("Always", False, True), ("Never", True, False)],
)
async def test_the_mode_and_the_runtime_decide(bench: Bench, mode: str, runtime: bool, by_cdi: bool) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(allocation=Allocation(cdi=Cdi(mode=mode))), cdi=runtime))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        options = await bench.kubelet.start_container(pod, "c")
        await bench.until(lambda: bench.resource_status().cdi is by_cdi)
    assert (bool(options.cdi_devices), bool(options.devices)) == (by_cdi, not by_cdi)


async def test_an_agent_without_the_directory_hands_out_device_nodes(bench: Bench) -> None:
    bench.plug("video0")
    bench.settings.cdi_dir.rmdir()
    bench.api.put(spec(resource(allocation=BY_CDI), cdi=True))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        options = await bench.kubelet.start_container(pod, "c")
    assert list(options.devices) == ["/dev/video0"]


async def test_a_device_that_could_not_be_told_is_refused_with_the_reason(bench: Bench) -> None:
    bench.plug("video0")
    bench.settings.cdi_dir.rmdir()
    bench.settings.cdi_dir.touch()
    bench.api.put(spec(resource(allocation=Allocation(cdi=Cdi(mode="Always"))), cdi=True))
    async with bench.agent():
        await bench.offers(1, 1)
        with pytest.raises(AdmissionError, match=f"{re.escape(str(bench.settings.cdi_dir))}.*File exists"):
            await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        await bench.until(lambda: any(each.reason == "CDISpecNotWritten" for each in bench.api.reported().conditions))


async def test_names_stay_for_containers_that_may_start_again_and_go_when_they_are_gone(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(allocation=BY_CDI), cdi=True))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        (name,) = (await bench.kubelet.start_container(pod, "c")).cdi_devices
    assert name in told(bench), "the agent's end takes nothing away"
    bench.api.put(spec(resource(), revision="r2", cdi=True))
    async with bench.agent():
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
        bench.clock.pass_(ALLOCATION_GRACE)
        await bench.until(lambda: bench.api.reported().counts.allocated == 1)
        assert name in told(bench)
        bench.kubelet.delete_pod(pod)
        await bench.until(lambda: not told(bench))


async def test_the_file_of_a_resource_that_left_while_no_agent_ran_goes_when_nobody_uses_it(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(allocation=BY_CDI), cdi=True))
    pod = Pod("p")
    (bench.settings.cdi_dir / "vendor.json").write_text("{}")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
    ours = {path.name for path in bench.settings.cdi_dir.iterdir()}
    bench.api.put(spec(resource("example.com/other", "/dev/null*"), revision="r2", cdi=True))
    async with bench.agent():
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
        bench.clock.pass_(ALLOCATION_GRACE)
        assert {path.name for path in bench.settings.cdi_dir.iterdir()} == ours
        bench.kubelet.delete_pod(pod)
        await bench.until(lambda: {path.name for path in bench.settings.cdi_dir.iterdir()} == {"vendor.json"})
