"""The agent and the kubelet's comings and goings (R1–R7)."""

import asyncio
import os

import grpc
import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_api.conditions import CONFIG_ACCEPTED, find
from device_plugin_api.resource import Resource, Sharing
from device_plugin_api.rules import MAX_SLOTS
from device_plugin_api.sources import SimulatedSource, Source
from kubelet_double.pods import Pod


async def test_every_resource_is_registered_once_the_configuration_is_there(bench: Bench) -> None:
    bench.plug("video0", "video1")
    async with bench.agent() as agent:
        await bench.until(lambda: "/readyz" in agent.http.answers)
        assert not agent.http.answers["/readyz"]().ok
        bench.api.put(spec(resource(), resource("example.com/other", "/dev/other*")))
        await bench.offers(2, 2)
        await bench.offers(0, 0, "example.com/other")
        await bench.until(lambda: agent.http.answers["/readyz"]().ok)
    assert [entry.error for entry in bench.kubelet.registrations] == [None, None]


async def test_an_agent_is_ready_while_the_kubelet_listens_to_every_resource_and_not_otherwise(bench: Bench) -> None:
    bench.api.put(spec(resource(), resource("example.com/other", "/dev/other*")))
    async with bench.agent() as agent:

        def ready() -> bool:
            return agent.http.answers["/readyz"]().ok

        def says_why(name: str) -> bool:
            return agent.http.answers["/readyz"]().text.startswith(f"{name}: ")

        await bench.until(lambda: "/readyz" in agent.http.answers and ready())
        await bench.kubelet.stop()
        # Their streams end in any order; the first of the configuration is named once its own has.
        await bench.until(lambda: says_why(CAMERA))
        assert not ready()
        assert agent.http.answers["/livez"]().ok
        await bench.kubelet.start()
        await bench.until(ready)


async def test_a_kubelet_that_starts_after_the_agent_is_found(stopped_bench: Bench) -> None:
    bench = stopped_bench
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bench.api.writes > 0)
        assert bench.api.reported().conditions[1].reason == "NotRegistered"
        await bench.kubelet.start()
        await bench.offers(1, 1)
        await bench.until(lambda: bench.resource_status().registered)


async def test_a_restarted_kubelet_has_the_devices_back_by_itself(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        for _ in range(5):
            await bench.kubelet.restart()
            await bench.offers(1, 1)


async def test_a_kubelet_that_asks_too_late_has_no_second_stream(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("device_plugin_agent.kubelet._STREAM_DEADLINE", 0.3)
    late = bench.kubelet.faults.hold_list = asyncio.Event()
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: len(bench.kubelet.registrations) == 1)
        bench.kubelet.faults.hold_list = None
        await bench.offers(1, 1)
        lists = len(bench.kubelet.received)
        late.set()
        bench.plug("video1")
        await bench.until(lambda: len(bench.kubelet.received) > lists and len(bench.kubelet.received[-1].devices) == 2)
        await bench.offers(2, 2)
        first = bench.kubelet.registrations[0].endpoint
        assert first not in {received.endpoint for received in bench.kubelet.received}
    assert "the kubelet accepted it but did not ask for the devices" in [
        getattr(record, "err", "") for record in caplog.records
    ]


async def test_fifty_restarts_in_a_row_leave_one_stream_and_one_socket(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        for _ in range(50):
            await bench.kubelet.restart()
        await bench.offers(1, 1)
        sockets = [path.name for path in bench.kubelet.directory.iterdir() if path.name.startswith("dp-")]
        assert len(sockets) == 1


async def test_a_wiped_directory_costs_nothing_while_the_kubelet_lives_and_heals_with_its_restart(
    bench: Bench,
) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        bench.kubelet.wipe()
        bench.pull("video1")
        await bench.offers(1, 2)
        await bench.kubelet.restart()
        await bench.offers(1, 2)


async def test_a_directory_made_anew_is_noticed(stopped_bench: Bench) -> None:
    bench = stopped_bench
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bench.api.writes > 0)
        bench.kubelet.directory.rmdir()
        bench.kubelet.directory.mkdir()
        await bench.kubelet.start()
        await bench.offers(1, 1)


async def test_a_dead_kubelet_socket_is_tried_again_until_a_kubelet_answers(stopped_bench: Bench) -> None:
    bench = stopped_bench
    bench.kubelet.leave_dead_socket()
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: "refused" in bench.resource_status().message if bench.api.status else False)
        await bench.kubelet.start()
        await bench.offers(1, 1)


async def test_a_plain_file_in_the_sockets_place_is_survived(stopped_bench: Bench) -> None:
    bench = stopped_bench
    bench.kubelet.socket.write_text("not a socket")
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bench.api.writes > 0)
        bench.kubelet.socket.unlink()
        await bench.kubelet.start()
        await bench.offers(1, 1)


async def test_a_refusal_is_reported_in_the_kubelets_own_words_and_tried_again(bench: Bench) -> None:
    bench.kubelet.faults.reject_register = "the ResourceName is not to my taste"
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bool(bench.api.status) and "not to my taste" in bench.resource_status().message)
        bench.kubelet.faults.reject_register = None
        await bench.until(lambda: bench.resource_status().registered)


