"""What containers get: shares of devices, preferences, and a look before each start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.agent import Agent
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from device_plugin_agent.watch import DirectoryWatch
from device_plugin_api.config import SlotCounts
from device_plugin_api.resource import Allocation, EnvVar, Health, PreStart, Sharing
from kubelet_double.manager import AdmissionError, StartError
from kubelet_double.pods import Pod


@asynccontextmanager
async def plugin(bench: Bench) -> "AsyncIterator[rpc.DevicePluginAsyncStub]":
    """The agent's own service, without a kubelet in between."""
    (socket,) = bench.kubelet.directory.glob("dp-*.sock")
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        yield rpc.DevicePluginStub(channel)


def asking(*containers: list[str]) -> api.AllocateRequest:
    return api.AllocateRequest(
        container_requests=[api.ContainerAllocateRequest(devices_ids=wanted) for wanted in containers]
    )


async def test_a_shared_device_is_given_to_several_containers_and_counted_once(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(sharing=Sharing(replicas=3))))
    async with bench.agent():
        await bench.offers(3, 3)
        for name in ("p", "q"):
            await bench.kubelet.admit(Pod(name), "c", {CAMERA: 1})
        await bench.until(lambda: bench.resource_status().slots == SlotCounts(total=3, used=2))
        status = bench.resource_status()
        (device,) = status.devices
    assert (status.counts.total, status.counts.healthy, status.counts.allocated) == (1, 1, 1)
    assert (device.id, device.slots) == ("video0", SlotCounts(total=3, used=2))
    assert {holder.pod for holder in device.allocated_to} == {"p", "q"}


async def test_two_slots_of_one_device_give_its_node_once(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(sharing=Sharing(replicas=2))))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.kubelet.admit(pod, "c", {CAMERA: 2})
        options = await bench.kubelet.start_container(pod, "c")
    assert options.envs == {"CAMERA_ID": "video0", "CAMERA_PATH": "/dev/video0"}
    assert list(options.devices) == ["/dev/video0"]


async def test_more_slots_than_one_container_may_have_fail_the_pod_with_the_reason(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(sharing=Sharing(replicas=4, max_per_container=2))))
    async with bench.agent():
        await bench.offers(4, 4)
        with pytest.raises(AdmissionError, match=r"a container asks for 3, and sharing\.maxPerContainer is 2"):
            await bench.kubelet.admit(Pod("greedy"), "c", {CAMERA: 3})


async def test_all_slots_of_a_device_share_its_health(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(sharing=Sharing(replicas=5))))
    async with bench.agent():
        await bench.offers(10, 10)
        bench.pull("video1")
        await bench.offers(5, 10)


async def test_a_change_of_sharing_drops_no_slot_that_a_container_has(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        bench.api.put(spec(resource(sharing=Sharing(replicas=2)), revision="r2"))
        await bench.offers(0, 3)
        await bench.until(lambda: bool(bench.resource_status().devices[0].allocated_to))
        bench.kubelet.delete_pod(pod)
        # Time that leaps would make the agent forget what was handed out without having asked whether it is free.
        await bench.until(lambda: not bench.resource_status().devices[0].allocated_to)
        bench.clock.pass_(ALLOCATION_GRACE)
        bench.plug("other0")  # that makes it look
        await bench.offers(2, 2)
    assert bench.kubelet.violations == []
    assert len(bench.kubelet.registrations) == 1


@pytest.mark.parametrize(
    ("policy", "chosen"), [("Packed", {"video0::0", "video0::1"}), ("Distributed", {"video0::0", "video1::0"})]
)
async def test_the_kubelet_is_told_the_slots_that_the_policy_prefers(
    bench: Bench, policy: str, chosen: set[str]
) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(sharing=Sharing(replicas=2), allocation=Allocation(policy=policy))))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(4, 4)
        granted = await bench.kubelet.admit(pod, "c", {CAMERA: 2})
    assert granted.devices[CAMERA] == chosen


