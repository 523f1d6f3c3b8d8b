"""Probes, cordons and flapping, from the host to the kubelet and the report."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.health.lookout import Lookout
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from device_plugin_api.resource import Health, Probe
from kubelet_double.pods import Pod

HEARTBEAT = Probe(type="HeartbeatFile", name="$(DEVICE_ID)", max_age_seconds=86400)
QUICK = {"period_seconds": 1, "failure_threshold": 1, "success_threshold": 1}


def probed(*probes: Probe) -> Health:
    return Health(probes=probes, **QUICK)


def beat(bench: Bench, *names: str) -> None:
    for name in names:
        (bench.settings.heartbeat_dir / name).touch()


async def test_a_probe_that_sees_trouble_reaches_kubelet_and_report_and_so_does_its_end(bench: Bench) -> None:
    bench.plug("video0", "video1")
    beat(bench, "video0", "video1")
    bench.api.put(spec(resource(health=probed(HEARTBEAT))))
    async with bench.agent():
        await bench.offers(2, 2)
        (bench.settings.heartbeat_dir / "video1").unlink()
        await bench.offers(1, 2)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "HeartbeatMissing"})
        beat(bench, "video1")
        await bench.offers(2, 2)


async def test_the_first_list_already_knows_what_the_probes_say(bench: Bench) -> None:
    bench.plug("video0", "video1")
    beat(bench, "video0")
    bench.api.put(spec(resource(health=probed(HEARTBEAT))))
    async with bench.agent():
        await bench.offers(1, 2)
    first = bench.kubelet.received[0]
    assert sorted(device.health for device in first.devices) == ["Healthy", "Unhealthy"]


async def test_a_device_that_is_plugged_in_is_offered_when_its_probe_has_looked_and_not_a_period_later(
    bench: Bench,
) -> None:
    bench.plug("video0")
    beat(bench, "video0", "video1")
    bench.api.put(spec(resource(health=Health(probes=(HEARTBEAT,), period_seconds=3600))))
    async with bench.agent():
        await bench.offers(1, 1)
        bench.plug("video1")
        await bench.offers(2, 2)


async def test_other_probes_come_without_a_restart_and_without_a_moment_of_doubt(bench: Bench) -> None:
    bench.plug("video0")
    beat(bench, "video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        lists = len(bench.kubelet.received)
        bench.api.put(spec(resource(health=probed(HEARTBEAT)), revision="r2"))
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
        (bench.settings.heartbeat_dir / "video0").unlink()
        await bench.offers(0, 1)
        assert len(bench.kubelet.received) == lists + 1
    assert len(bench.kubelet.registrations) == 1


async def test_a_configuration_whose_pattern_is_none_is_rejected(bench: Bench) -> None:
    bench.plug("video0")
    bad = Probe(type="SysfsAttribute", path="a", matches="(")
    bench.api.put(spec(resource(health=probed(bad))))
    async with bench.agent():
        await bench.until(lambda: bench.api.writes > 0)
        (accepted, _) = bench.api.reported().conditions
        assert accepted.reason == "ConfigRejected"
        assert "'('" in accepted.message


async def test_a_cordoned_device_is_not_offered_its_user_is_not_touched_and_all_that_without_a_restart(
    bench: Bench,
) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        granted = await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        (used,) = granted.devices[CAMERA]
        bench.api.put(spec(cordoned={used: "lens broken"}))
        await bench.offers(1, 2)
        await bench.until(lambda: bench.states()[used] == "Cordoned")
        await bench.until(lambda: bench.resource_status().counts.allocated == 1)
        counts = bench.resource_status().counts
        assert (counts.healthy, counts.unhealthy, counts.cordoned, counts.allocated) == (1, 0, 1, 1)
        bench.api.put(spec())
        await bench.offers(2, 2)
    assert len(bench.kubelet.registrations) == 1


async def test_a_cordoned_device_is_refused_with_the_reason_of_the_cordon(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(cordoned={"video0": "lens broken"}))
    async with bench.agent():
        await bench.offers(0, 1)
        (socket,) = bench.kubelet.directory.glob("dp-*.sock")
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            request = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=["video0"])])
            with pytest.raises(grpc.aio.AioRpcError, match="device video0 is Cordoned: lens broken"):
                await rpc.DevicePluginStub(channel).Allocate(request)


async def test_a_cordon_survives_a_restart_of_the_agent_without_api_server(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(cordoned={"video0": "lens broken"}))
    async with bench.agent():
        await bench.offers(1, 2)
    bench.api.down = True
    async with bench.agent():
        await bench.offers(1, 2)


async def test_a_flapping_device_is_shown_as_that(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        for _ in range(12):
            bench.pull("video0")
            await asyncio.sleep(0.11)
            bench.plug("video0")
            await asyncio.sleep(0.11)
        await bench.until(lambda: bench.states() == {"video0": "Flapping"})
        await bench.offers(0, 1)


async def test_a_new_probe_has_looked_at_every_device_when_the_report_says_that_the_configuration_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, asked, go_on = Lookout.look, asyncio.Event(), asyncio.Event()

    async def slowly(lookout: Lookout, jobs: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await look(lookout, jobs)

    monkeypatch.setattr(Lookout, "look", slowly)
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bench.states() == {"video0": "Works"})
        bench.api.put(spec(resource(health=probed(HEARTBEAT)), revision="r2"))
        await asked.wait()
        bench.plug("video1")
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "NotLookedAt"})
        assert bench.api.reported().observed_revision == "r1"
        go_on.set()
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
        assert bench.states()["video0"] == "HeartbeatMissing"
