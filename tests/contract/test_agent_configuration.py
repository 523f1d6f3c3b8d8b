"""The agent and its configuration: changes, rejections, and life without the API server."""

from contextlib import AsyncExitStack

import grpc
import msgspec
import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_api import conditions
from device_plugin_api.resource import Allocation, EnvVar, Health
from kubelet_double.pods import Pod

OTHER = "example.com/other"


async def test_a_resource_added_is_registered_without_touching_the_others(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        bench.api.put(spec(resource(), resource(OTHER, "/dev/other*"), revision="r2"))
        await bench.offers(0, 0, OTHER)
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
    assert [entry.resource for entry in bench.kubelet.registrations] == [CAMERA, OTHER]


async def test_a_resource_removed_while_free_is_gone_at_once(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(), resource(OTHER, "/dev/other*")))
    async with bench.agent():
        await bench.offers(1, 1)
        bench.api.put(spec(resource(OTHER, "/dev/other*"), revision="r2"))
        await bench.offers(0, 0)
        await bench.until(lambda: [each.name for each in bench.api.reported().resources] == [OTHER])


async def test_resources_that_a_container_could_not_tell_apart_are_rejected_whatever_the_api_server_let_through(
    bench: Bench,
) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        bench.api.put(spec(resource(), resource("example.org/Camera", "/dev/other*"), revision="r2"))
        await bench.until(lambda: bench.api.reported().conditions[0].reason == "ConfigRejected")
        assert "both set CAMERA_ID in a container" in bench.api.reported().conditions[0].message
        assert bench.api.reported().observed_revision == "r1"
        await bench.offers(1, 1)


async def one_taken(bench: Bench, pod: Pod) -> str:
    """A pod gets one of two devices: which."""
    await bench.offers(2, 2)
    await bench.hand_out(pod)
    (taken,) = (device.id for device in bench.resource_status().devices if device.allocated_to)
    return taken


async def drains(bench: Bench, pod: Pod) -> None:
    """A pod gets a device of a resource that then leaves the configuration."""
    await bench.offers(2, 2)
    await bench.hand_out(pod)
    bench.api.put(spec(resource(OTHER, "/dev/other*"), revision="r2"))
    await bench.until(lambda: list(bench.states().values()) == ["NotSelected"])


async def test_a_resource_removed_while_used_drains(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(), resource(OTHER, "/dev/other*")))
    async with bench.agent():
        await drains(bench, Pod("p"))
        await bench.offers(0, 1)


async def test_a_resource_that_drains_is_still_told_of_by_the_next_agent_process(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(), resource(OTHER, "/dev/other*")))
    pod = Pod("p")
    async with bench.agent():
        await drains(bench, pod)
    (before,) = bench.resource_status().devices
    async with bench.agent():
        await bench.until(lambda: len(bench.kubelet.registrations) == 4)
        await bench.offers(0, 1)
        await bench.until(lambda: bench.resource_status().registered)
        assert bench.resource_status().devices == (before,)
        bench.kubelet.delete_pod(pod)
        await bench.until(lambda: [each.name for each in bench.api.reported().resources] == [OTHER])
    async with bench.agent():
        await bench.offers(0, 0, OTHER)
        await bench.until(lambda: len(bench.kubelet.registrations) == 5)


async def test_a_resource_that_leaves_before_podresources_answered_stays_until_it_is_known_who_has_what(
    bench: Bench,
) -> None:
    bench.plug("video0", "video1")
    both = (resource(), resource(OTHER, "/dev/other*"))
    bench.api.put(spec(*both))
    pod = Pod("p")
    async with bench.agent():
        taken = await one_taken(bench, pod)
    bench.kubelet.faults.refuse_podresources = grpc.StatusCode.UNAVAILABLE
    async with bench.agent():
        await bench.offers(2, 2)
        bench.api.put(spec(both[1], revision="r2"))
        await bench.until(lambda: bench.states() == {"video0": "NotSelected", "video1": "NotSelected"})
        await bench.offers(0, 2)
        bench.kubelet.faults.refuse_podresources = None
        await bench.until(lambda: bench.states() == {taken: "NotSelected"})
        bench.kubelet.delete_pod(pod)
        await bench.until(lambda: [each.name for each in bench.api.reported().resources] == [OTHER])


async def test_a_resource_that_left_while_no_agent_ran_stays_for_who_has_its_devices(bench: Bench) -> None:
    bench.plug("video0", "video1")
    both = (resource(), resource(OTHER, "/dev/other*"))
    bench.api.put(spec(*both))
    pod = Pod("p")
    async with bench.agent():
        taken = await one_taken(bench, pod)
    bench.api.put(spec(both[1], revision="r2"))
    async with bench.agent():
        await bench.until(lambda: bench.api.reported().observed_revision == "r2")
        await bench.until(lambda: bench.states() == {taken: "NotSelected"})
        bench.kubelet.delete_pod(pod)
        await bench.until(lambda: [each.name for each in bench.api.reported().resources] == [OTHER])


