"""What a node may throw at an agent, and nothing comes of it."""

import asyncio
import errno
import os
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec
import pytest

from contract.agent_bench import CAMERA, Bench, Door, resource, spec
from device_plugin_agent.clock import unix_time
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.plugin import DevicePlugin
from device_plugin_api.resource import Health
from kubelet_double.manager import AdmissionError
from kubelet_double.pods import Pod


@pytest.mark.parametrize("decided", [False, True], ids=["before the answer", "before the answer is told"])
async def test_a_kubelet_that_restarts_in_the_middle_of_allocations_has_everything_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, decided: bool
) -> None:
    door = Door()
    allocate = DevicePlugin.Allocate

    async def held(plugin: DevicePlugin, request: api.AllocateRequest, context: Any) -> api.AllocateResponse:
        if decided:
            answer = await allocate(plugin, request, context)
            await door.wait()
            return answer
        await door.wait()
        return await allocate(plugin, request, context)

    monkeypatch.setattr(DevicePlugin, "Allocate", held)
    bench.plug("video0", "video1", "video2")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(3, 3)
        for turn in range(50):
            door.clear()
            door.knocks = 0
            admitting = asyncio.create_task(bench.kubelet.admit(Pod(f"cut-{turn}"), "c", {CAMERA: 2}))
            await bench.until(lambda: door.knocks == 1)
            assert not admitting.done()
            await bench.kubelet.restart()
            with pytest.raises(AdmissionError, match="rpc error"):
                await admitting
            door.set()
            await bench.offers(3, 3)
            granted = await bench.kubelet.admit(Pod(f"all-{turn}"), "c", {CAMERA: 3})
            assert granted.devices == {CAMERA: {"video0", "video1", "video2"}}
            bench.kubelet.delete_pod(Pod(f"all-{turn}"))


@pytest.mark.parametrize("held", ["hold_register", "hold_list"])
async def test_a_kubelet_that_restarts_in_the_middle_of_registrations_ends_up_with_one(bench: Bench, held: str) -> None:
    door = Door()
    setattr(bench.kubelet.faults, held, door)
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        for _ in range(50):
            await bench.until(lambda: door.knocks == 1)
            door.knocks = 0
            await bench.kubelet.restart()
        await bench.until(lambda: door.knocks == 1)
        assert not bench.kubelet.received, "a registration got through before the kubelet went"
        door.set()
        await bench.offers(1, 1)
        assert door.knocks == 1
        (socket,) = bench.kubelet.directory.glob("dp-*.sock")
        assert bench.kubelet.registrations[-1].endpoint == socket.name
        assert len(bench.kubelet.received) == 1


async def test_a_kubelet_that_restarts_at_any_moment_of_a_registration_ends_up_with_one(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        for turn in range(30):
            await bench.kubelet.restart()
            for _ in range(turn):  # a little later each time
                await asyncio.sleep(0)
        await bench.offers(1, 1)
        assert len(list(bench.kubelet.directory.glob("dp-*.sock"))) == 1


def since(bench: Bench, name: str) -> float:
    """When a device's state changed last, as reported, in Unix time."""
    return next(
        unix_time(device.last_transition_time) for device in bench.resource_status().devices if device.id == name
    )


async def test_a_clock_that_is_set_back_changes_nothing_and_what_changes_then_has_the_new_time(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        bench.clock.set_wall(-86400.0)
        bench.pull("video1")
        await bench.offers(1, 2)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "DeviceMissing"})
        assert 0 <= bench.clock.now() - since(bench, "video1") < 60
        bench.plug("video1")
        await bench.offers(2, 2)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "Works"})
        assert 0 <= bench.clock.now() - since(bench, "video1") < 60


async def test_an_agent_that_starts_after_the_clock_was_set_back_takes_over_no_time_ahead(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        bench.pull("video1")
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "DeviceMissing"})
    bench.clock.set_wall(-86400.0)
    rmtree(bench.state / "claims")  # which would tell as well what was there
    async with bench.agent():
        await bench.until(lambda: 0 <= bench.clock.now() - since(bench, "video1") < 60)
        assert bench.states() == {"video0": "Works", "video1": "DeviceMissing"}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd", "/proc/self/mem", "../state"])