async def test_the_options_are_answered_while_register_is_in_flight(bench: Bench) -> None:
    bench.kubelet.faults.hold_register = asyncio.Event()
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bench.api.writes > 0)
        bench.kubelet.faults.hold_register.set()
        await bench.offers(1, 1)


async def test_a_stream_is_never_ended_by_us_and_never_doubled(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        os.utime(bench.kubelet.socket)  # another ctime, the same kubelet, and its stream alive
        bench.kubelet.directory.joinpath("news").touch()  # at which the agent looks at the socket
        bench.plug("video1")
        await bench.offers(2, 2)
        bench.pull("video1")
        await bench.offers(1, 2)
        assert len(bench.kubelet.registrations) == 1


async def test_a_killed_predecessors_sockets_are_removed_and_others_are_left_alone(bench: Bench) -> None:
    import hashlib
    import socket

    owner = hashlib.sha256(b"config-uid").hexdigest()[:8]
    for name in (f"dp-{owner}-dead-1.sock", "dp-0000000-other-1.sock"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(bench.kubelet.directory / name))
    (bench.kubelet.directory / f"dp-{owner}-notes.sock").write_text("a file of somebody's")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(0, 0)
        left = {path.name for path in bench.kubelet.directory.iterdir()}
    assert f"dp-{owner}-dead-1.sock" not in left
    assert {"dp-0000000-other-1.sock", f"dp-{owner}-notes.sock"} <= left


async def test_sigterm_withdraws_nothing(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        lists = len(bench.kubelet.received)
    await bench.offers(0, 1)  # the kubelet's own view of a plugin that went away
    assert len(bench.kubelet.received) == lists


async def test_another_agent_process_has_the_same_ids_and_the_pods_keep_their_devices(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        granted = await bench.kubelet.admit(pod, "c", {CAMERA: 1})
    async with bench.agent():
        await bench.offers(2, 2)
        assert await bench.kubelet.start_container(pod, "c") is not None
        (device,) = granted.devices[CAMERA]
        await bench.until(lambda: any(each.allocated_to for each in bench.resource_status().devices))
        (holder,) = (each for each in bench.resource_status().devices if each.allocated_to)
        assert holder.id == device


async def test_until_podresources_answers_another_process_tells_who_has_what_as_the_last_one_did(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.hand_out(Pod("p"))
        before = {each.id: each.allocated_to for each in bench.resource_status().devices}
    bench.kubelet.faults.refuse_podresources = grpc.StatusCode.UNAVAILABLE
    bench.plug("video2")
    async with bench.agent():
        await bench.offers(3, 3)
        await bench.until(lambda: len(bench.resource_status().devices) == 3)
        assert {each.id: each.allocated_to for each in bench.resource_status().devices} == before | {"video2": ()}


def simulated(count: int, replicas: int) -> Resource:
    source = Source(simulated=SimulatedSource(count=count, numa_nodes=2))
    return Resource(name=CAMERA, source=source, sharing=Sharing(replicas=replicas))


async def test_as_many_slots_as_there_may_be_come_in_one_list_and_a_device_more_is_refused(bench: Bench) -> None:
    most, replicas = MAX_SLOTS // 4, 4
    bench.api.put(spec(simulated(most, replicas)))
    async with bench.agent():
        await bench.offers(MAX_SLOTS, MAX_SLOTS)
        bench.api.put(spec(simulated(most + 1, replicas), revision="r2"))

        def refused() -> bool:
            accepted = find(bench.api.reported().conditions, CONFIG_ACCEPTED) if bench.api.status else None
            return accepted is not None and accepted.reason == "ConfigRejected"

        await bench.until(refused)
        accepted = find(bench.api.reported().conditions, CONFIG_ACCEPTED)
        assert accepted is not None
        assert accepted.status == "False"
        limit = f"{MAX_SLOTS + replicas} slots a node; the kubelet takes at most {MAX_SLOTS} of one resource"
        assert limit in accepted.message
        assert bench.api.reported().observed_revision == "r1"
        assert bench.kubelet.allocatable() == {CAMERA: MAX_SLOTS}
        granted = await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        assert len(granted.devices[CAMERA]) == 1
        assert len(bench.kubelet.received) == 1


async def test_a_kubelet_that_has_other_devices_than_it_was_told_is_reported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plug("video0")
    bench.api.put(spec())

    def agrees() -> tuple[str, str] | None:
        condition = find(bench.api.reported().conditions, "KubeletAgrees") if bench.api.status else None
        return (condition.status, condition.message) if condition is not None else None

    async with bench.agent():
        await bench.offers(1, 1)
        await bench.until(lambda: agrees() == ("True", ""))
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})  # who uses something is asked for more often
        monkeypatch.setattr("kubelet_double.podresources.allocatable", lambda _: [])

        def told() -> bool:
            bench.clock.pass_(1.0)
            return agrees() == ("False", f"{CAMERA}: the kubelet has 0 of 1, misses video0")

        await bench.until(told)
