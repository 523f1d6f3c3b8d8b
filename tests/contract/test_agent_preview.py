"""A configuration in Preview: what it would offer is found and reported, and the kubelet hears nothing of it."""

from msgspec.structs import replace

from contract.agent_bench import CAMERA, Bench, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_api.conditions import find
from device_plugin_api.config import PREVIEW
from device_plugin_api.node import NodeSpec
from kubelet_double.pods import Pod


def preview(made: NodeSpec) -> NodeSpec:
    return replace(made, mode=PREVIEW, revision=f"{made.revision}-preview")


def previewed(bench: Bench) -> bool:
    if not bench.api.status:
        return False
    registered = find(bench.api.reported().conditions, "Registered")
    return registered is not None and (registered.status, registered.reason) == ("False", "Preview")


async def test_what_would_be_offered_is_reported_and_nothing_registered(bench: Bench) -> None:
    bench.plug("video0", "video1", "other0")
    bench.api.put(preview(spec(cdi=True)))
    async with bench.agent() as agent:
        await bench.until(lambda: previewed(bench))
        told = bench.resource_status()
        assert [(device.id, device.state.value) for device in told.devices] == [
            ("video0", "Healthy"),
            ("video1", "Healthy"),
        ]
        assert told.candidates[0].kept == 2
        assert (told.registered, told.cdi) == (False, False)
        assert agent.http.answers["/readyz"]().ok
        bench.pull("video1")
        await bench.until(lambda: bench.states()["video1"] == "DeviceMissing")
        bench.plug("video2")
        await bench.until(lambda: "video2" in bench.states())
    assert bench.kubelet.received == []
    assert list(bench.settings.cdi_dir.iterdir()) == []


async def test_one_that_is_served_from_now_on_registers_without_a_restart(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(preview(spec()))
    async with bench.agent() as agent:
        await bench.until(lambda: previewed(bench))
        bench.api.put(spec())
        await bench.offers(2, 2)
        await bench.until(lambda: bench.resource_status().registered)
        assert agent.http.answers["/readyz"]().ok


async def test_one_that_was_served_drains_first(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(spec())
    pod = Pod("p")
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.hand_out(pod, ago=ALLOCATION_GRACE)
        bench.api.put(preview(spec()))
        await bench.offers(0, 1)
        await bench.until(lambda: list(bench.states().values()) == ["NotSelected"])
        bench.kubelet.delete_pod(pod)
        await bench.offers(0, 0)
        await bench.until(lambda: list(bench.states()) == ["video0", "video1"] and previewed(bench))
        bench.api.put(spec(revision="r2"))
        await bench.offers(2, 2)


async def test_a_draft_takes_nothing_from_the_config_that_serves_the_same_devices_by_the_same_name(
    bench: Bench,
) -> None:
    draft = bench.neighbour("draft")
    bench.plug("video0", "video1")
    bench.api.put(spec())
    older = replace(spec(), config_creation_time="2020-01-01T00:00:00Z")
    draft.api.put(replace(preview(older), config_name="draft", config_uid="draft-uid"))
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
        async with draft.agent():
            await draft.until(lambda: previewed(draft))
            await bench.until(lambda: bench.api.reported().counts.allocated == 1)
            assert draft.api.reported().counts.allocated == 0
            assert bench.api.reported().contested_devices == ()
            await bench.offers(2, 2)