async def test_each_container_of_a_request_gets_one_answer(bench: Bench) -> None:
    bench.plug("video0", "video1", "video2")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(3, 3)
        async with plugin(bench) as stub:
            answer = await stub.Allocate(asking(["video2"], ["video1", "video0"]))
    assert [dict(each.envs)["CAMERA_ID"] for each in answer.container_responses] == ["video2", "video0,video1"]


@pytest.mark.parametrize("bad", ["ghost", "video1", "video0::0"])
async def test_one_id_that_is_not_to_be_had_refuses_the_whole_request(bench: Bench, bad: str) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        bench.pull("video1")
        await bench.offers(1, 2)
        async with plugin(bench) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Allocate(asking(["video0"], [bad]))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert bad in str(refused.value.details())


async def test_a_container_is_not_started_on_a_device_that_died_and_is_when_it_is_back(bench: Bench) -> None:
    bench.plug("video0")
    settings = Allocation(pre_start=PreStart(verify_healthy=True))
    bench.api.put(spec(resource(allocation=settings, health=Health(success_threshold=1))))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        await bench.kubelet.start_container(pod, "c")
        bench.pull("video0")
        await bench.offers(0, 1)
        with pytest.raises(StartError, match=r"device video0 is Unhealthy: .*video0"):
            await bench.kubelet.start_container(pod, "c")
        bench.plug("video0")
        await bench.offers(1, 1)
        await bench.kubelet.start_container(pod, "c")


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing tells of devices that come and go: only looks do."""
    monkeypatch.setattr(DirectoryWatch, "follow", lambda watch, directories: False)


def at_rest(agent: Agent) -> bool:
    """The next look at devices will be one by the clock, or be asked for."""
    supervisor = agent._supervisor
    parked = any(not waiter.done() for waiter in supervisor._events._waiting)
    return supervisor._ownership.use_known.is_set() and parked


@pytest.mark.usefixtures("deaf")
async def test_a_device_that_went_since_the_last_look_is_not_handed_out_and_looked_for(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(health=Health(period_seconds=3600))))
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        await bench.until(lambda: at_rest(agent))
        bench.pull("video0")
        with pytest.raises(AdmissionError, match=r"device video0 is gone: /dev/video0 is not there any more"):
            await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        await bench.offers(0, 1)


@pytest.mark.usefixtures("deaf")
async def test_no_container_starts_on_a_device_that_went_since_the_last_look(bench: Bench) -> None:
    bench.plug("video0")
    settings = Allocation(pre_start=PreStart(verify_healthy=True))
    bench.api.put(spec(resource(allocation=settings, health=Health(period_seconds=3600))))
    pod = Pod("p")
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        await bench.until(lambda: at_rest(agent))
        bench.pull("video0")
        with pytest.raises(StartError, match=r"device video0 is gone: /dev/video0 is not there any more"):
            await bench.kubelet.start_container(pod, "c")
        await bench.offers(0, 1)


async def test_asking_for_the_look_before_a_start_registers_again_and_nothing_else_does(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        bench.api.put(spec(resource(allocation=Allocation(permissions="r")), revision="r2"))
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
        assert len(bench.kubelet.registrations) == 1
        bench.api.put(spec(resource(allocation=Allocation(pre_start=PreStart(verify_healthy=True))), revision="r3"))
        await bench.until(lambda: len(bench.kubelet.registrations) == 2)
        await bench.offers(1, 1)
        pod = Pod("p")
        await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        await bench.kubelet.start_container(pod, "c")
        assert "PreStartContainer" in [call.method for call in bench.kubelet.calls]
    assert bench.kubelet.violations == []


async def test_an_unknown_attribute_is_rejected_with_the_field_and_the_good_configuration_goes_on(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        settings = Allocation(env=(EnvVar(name="A", value="$(attributes.serial)"),))
        bench.api.put(spec(resource(allocation=settings), revision="r2"))
        await bench.until(lambda: any(each.reason == "ConfigRejected" for each in bench.api.reported().conditions))
        message = next(each.message for each in bench.api.reported().conditions if each.reason == "ConfigRejected")
    assert "allocation.env[A]: unknown variable $(attributes.serial); known are " in message
    assert "$(attributes.device)" in message
