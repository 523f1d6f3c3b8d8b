"""Rules of the kubelet that nothing else here shows by itself: see docs/kubelet.md."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.health.lookout import Job
from device_plugin_agent.health.tracker import Observation
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from device_plugin_agent.kubelet_api import podresources_pb2 as pod_api
from device_plugin_api.resource import Health, Probe
from kubelet_double.pods import Pod
from kubelet_double.ratelimit import RateLimit

LONG_IDS = [f"{number:06}" + "x" * 57 for number in range(80_000)]
"""More than the 4 MiB that gRPC takes by default."""


def plugin(bench: Bench) -> grpc.aio.Channel:
    """Another caller of the agent's one socket."""
    (socket,) = bench.kubelet.directory.glob("dp-*.sock")
    return grpc.aio.insecure_channel(f"unix:{socket}", options=(("grpc.max_send_message_length", -1),))


def more_than(bench: Bench, known: int) -> bool:
    return len(bench.kubelet.registrations) > known


async def test_register_leaves_the_kubelet_time_to_dial_back(bench: Bench) -> None:
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(0, 0)
    (registered,) = bench.kubelet.registrations
    assert registered.deadline is not None
    assert registered.deadline > 20  # of 30, less what a busy machine took of it


async def test_a_stream_that_breaks_while_the_kubelet_lives_is_made_good_by_another_registration(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        for _ in range(3):
            known = len(bench.kubelet.registrations)
            await bench.kubelet.cut(CAMERA)
            await bench.kubelet.wait_for(partial(more_than, bench, known))
            await bench.offers(1, 1)


async def test_a_restart_whose_event_was_lost_is_found_by_the_sockets_identity(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        def __init__(self, wake: Callable[[], None]) -> None:
            pass

        def follow(self, directories: Iterable[Path]) -> bool:
            return False

        def close(self) -> None:
            pass

    monkeypatch.setattr("device_plugin_agent.kubelet.DirectoryWatch", Deaf)
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.restart()
        await bench.offers(1, 1)


async def test_devices_are_handed_out_while_the_probes_of_others_hang(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, go_on = threading.Event(), threading.Event()

    def hang(job: Job) -> Observation:
        hangs.set()
        go_on.wait()
        return job()

    monkeypatch.setattr("device_plugin_agent.health.lookout._tried", hang)
    bench.plug("video0", "other0")
    probe = Probe(type="HeartbeatFile", name="x", max_age_seconds=10)
    other = resource("example.com/other", "/dev/other*", health=Health(probes=(probe,)))
    bench.api.put(spec(resource(), other))
    try:
        async with bench.agent():
            await bench.offers(1, 1)
            await bench.until(hangs.is_set)
            granted = await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
            assert granted.devices == {CAMERA: {"video0"}}
    finally:
        go_on.set()


async def test_a_request_longer_than_grpc_takes_by_default_is_answered(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    request = api.PreferredAllocationRequest(
        container_requests=[
            api.ContainerPreferredAllocationRequest(available_deviceIDs=[*LONG_IDS, "video0"], allocation_size=1)
        ]
    )
    async with bench.agent():
        await bench.offers(1, 1)
        async with plugin(bench) as channel:
            response = await rpc.DevicePluginStub(channel).GetPreferredAllocation(request)
    assert [len(each.deviceIDs) for each in response.container_responses] == [1]


async def test_an_answer_of_podresources_longer_than_grpc_takes_by_default_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        crowd = pod_api.PodResources(
            name="crowd",
            namespace="default",
            containers=[
                pod_api.ContainerResources(
                    name="c",
                    devices=[
                        pod_api.ContainerDevices(resource_name="example.com/others", device_ids=LONG_IDS),
                        pod_api.ContainerDevices(resource_name=CAMERA, device_ids=["video0"]),
                    ],
                )
            ],
        )
        monkeypatch.setattr("kubelet_double.podresources.PodResourcesService._pod", lambda *_: crowd)
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})  # and it is asked who has what
        await bench.until(lambda: bench.resource_status().counts.allocated == 1)


async def test_podresources_that_refuses_to_answer_is_no_news(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        await bench.until(lambda: bench.resource_status().counts.allocated == 1)
        bench.kubelet.faults.refuse_podresources = grpc.StatusCode.RESOURCE_EXHAUSTED
        bench.kubelet.delete_pod(Pod("p"))
        bench.pull("video0")
        await bench.until(lambda: bench.states() == {"video0": "DeviceMissing"})
        assert bench.resource_status().counts.allocated == 1
        assert agent.http.answers["/readyz"]().ok
        bench.kubelet.faults.refuse_podresources = None
        await bench.until(lambda: bench.resource_status().counts.allocated == 0)


async def test_a_burst_of_allocations_costs_few_questions_to_podresources(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def allow(_: Any) -> bool:
        asked.append(True)
        return True

    monkeypatch.setattr(RateLimit, "allow", allow)
    bench.plug("video0")
    bench.api.put(spec())
    request = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=["video0"])])
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.until(lambda: bool(asked))
        before = len(asked)
        async with plugin(bench) as channel:
            stub = rpc.DevicePluginStub(channel)
            await asyncio.gather(*(stub.Allocate(request) for _ in range(200)))
        await bench.until(lambda: len(asked) > before)
        assert len(asked) - before < 10