async def test_a_device_that_becomes_a_link_to_somewhere_else_is_missing(bench: Bench, target: str) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        bench.pull("video0")
        (bench.dev / "video0").symlink_to(target)
        await bench.offers(0, 1)
        await bench.until(lambda: bench.states() == {"video0": "DeviceMissing"})


@pytest.mark.parametrize("name", ["video 0", "video'$(reboot)'", "vidéo", "video" + "x" * 250, "video\n1", "video;0"])
async def test_a_hostile_name_is_offered_under_a_plain_id_or_left_out(bench: Bench, name: str) -> None:
    bench.plug("video0")
    (bench.dev / name).hardlink_to(bench.dev / "video0")
    bench.pull("video0")
    bench.plug("video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.kubelet.wait_for(lambda: bool(bench.kubelet.allocatable().get(CAMERA)))
        await bench.until(lambda: "video1" in bench.states())
        assert all(device.isprintable() and device.isascii() and len(device) <= 63 for device in bench.states())


async def test_a_device_root_that_disappears_leaves_the_devices_missing_until_it_is_back(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        aside = bench.dev.with_name("aside")
        bench.dev.rename(aside)
        await bench.offers(0, 1)
        aside.rename(bench.dev)
        await bench.offers(1, 1)


async def test_nothing_is_left_open_after_many_changes(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with bench.agent():
        await bench.offers(1, 1)
        for turn in range(3):
            bench.plug("video1")
            await bench.offers(2, 2)
            bench.pull("video1")
            await bench.offers(1, 2)
            await bench.kubelet.restart()
            await bench.offers(1, 2)
            if turn == 0:
                before = descriptors()
        assert descriptors() <= before


@pytest.mark.parametrize("turns", range(8))
async def test_an_agent_may_be_told_to_end_at_any_moment_of_its_start(bench: Bench, turns: int) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        for _ in range(turns):
            await asyncio.sleep(0)
    assert list(bench.kubelet.directory.glob("dp-*.sock")) == []


async def test_a_full_disk_costs_only_the_next_starts_independence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        async with bench.agent():
            await bench.offers(1, 1)
            bench.api.put(spec(resource(health=Health(period_seconds=5)), revision="r2"))
            await bench.until(lambda: bench.api.reported().observed_revision == "r2")
            await bench.offers(1, 1)
            await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
    assert "No space left on device" in str([vars(record).get("err") for record in caplog.records])
    bench.api.down = True
    async with bench.agent():  # with what was saved before
        await bench.offers(1, 1)


async def test_a_configuration_of_monstrous_size_is_served_or_rejected_and_ends_nothing(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    sane = msgspec.to_builtins(spec(revision="r2"))
    async with bench.agent():
        await bench.offers(1, 1)
        monsters: tuple[dict[str, Any], ...] = (
            {"resources": sane["resources"] * 5000},
            {"resources": [{"name": "x" * 1_000_000}]},
            {"cordonedDevices": [{"resource": CAMERA, "device": f"d{n}", "reason": "r" * 100} for n in range(20_000)]},
            {"aNewerField": {"deep": [[[["x" * 100_000]]]]}},
        )
        for number, monster in enumerate(monsters, start=1):
            bench.api.put_raw(sane | monster)
            bench.plug(f"video{number}")
            await bench.offers(number + 1, number + 1)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_node_without_inotify_to_spare_is_served_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(**_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("device_plugin_agent.watch.INotify", none_left)
    bench.plug("video0")
    bench.api.put(spec(resource(health=Health(period_seconds=1))))
    async with bench.agent():
        await bench.offers(1, 1)
        bench.plug("video1")
        await bench.offers(2, 2)
        await bench.kubelet.restart()
        await bench.offers(2, 2)
