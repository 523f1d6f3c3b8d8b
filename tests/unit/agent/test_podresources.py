"""Who uses what."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from device_plugin_agent.agreement import SETTLE
from device_plugin_agent.clock import SystemClock
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_agent.kubelet_api import podresources_pb2 as api
from device_plugin_agent.kubelet_api import podresources_pb2_grpc as rpc
from device_plugin_agent.podresources import PERIOD_IN_USE, PodResources, Use, holders, until_next
from device_plugin_agent.pulse import Pulse
from device_plugin_api.node import Holder
from manual_clock import ManualClock


def test_a_device_named_once_for_each_numa_node_has_one_holder() -> None:
    devices = [
        api.ContainerDevices(
            resource_name="example.com/a",
            device_ids=["d0"],
            topology=api.TopologyInfo(nodes=[api.NUMANode(ID=node)]),
        )
        for node in (0, 1)
    ]
    answer = api.ListPodResourcesResponse(
        pod_resources=[
            api.PodResources(name="p", namespace="n", containers=[api.ContainerResources(name="c", devices=devices)])
        ]
    )
    assert holders(answer) == {"example.com/a": {"d0": (Holder(namespace="n", pod="p", container="c"),)}}


def test_a_shared_device_has_all_its_holders() -> None:
    device = api.ContainerDevices(resource_name="example.com/a", device_ids=["d0"])
    answer = api.ListPodResourcesResponse(
        pod_resources=[
            api.PodResources(name=name, namespace="n", containers=[api.ContainerResources(name="c", devices=[device])])
            for name in ("p", "q")
        ]
    )
    assert [holder.pod for holder in holders(answer)["example.com/a"]["d0"][:]] == ["p", "q"]


def _pod(name: str) -> api.PodResources:
    """One that has the device of its name."""
    device = api.ContainerDevices(resource_name="example.com/a", device_ids=[name])
    return api.PodResources(name=name, namespace="n", containers=[api.ContainerResources(name="c", devices=[device])])


class Lister(rpc.PodResourcesListerServicer):
    """Names these pods, and answers when it may."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.answer = asyncio.Semaphore(0)
        self.pods: tuple[str, ...] = ()

    async def List(  # noqa: N802 - gRPC's name
        self, request: api.ListPodResourcesRequest, context: "grpc.aio.ServicerContext[object, object]"
    ) -> api.ListPodResourcesResponse:
        self.asked.release()
        await self.answer.acquire()
        return api.ListPodResourcesResponse(pod_resources=[_pod(name) for name in self.pods])

    async def GetAllocatableResources(  # noqa: N802 - gRPC's name
        self, request: api.AllocatableResourcesRequest, context: "grpc.aio.ServicerContext[object, object]"
    ) -> api.AllocatableResourcesResponse:
        return api.AllocatableResourcesResponse()

    async def Get(  # noqa: N802 - gRPC's name
        self, request: api.GetPodResourcesRequest, context: "grpc.aio.ServicerContext[object, object]"
    ) -> api.GetPodResourcesResponse:
        raise NotImplementedError


@pytest.fixture
async def lister(tmp_path: Path) -> AsyncIterator[Lister]:
    made = Lister()
    server = grpc.aio.server()
    rpc.add_PodResourcesListerServicer_to_server(made, server)
    server.add_insecure_port(f"unix:{tmp_path}/s")
    await server.start()
    yield made
    await server.stop(0)


async def test_what_is_handed_out_while_the_kubelet_answers_is_asked_for_again_soon(
    lister: Lister, tmp_path: Path
) -> None:
    clock = ManualClock()
    pod_resources = PodResources(
        tmp_path / "s", lambda *_: False, lambda _: True, clock=clock, pulse=Pulse(clock), own_pod=""
    )
    clock.advance(ALLOCATION_GRACE)
    asking = asyncio.create_task(pod_resources.run())
    await lister.asked.acquire()
    pod_resources.ask_soon()
    lister.answer.release()
    # Nothing is in use as far as that answer knows: the next question in turn comes after half a minute.
    await asyncio.wait_for(lister.asked.acquire(), 8)
    asking.cancel()


def test_the_kubelet_is_asked_often_while_something_is_or_may_be_in_use_and_else_rarely() -> None:
    assert until_next(used=True, handed_out=ALLOCATION_GRACE, agrees=True) == PERIOD_IN_USE
    assert until_next(used=False, handed_out=ALLOCATION_GRACE - 1, agrees=True) == PERIOD_IN_USE
    rarely = until_next(used=False, handed_out=ALLOCATION_GRACE, agrees=True)
    assert PERIOD_IN_USE < until_next(used=False, handed_out=ALLOCATION_GRACE, agrees=False) < SETTLE < rarely


async def test_a_kubelet_that_does_not_name_the_agents_own_pod_any_more_knows_nothing_of_use(
    lister: Lister, tmp_path: Path
) -> None:
    heard: list[set[str]] = []
    clock = SystemClock()

    def hear(use: Use, asked: float) -> bool:
        heard.append({device for devices in use.values() for device in devices})
        return True

    pod_resources = PodResources(tmp_path / "s", hear, lambda _: True, clock=clock, pulse=Pulse(clock), own_pod="agent")
    asking = asyncio.create_task(pod_resources.run())
    # It restarts: first it names no pod, then static ones, which come from a file, and at last all.
    for pods in (("agent", "user"), (), ("static",), ("agent", "user", "static"), ("agent",)):
        await asyncio.wait_for(lister.asked.acquire(), 20)
        lister.pods = pods
        lister.answer.release()
    await asyncio.wait_for(lister.asked.acquire(), 20)
    assert heard == [{"agent", "user"}, {"agent", "user", "static"}, {"agent"}]
    asking.cancel()


async def test_a_kubelet_that_has_never_named_the_agents_own_pod_is_believed_after_a_while(
    lister: Lister, tmp_path: Path
) -> None:
    heard: list[int] = []
    clock = ManualClock()

    def hear(use: Use, asked: float) -> bool:
        heard.append(len(use))
        return True

    pod_resources = PodResources(tmp_path / "s", hear, lambda _: True, clock=clock, pulse=Pulse(clock), own_pod="agent")
    asking = asyncio.create_task(pod_resources.run())
    for passed in (0, 59, 1):
        await asyncio.wait_for(lister.asked.acquire(), 20)
        assert heard == []
        clock.advance(passed)
        lister.answer.release()
    await asyncio.wait_for(lister.asked.acquire(), 20)
    lister.answer.release()
    await asyncio.wait_for(lister.asked.acquire(), 20)
    assert heard == [0]
    asking.cancel()
