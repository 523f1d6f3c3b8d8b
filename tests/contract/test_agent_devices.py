"""The agent's devices as the kubelet and the report see them."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable

import grpc.aio
import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from contract.pacing import paced
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from device_plugin_agent.sources import Discovery
from device_plugin_agent.sources.identity import id_of_simulated
from device_plugin_agent.sources.paths import Paths
from device_plugin_api.resource import Allocation, EnvVar, Health, Mount, Resource
from device_plugin_api.sources import PathsSource, SimulatedFailure, SimulatedSource, Source
from kubelet_double.manager import AdmissionError
from kubelet_double.pods import Pod


async def test_a_plugged_device_is_known_to_the_kubelet_by_the_event_and_not_by_the_next_period(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(health=Health(period_seconds=3600))))
    async with bench.agent():
        await bench.offers(1, 1)
        bench.plug("video1")
        await bench.offers(2, 2)


async def test_the_log_has_one_line_for_each_change_of_a_device_however_often_it_is_looked_at(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "device_plugin_agent")
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        bench.pull("video0")
        await bench.offers(0, 1)
        for number in (1, 2, 3):  # each is a look at all of them
            bench.plug(f"video{number}")
            await bench.offers(number, number + 1)
    told = [vars(record) for record in caplog.records if record.getMessage() == "Device changed"]
    assert [(each["state"], each["reason"]) for each in told if each["device"] == "video0"] == [
        ("Healthy", "Works"),
        ("Unhealthy", "DeviceMissing"),
    ]


async def test_a_pulled_device_is_unhealthy_with_a_reason_and_healthy_again_when_it_is_back(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        bench.pull("video1")
        await bench.offers(1, 2)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "DeviceMissing"})
        bench.plug("video1")
        await bench.offers(2, 2)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "Works"})


async def test_a_container_gets_nodes_environment_mounts_and_annotations(bench: Bench) -> None:
    bench.plug("video0", "video1")
    settings = Allocation(
        permissions="r",
        container_path="/dev/camera$(INDEX)",
        env=(EnvVar(name="CAMERAS", value="$(DEVICE_PATHS)"),),
        mounts=(Mount(host_path="/opt/calibration", container_path="/calibration"),),
        annotations={"example.com/lens": "$(DEVICE_ID)"},
    )
    bench.api.put(spec(resource(allocation=settings)))
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.kubelet.admit(pod, "c", {CAMERA: 2})
        options = await bench.kubelet.start_container(pod, "c")
    assert options.envs == {
        "CAMERA_ID": "video0,video1",
        "CAMERA_PATH": "/dev/camera0,/dev/camera1",
        "CAMERAS": "/dev/camera0,/dev/camera1",
    }
    assert {(node.host_path, node.container_path, node.permissions) for node in options.devices.values()} == {
        ("/dev/video0", "/dev/camera0", "r"),
        ("/dev/video1", "/dev/camera1", "r"),
    }
    assert [(mount.host_path, mount.read_only) for mount in options.mounts.values()] == [("/opt/calibration", True)]
    assert options.annotations == {"example.com/lens": "video0"}


async def test_a_directory_is_handed_out_with_what_is_in_it_by_then(bench: Bench) -> None:
    card = bench.dev / "cards/card0"
    source = Source(paths=PathsSource(include=("/dev/cards/*",), type="Directory"))
    bench.api.put(spec(Resource(name=CAMERA, source=source, health=Health(period_seconds=3600))))
    async with bench.agent():
        await bench.offers(0, 0)
        card.mkdir(parents=True)
        bench.plug("video0")
        (bench.dev / "video0").rename(card / "in")
        await bench.offers(1, 1)
        (card / "deep").mkdir()
        bench.plug("video1")
        (bench.dev / "video1").rename(card / "deep/out")
        await bench.until(
            lambda: [device.attributes["nodes"] for device in bench.resource_status().devices] == ["in,deep/out"]
        )
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        options = await bench.kubelet.start_container(Pod("p"), "c")
        shutil.rmtree(card)
        await bench.offers(0, 1)
    assert options.envs["CAMERA_PATH"] == "/dev/cards/card0"
    assert set(options.devices) == {"/dev/cards/card0/in", "/dev/cards/card0/deep/out"}


async def test_a_plain_file_is_handed_out_as_a_mount_and_told_when_it_goes_and_comes_back(bench: Bench) -> None:
    key = bench.dev / "keys/a"
    key.parent.mkdir(mode=0o755)
    key.write_text("x")
    os.mkfifo(bench.dev / "keys/b")
    source = Source(paths=PathsSource(include=("/dev/keys/*",), type="File"))
    bench.api.put(spec(Resource(name=CAMERA, source=source, health=Health(period_seconds=3600))))
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        options = await bench.kubelet.start_container(Pod("p"), "c")
        await bench.until(lambda: bench.states() == {"keys--a": "Works"})
        dropped = [text for step in bench.resource_status().candidates for text in step.dropped]
        key.unlink()
        await bench.offers(0, 1)
        await bench.until(lambda: bench.states() == {"keys--a": "DeviceMissing"})
        key.write_text("y")
        await bench.offers(1, 1)
        await bench.until(lambda: bench.states() == {"keys--a": "Works"})
    assert [(each.host_path, each.container_path, each.read_only) for each in options.mounts.values()] == [
        ("/dev/keys/a", "/dev/keys/a", True)
    ]
    assert not options.devices
    assert options.envs == {"CAMERA_ID": "keys--a", "CAMERA_PATH": "/dev/keys/a"}
    assert dropped == ["/dev/keys/b: it is a pipe, not a plain file"]


async def test_the_kubelet_is_told_on_which_numa_node_each_device_is_and_nothing_where_that_is_unknown(
    bench: Bench,
) -> None:
    nowhere = "example.com/nowhere"
    bench.api.put(
        spec(
            Resource(name=CAMERA, source=Source(simulated=SimulatedSource(count=3, numa_nodes=2))),
            Resource(name=nowhere, source=Source(simulated=SimulatedSource(count=1))),
        )
    )
    async with bench.agent():
        await bench.offers(3, 3)
        await bench.offers(1, 1, nowhere)
    told = {device.id: device.numa_nodes for each in bench.kubelet.received for device in each.devices}
    cameras = [id_of_simulated(CAMERA, index) for index in range(3)]
    assert told == dict(zip(cameras, [(0,), (1,), (0,)], strict=True)) | {id_of_simulated(nowhere, 0): ()}


async def test_a_simulated_device_fails_and_comes_back_when_its_schedule_says_so_and_not_by_the_next_period(
    bench: Bench,
) -> None:
    # Again and again: a machine so slow that it misses one time sees the next.
    failure = SimulatedFailure(device=1, after_seconds=2, for_seconds=2, every_seconds=4)
    source = Source(simulated=SimulatedSource(count=2, failures=(failure,)))
    bench.api.put(spec(Resource(name=CAMERA, source=source, health=Health(period_seconds=3600, success_threshold=1))))
    steady, failing = (id_of_simulated(CAMERA, index) for index in range(2))
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.offers(1, 2)
        await bench.until(lambda: bench.states() == {steady: "Works", failing: "DeviceMissing"})
        await bench.offers(2, 2)
        await bench.until(lambda: bench.states() == {steady: "Works", failing: "Works"})
        await bench.offers(1, 2)


async def test_who_has_a_device_is_reported_and_so_is_its_release(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    pod = Pod("p", namespace="team")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.hand_out(pod)
        (device,) = bench.resource_status().devices
        assert [(each.namespace, each.pod, each.container) for each in device.allocated_to] == [("team", "p", "c")]
        bench.kubelet.delete_pod(pod)
        await bench.until(lambda: bench.api.reported().counts.allocated == 0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["ghost"], "device ghost is not one of this resource's"),
        (["video1"], "device video1 is Unhealthy: /dev/video1 is gone from the node"),
    ],
)
async def test_an_allocation_of_an_unknown_or_vanished_device_is_refused(
    bench: Bench, asked: list[str], message: str
) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        bench.pull("video1")
        await bench.offers(1, 2)
        (socket,) = bench.kubelet.directory.glob("dp-*.sock")
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            request = api.AllocateRequest(container_requests=[api.ContainerAllocateRequest(devices_ids=asked)])
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await rpc.DevicePluginStub(channel).Allocate(request)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.details() == message


async def test_a_second_stream_takes_no_news_from_the_kubelets(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        (socket,) = bench.kubelet.directory.glob("dp-*.sock")
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            stream = aiter(rpc.DevicePluginStub(channel).ListAndWatch(api.Empty()))
            await anext(stream)
            for healthy, change in ((1, bench.pull), (2, bench.plug), (1, bench.pull)):
                change("video1")
                told = await anext(stream)
                assert [device.health for device in told.devices].count("Healthy") == healthy
                await bench.offers(healthy, 2)


async def test_a_checkers_second_stream_disturbs_nothing(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        (socket,) = bench.kubelet.directory.glob("dp-*.sock")
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            stream = rpc.DevicePluginStub(channel).ListAndWatch(api.Empty())
            async for response in stream:
                assert [device.ID for device in response.devices] == ["video0"]
                break
            stream.cancel()
        bench.plug("video1")
        await bench.offers(2, 2)
        await bench.until(lambda: agent.http.answers["/readyz"]().ok)
    assert len(bench.kubelet.registrations) == 1


async def test_a_device_flapping_ten_times_a_second_costs_few_lists(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        before = len(bench.kubelet.received)
        for _ in range(15):
            bench.pull("video1")
            await asyncio.sleep(0.05)
            bench.plug("video1")
            await asyncio.sleep(0.05)
        assert len(bench.kubelet.received) - before <= 3


class Looks:
    """When a source looked, in seconds of the event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after_each: Callable[[], None] = lambda: None) -> None:
        self.at: list[float] = []
        discover = Paths.discover

        def counted(source: Paths) -> Discovery:
            self.at.append(asyncio.get_running_loop().time())
            found = discover(source)
            after_each()
            return found

        monkeypatch.setattr(Paths, "discover", counted)


