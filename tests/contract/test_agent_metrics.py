"""What Prometheus reads from an agent."""

import asyncio
from collections.abc import Callable

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from contract.agent_bench import CAMERA, Bench, spec
from device_plugin_agent.agent import Agent
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from kubelet_double.pods import Pod


async def scrape(agent: Agent) -> dict[tuple[str, frozenset[str]], float]:
    """Sample and the values of its labels → value."""
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.http.port)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    assert "Content-Type: text/plain; version=0.0.4" in head
    return read(body)


def read(page: str) -> dict[tuple[str, frozenset[str]], float]:
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def labelled(agent: Agent, wanted: Callable[[Sample], bool]) -> dict[frozenset[tuple[str, str]], float]:
    """Names and values of the labels → value."""
    page = agent.http.answers["/metrics"]().text
    samples = [each for family in text_string_to_metric_families(page) for each in family.samples if wanted(each)]
    return {frozenset(sample.labels.items()): sample.value for sample in samples}


def missed(sample: Sample) -> bool:
    return sample.name == "device_plugin_device_transitions_total" and sample.labels["reason"] == "DeviceMissing"


async def test_devices_users_and_registration_are_in_the_metrics(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(cordoned={"video1": "lens broken"}))
    async with bench.agent() as agent:
        await bench.offers(1, 2)
        await bench.hand_out(Pod("p"))
        seen = await scrape(agent)
    assert seen["device_plugin_devices", frozenset({CAMERA, "Healthy"})] == 1
    assert seen["device_plugin_devices", frozenset({CAMERA, "Cordoned"})] == 1
    assert seen["device_plugin_devices", frozenset({CAMERA, "Unknown"})] == 0
    assert seen["device_plugin_device_allocated", frozenset({CAMERA, "video0", "default", "p", "c"})] == 1
    assert seen["device_plugin_registered", frozenset({CAMERA})] == 1
    assert seen["device_plugin_stream_age_seconds", frozenset({CAMERA})] >= 0
    assert seen["device_plugin_registration_duration_seconds_count", frozenset({CAMERA})] == 1
    assert seen["device_plugin_allocations_total", frozenset({CAMERA})] == 1
    assert seen["device_plugin_allocate_duration_seconds_count", frozenset({CAMERA})] == 1
    assert seen["device_plugin_scan_duration_seconds_count", frozenset({CAMERA})] >= 1
    assert seen["device_plugin_device_transitions_total", frozenset({CAMERA, "Cordoned"})] == 1
    assert seen["device_plugin_status_writes_total", frozenset({"success"})] >= 1
    assert seen["device_plugin_status_writes_total", frozenset({"error"})] == 0
    assert seen["device_plugin_config_info", frozenset({"r1"})] == 1
    assert seen["process_resident_memory_bytes", frozenset()] > 0


async def test_restarts_of_the_kubelet_and_refusals_are_counted(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        assert (await scrape(agent))["device_plugin_kubelet_restarts_total", frozenset()] == 0
        await bench.kubelet.restart()
        await bench.offers(1, 1)
        (socket,) = bench.kubelet.directory.glob("dp-*.sock")
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            request = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=["ghost"])])
            with pytest.raises(grpc.aio.AioRpcError):
                await rpc.DevicePluginStub(channel).Allocate(request)
        seen = await scrape(agent)
    assert seen["device_plugin_kubelet_restarts_total", frozenset()] == 1
    assert seen["device_plugin_registration_duration_seconds_count", frozenset({CAMERA})] == 2
    assert seen["device_plugin_allocation_refusals_total", frozenset({CAMERA})] == 1
    assert ("device_plugin_allocations_total", frozenset({CAMERA})) not in seen


async def test_a_transition_is_counted_by_the_state_and_the_reason_that_it_led_to(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent() as agent:
        await bench.offers(2, 2)
        assert labelled(agent, missed) == {}
        bench.pull("video1")
        await bench.offers(1, 2)
        assert labelled(agent, missed) == {
            frozenset({("resource", CAMERA), ("state", "Unhealthy"), ("reason", "DeviceMissing")}): 1
        }


async def test_a_stream_is_as_old_as_the_time_that_has_passed_and_a_new_one_is_young(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent() as agent:

        def ages() -> list[float]:
            return list(labelled(agent, lambda sample: sample.name == "device_plugin_stream_age_seconds").values())

        def young() -> bool:
            return len(ages()) == 1 and ages()[0] < 30

        # The kubelet may have its list before the agent knows that it asked.
        await bench.until(lambda: "/metrics" in agent.http.answers)
        await bench.until(young)
        (before,) = ages()
        bench.clock.pass_(1000.0)
        assert 1000 <= ages()[0] - before < 1030
        await bench.kubelet.restart()
        await bench.until(young)


async def test_registrations_and_reports_that_fail_are_counted(bench: Bench) -> None:
    def counted(agent: Agent, name: str, label: str) -> float:
        return read(agent.http.answers["/metrics"]().text).get((name, frozenset({label})), 0.0)

    failures = ("device_plugin_registration_failures_total", CAMERA)
    errors = ("device_plugin_status_writes_total", "error")
    bench.plug("video0")
    bench.kubelet.faults.reject_register = "made up"
    bench.api.put(spec())
    async with bench.agent() as agent:
        await bench.until(lambda: "/metrics" in agent.http.answers)
        await bench.until(lambda: counted(agent, *failures) >= 2)
        bench.kubelet.faults.reject_register = None
        await bench.offers(1, 1)
        refused = counted(agent, *failures)
        assert counted(agent, *errors) == 0
        bench.api.down = True
        bench.plug("video1")
        await bench.offers(2, 2)
        await bench.until(lambda: counted(agent, *errors) >= 1)
        assert counted(agent, *failures) == refused, "no registration failed since"