async def test_a_device_left_out_while_a_container_has_it_is_told_as_such_by_the_next_agent_process_too(
    bench: Bench,
) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.hand_out(pod)
        taken, left = sorted(bench.resource_status().devices, key=lambda each: not each.allocated_to)
        bench.api.put(spec(resource(include=left.path), revision="r2"))
        await bench.until(lambda: bench.states() == {taken.id: "NotSelected", left.id: "Works"})
    # What changes while no agent runs is all that the next one hears of.
    bench.api.put(spec(resource(include=left.path, health=Health(period_seconds=7)), revision="r3"))
    async with bench.agent():
        await bench.until(lambda: bench.api.reported().observed_revision == "r3" and bench.resource_status().registered)
        await bench.until(lambda: bench.api.reported().counts.allocated == 1)
        assert bench.states() == {taken.id: "NotSelected", left.id: "Works"}
        bench.kubelet.delete_pod(pod)
        await bench.until(lambda: bench.states() == {left.id: "Works"})


async def test_a_resource_that_drains_and_comes_back_after_a_restart_is_offered_again(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(), resource(OTHER, "/dev/other*")))
    async with bench.agent():
        await drains(bench, Pod("p"))
    async with bench.agent():
        await bench.offers(0, 1)
        bench.api.put(spec(resource(), resource(OTHER, "/dev/other*"), revision="r3"))
        await bench.offers(2, 2)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "Works"})


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_used_device_that_vanished_while_its_resource_was_away_is_missing_when_that_comes_back(
    bench: Bench, restarted: bool
) -> None:
    bench.plug("video0", "video1")
    both = (resource(), resource(OTHER, "/dev/other*"))
    bench.api.put(spec(*both))
    async with AsyncExitStack() as agents:
        await agents.enter_async_context(bench.agent())
        await drains(bench, Pod("p"))
        (taken,) = bench.states()
        if restarted:
            await agents.aclose()
            await agents.enter_async_context(bench.agent())
            await bench.offers(0, 1)
        bench.pull(taken)
        bench.api.put(spec(*both, revision="r3"))
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "Works", taken: "DeviceMissing"})
        bench.plug(taken)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "Works"})


@pytest.mark.parametrize(("restarts", "meanwhile"), [(0, False), (1, False), (2, False), (1, True)])
async def test_a_used_device_that_is_pulled_while_it_is_left_out_is_missing_whatever_is_selected_then(
    bench: Bench, restarts: int, meanwhile: bool
) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with AsyncExitStack() as agents:
        await agents.enter_async_context(bench.agent())
        taken = await one_taken(bench, Pod("p"))
        (left,) = bench.states().keys() - {taken}
        bench.api.put(spec(resource(include=f"/dev/{left}"), revision="r2"))
        await bench.until(lambda: bench.states() == {taken: "NotSelected", left: "Works"})
        for _ in range(restarts):
            await agents.aclose()
            if meanwhile:
                bench.pull(taken)
            await agents.enter_async_context(bench.agent())
            await bench.offers(1, 2)
        if not meanwhile:
            bench.pull(taken)
        await bench.until(lambda: bench.states() == {taken: "DeviceMissing", left: "Works"})
        bench.api.put(spec(revision="r3"))
        await bench.until(lambda: bench.api.reported().observed_revision == "r3")
        assert bench.states() == {taken: "DeviceMissing", left: "Works"}
        bench.plug(taken)
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "Works"})


@pytest.mark.parametrize("used", [True, False])
async def test_a_device_that_was_left_out_and_away_when_the_agent_began_is_not_wanted_when_it_is_back(
    bench: Bench, used: bool
) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    pod = Pod("p")
    async with bench.agent():
        taken = await one_taken(bench, pod)
        (left,) = bench.states().keys() - {taken}
        bench.api.put(spec(resource(include=f"/dev/{left}"), revision="r2"))
        await bench.until(lambda: bench.states() == {taken: "NotSelected", left: "Works"})
    bench.pull(taken)
    if not used:
        bench.kubelet.delete_pod(pod)
    async with bench.agent():
        await bench.until(lambda: bench.states() == {taken: "DeviceMissing", left: "Works"})
        bench.plug(taken)
        expected = {left: "Works"} | ({taken: "NotSelected"} if used else {})
        await bench.until(lambda: bench.states() == expected)


async def test_a_renamed_resource_does_not_offer_again_what_a_container_still_has(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource()))
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.hand_out(Pod("p"))
        bench.plug("video1")
        bench.api.put(spec(resource(OTHER), revision="r2"))
        await bench.offers(1, 1, OTHER)
        await bench.until(lambda: bench.states(OTHER) == {"video1": "Works"})
        bench.kubelet.delete_pod(Pod("p"))
        bench.clock.pass_(ALLOCATION_GRACE)
        await bench.offers(2, 2, OTHER)