async def test_a_thousand_events_cost_one_look_a_period_and_the_last_one_is_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(monkeypatch)
    bench.api.put(spec(resource(health=Health(period_seconds=3600))))
    async with bench.agent():
        await bench.offers(0, 0)
        looks.at.clear()
        for _ in range(500):
            bench.plug("video0")
            bench.pull("video0")
            await asyncio.sleep(0)
        bench.plug("video1")
        await bench.until(lambda: "video1" in bench.states())
        times = looks.at[:]
    # However long the machine took for all that.
    assert paced(times)


async def test_what_appears_while_the_agent_looks_is_not_missed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    unplugged = ["video1"]

    def plug() -> None:
        while unplugged:
            bench.plug(unplugged.pop())

    Looks(monkeypatch, after_each=plug)
    bench.plug("video0")
    bench.api.put(spec(resource(health=Health(period_seconds=3600))))
    async with bench.agent():
        await bench.offers(2, 2)


async def test_why_something_is_left_out_is_told_when_it_comes_and_nothing_else_changes(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())

    def left_out() -> tuple[str, ...]:
        return bench.resource_status().candidates[-1].dropped

    async with bench.agent():
        await bench.offers(1, 1)
        await bench.until(lambda: bench.states() == {"video0": "Works"} and left_out() == ())
        (bench.dev / "video1").mkdir()
        await bench.until(lambda: left_out() == ("/dev/video1: it is a directory, not a device node",))
        (bench.dev / "video1").rmdir()
        await bench.until(lambda: left_out() == ())


async def test_equal_lists_are_not_sent_again_and_equal_reports_not_written_again(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(health=Health(period_seconds=1))))
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.until(lambda: bench.api.writes > 0 and bench.resource_status().registered)
        lists, writes = len(bench.kubelet.received), bench.api.writes
        await asyncio.sleep(2.5)  # two of its periods
        bench.api.poke()
        await asyncio.sleep(0.1)
        assert (len(bench.kubelet.received), bench.api.writes) == (lists, writes)


async def test_devices_of_two_resources_whose_ids_are_alike_by_intent_are_not_mixed_up(bench: Bench) -> None:
    pretended = "example.com/pretended"
    alike = id_of_simulated(pretended, 0)
    bench.plug("video0")
    (bench.dev / "video0").rename(bench.dev / alike)
    simulated = Resource(name=pretended, source=Source(simulated=SimulatedSource(count=1)))
    bench.api.put(spec(resource(include=f"/dev/{alike}"), simulated))
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.offers(1, 1, pretended)
        for name, nodes in ((CAMERA, {f"/dev/{alike}"}), (pretended, set[str]())):
            granted = await bench.kubelet.admit(Pod(name), "c", {name: 1})
            assert granted.devices == {name: {alike}}
            assert set(granted.options.devices) == nodes
        await bench.until(lambda: bench.api.reported().counts.allocated == 2)
        for name in (CAMERA, pretended):
            (device,) = bench.resource_status(name).devices
            assert [holder.pod for holder in device.allocated_to] == [name]
        bench.kubelet.delete_pod(Pod(CAMERA))
        await bench.kubelet.admit(Pod("another"), "c", {CAMERA: 1})
        with pytest.raises(AdmissionError):
            await bench.kubelet.admit(Pod("one too many"), "c", {pretended: 1})
    # Whoever names a node like another source's device gets two devices of one ID: the kubelet knows them by resource.
    assert {each.partition(": ")[2] for each in bench.kubelet.violations} == {
        f"{alike} is offered by another resource too"
    }
    bench.kubelet.violations.clear()