async def test_a_change_of_the_selection_changes_the_list_and_registers_nothing(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(2, 2)
        bench.api.put(spec(resource(include="/dev/video1"), revision="r2"))
        await bench.offers(1, 1)
        bench.api.put(spec(resource(), revision="r3"))
        await bench.offers(2, 2)
    assert len(bench.kubelet.registrations) == 1


async def test_a_change_of_the_environment_reaches_the_next_container(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        changed = resource(allocation=Allocation(env=(EnvVar(name="LENS", value="wide"),)))
        bench.api.put(spec(changed, revision="r2"))
        await bench.until(lambda: bool(bench.api.status) and bench.api.reported().observed_revision == "r2")
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        assert (await bench.kubelet.start_container(Pod("p"), "c")).envs["LENS"] == "wide"


async def test_a_rejected_configuration_leaves_the_last_good_one_running_and_says_why(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        bad = msgspec.to_builtins(spec(revision="r2"))
        bad["resources"][0]["source"] = {"quantum": {"entangled": True}}
        bench.api.put_raw(bad)

        def rejected() -> bool:
            accepted = conditions.find(bench.api.reported().conditions, "ConfigAccepted")
            return accepted is not None and accepted.reason == "ConfigRejected"

        await bench.until(lambda: bool(bench.api.status) and rejected())
        assert bench.api.reported().observed_revision == "r1"
        await bench.offers(1, 1)
        bench.api.put(spec(revision="r3"))
        await bench.until(lambda: not rejected() and bench.api.reported().observed_revision == "r3")


async def test_rubbish_in_place_of_a_configuration_is_a_rejection_too(bench: Bench) -> None:
    bench.api.put_raw({"resources": 7})
    async with bench.agent() as agent:
        await bench.until(lambda: bool(bench.api.status))
        accepted = conditions.find(bench.api.reported().conditions, "ConfigAccepted")
        assert accepted is not None
        assert "cannot read it" in accepted.message
        assert not agent.http.answers["/readyz"]().ok


async def test_fields_of_a_newer_operator_are_ignored(bench: Bench) -> None:
    bench.plug("video0")
    newer = msgspec.to_builtins(spec())
    newer["flux"] = {"capacitor": 1}
    newer["resources"][0]["colour"] = "blue"
    bench.api.put_raw(newer)
    async with bench.agent():
        await bench.offers(1, 1)


async def test_a_device_of_two_resources_is_offered_by_the_first_alone(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(include="/dev/video0"), resource(OTHER, "/dev/video*")))
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.offers(1, 1, OTHER)
        await bench.until(lambda: list(bench.states(OTHER)) == ["video1"])
        assert bench.resource_status(OTHER).candidates[-1].dropped == (f"/dev/video0: offered as {CAMERA}",)


async def test_the_saved_configuration_is_served_while_the_api_server_is_away_and_reported_later(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.until(lambda: bench.api.writes > 0 and bench.resource_status().registered)
    bench.api.down = True
    bench.plug("video1")
    async with bench.agent() as agent:
        await bench.offers(2, 2)
        await bench.until(lambda: agent.http.answers["/readyz"]().ok)
        bench.api.down = False
        await bench.until(lambda: bench.api.reported().counts.total == 2)


async def test_a_new_process_with_nothing_changed_writes_nothing_and_keeps_since_when(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec(resource(health=Health(success_threshold=1))))
    async with bench.agent():
        await bench.offers(2, 2)
        bench.pull("video1")
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "DeviceMissing"})
    before = {device.id: device.last_transition_time for device in bench.resource_status().devices}
    async with bench.agent():
        await bench.until(lambda: bench.kubelet.counts(CAMERA) is not None)
        await bench.offers(1, 2)
        await bench.until(lambda: bench.resource_status().registered)
        assert {device.id: device.last_transition_time for device in bench.resource_status().devices} == before


async def test_an_object_made_anew_gets_its_status_again(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bench.api.writes > 0)
        bench.api.uid, bench.api.status = "uid-2", {}
        bench.api.poke()
        await bench.until(lambda: bool(bench.api.status) and bench.api.reported().counts.total == 1)


async def test_a_damaged_saved_copy_is_no_reason_to_end(bench: Bench) -> None:
    bench.plug("video0")
    (bench.state / "config-uid").mkdir()
    (bench.state / "config-uid/desired.json").write_text("{")
    bench.api.put(spec())
    async with bench.agent():
        await bench.offers(1, 1)


async def test_a_device_that_vanished_while_no_agent_ran_is_told_as_missing(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    async with bench.agent():
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "Works"})
    bench.pull("video1")
    async with bench.agent():
        await bench.until(lambda: bench.states() == {"video0": "Works", "video1": "DeviceMissing"})
        await bench.offers(1, 2)


async def test_without_kubernetes_api_a_file_is_served_to_the_kubelet_all_the_same(bench: Bench) -> None:
    bench.plug("video0")
    async with bench.alone(spec()) as agent:
        await bench.offers(1, 1)
        await bench.until(lambda: agent.http.answers["/readyz"]().ok)
    assert [each.name for each in bench.state.iterdir()] == ["claims"]
