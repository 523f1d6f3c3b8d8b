"""Two configs on one node that select the same devices: one owner at a time, whatever happens to its agent."""

import pytest
from msgspec.structs import replace

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_api.node import ContestedDevice, NodeSpec
from device_plugin_api.resource import Resource
from device_plugin_api.sources import PathsSource, Source
from kubelet_double.pods import Pod

LENS = "example.com/lens"
OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"


def cameras(include: str = "/dev/video*", *, created: str = OLD, revision: str = "r1") -> NodeSpec:
    return replace(spec(resource(include=include), revision=revision), config_creation_time=created)


def lenses(include: str = "/dev/video*", *, created: str = YOUNG, revision: str = "r1") -> NodeSpec:
    made = spec(resource(LENS, include), revision=revision)
    return replace(made, config_name="lenses", config_uid="lenses-uid", config_creation_time=created)


@pytest.fixture
def other(bench: Bench) -> Bench:
    """The younger config, on a node with two devices that both select."""
    bench.plug("video0", "video1")
    bench.api.put(cameras())
    return neighbour(bench, lenses())


def neighbour(bench: Bench, wants: NodeSpec) -> Bench:
    other = bench.neighbour("lenses")
    other.api.put(wants)
    return other


def dropped(bench: Bench, name: str) -> list[str]:
    if not bench.api.status:
        return []
    return [
        line
        for status in bench.api.reported().resources
        if status.name == name
        for step in status.candidates
        for line in step.dropped
    ]


def offered(bench: Bench) -> set[str]:
    """What the lenses offer a little later."""
    bench.clock.pass_(0.1)
    return set(bench.states(LENS))


async def test_a_device_of_another_config_is_not_offered_and_both_sides_say_so(bench: Bench) -> None:
    bench.plug("video0", "video1")
    bench.api.put(cameras("/dev/video0"))
    other = neighbour(bench, lenses())
    async with bench.agent():
        await bench.offers(1, 1)
        async with other.agent():
            await other.offers(1, 1, LENS)
            await other.until(lambda: dropped(other, LENS) == ["/dev/video0: belongs to config cameras"])
            configs = ("cameras", "lenses")
            theirs = ContestedDevice(resource=LENS, device="video0", owner="cameras", configs=configs)
            await other.until(lambda: other.api.reported().contested_devices == (theirs,))
            ours = ContestedDevice(resource=CAMERA, device="video0", owner="cameras", configs=configs)
            await bench.until(lambda: bench.api.reported().contested_devices == (ours,))


async def test_a_plain_file_of_another_config_is_not_offered_by_whatever_name(bench: Bench) -> None:
    (bench.dev / "key").write_text("x")
    (bench.dev / "name").symlink_to("key")
    ours, theirs = (Source(paths=PathsSource(include=(path,), type="File")) for path in ("/dev/key", "/dev/name"))
    bench.api.put(replace(cameras(), resources=(Resource(name=CAMERA, source=ours),)))
    other = neighbour(bench, replace(lenses(), resources=(Resource(name=LENS, source=theirs),)))
    async with bench.agent():
        await bench.offers(1, 1)
        async with other.agent():
            await other.until(lambda: dropped(other, LENS) == ["/dev/name: belongs to config cameras"])


async def test_the_older_config_gets_what_is_free_and_waits_for_what_is_used(bench: Bench, other: Bench) -> None:
    pod = Pod("p")
    async with other.agent():
        await other.offers(2, 2, LENS)
        await other.hand_out(pod, LENS, ago=ALLOCATION_GRACE)
        async with bench.agent():
            await bench.offers(1, 1)
            await other.offers(0, 1, LENS)
            await other.until(lambda: list(other.states(LENS).values()) == ["ClaimedByOtherConfig"])
            bench.kubelet.delete_pod(pod)
            await bench.offers(2, 2)
            await other.offers(0, 0, LENS)


async def test_a_device_that_its_owner_no_longer_selects_passes_on(bench: Bench, other: Bench) -> None:
    async with bench.agent(), other.agent():
        await bench.offers(2, 2)
        await other.offers(0, 0, LENS)
        bench.api.put(cameras("/dev/video0", revision="r2"))
        await other.offers(1, 1, LENS)
        await other.until(lambda: list(other.states(LENS)) == ["video1"])


async def test_the_owner_may_die_and_come_back_and_the_other_config_never_offers_its_devices(
    bench: Bench, other: Bench
) -> None:
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
    async with other.agent():
        await other.until(lambda: len(dropped(other, LENS)) == 2)
        bench.clock.pass_(3600)
        async with bench.agent():
            await bench.offers(2, 2)
        bench.clock.pass_(3600)
        async with bench.agent():
            await bench.offers(2, 2)
    assert not any(received.devices for received in bench.kubelet.received if received.resource == LENS)


async def test_a_device_that_is_slow_to_come_after_a_reboot_is_still_its_owners(bench: Bench) -> None:
    other = bench.neighbour("lenses")
    bench.plug("video0", "video1")
    bench.api.put(cameras())
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.until(lambda: bench.api.writes > 0 and bench.resource_status().registered)
    bench.pull("video0")
    bench.api.down = True
    async with bench.agent():
        await bench.offers(1, 2)
    other.api.put(lenses())
    bench.plug("video0")
    async with other.agent():
        await other.until(lambda: len(dropped(other, LENS)) == 2)
        assert dropped(other, LENS)[0] == "/dev/video0: belongs to config cameras"
        bench.api.down = False
        async with bench.agent():
            await bench.offers(2, 2)
    assert not any(received.devices for received in bench.kubelet.received if received.resource == LENS)


async def test_what_was_deselected_while_no_agent_ran_passes_on(bench: Bench, other: Bench) -> None:
    async with bench.agent():
        await bench.offers(2, 2)
    bench.api.put(cameras("/dev/video0", revision="r2"))
    async with bench.agent(), other.agent():
        await other.offers(1, 1, LENS)
        await bench.offers(1, 1)


async def test_after_a_reboot_the_first_to_start_waits_for_the_owner(bench: Bench) -> None:
    bench.plug("video0")
    other = neighbour(bench, lenses())
    async with other.agent():
        await other.offers(1, 1, LENS)
    bench.api.put(cameras())
    async with bench.agent():
        await bench.until(lambda: dropped(bench, CAMERA) == ["/dev/video0: belongs to config lenses"])
        async with other.agent():  # it learns that an older config waits, and lets go
            await bench.offers(1, 1)
            await other.offers(0, 0, LENS)


async def test_what_a_deleted_config_owned_passes_on_once_no_container_has_it(bench: Bench, other: Bench) -> None:
    pod = Pod("p")
    async with other.agent():
        async with bench.agent():
            await bench.offers(2, 2)
            await bench.kubelet.admit(pod, "c", {CAMERA: 1})
        await other.until(lambda: len(dropped(other, LENS)) == 2)
        bench.api.objects.clear()
        await other.until(lambda: len(offered(other)) == 1, timeout=45)
        bench.kubelet.delete_pod(pod)
        await other.until(lambda: len(other.states(LENS)) == 2, timeout=45)


async def test_what_a_deleted_config_owned_passes_on_at_once_when_nothing_it_handed_out_is_pending(
    bench: Bench, other: Bench
) -> None:
    async with bench.agent():
        await bench.offers(2, 2)
        await bench.hand_out(Pod("p"), ago=ALLOCATION_GRACE)
    bench.api.objects.clear()
    async with other.agent():
        # The bound is less than what would have to pass otherwise.
        await other.until(lambda: len(other.states(LENS)) == 1, timeout=ALLOCATION_GRACE - 5)


async def test_when_the_ledger_cannot_be_written_what_is_owned_is_served_and_nothing_else(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(cameras())
    async with bench.agent():
        await bench.offers(1, 1)
        claims = bench.state / "claims"
        (claims / "ledger.new").mkdir()  # as good as a full disk: root writes to a read-only directory
        bench.plug("video1")
        await bench.until(lambda: any("not claimed yet" in line for line in dropped(bench, CAMERA)))
        await bench.offers(1, 1)
        (claims / "ledger.new").rmdir()
        await bench.offers(2, 2)


async def test_what_is_owned_is_served_by_an_agent_that_starts_while_the_ledger_cannot_be_written(bench: Bench) -> None:
    bench.plug("video0")
    bench.api.put(cameras())
    async with bench.agent():
        await bench.offers(1, 1)
        bench.clock.pass_(ALLOCATION_GRACE)  # it ends quietly, and notes that; its successor has something to change
    claims = bench.state / "claims"
    (claims / "ledger.new").mkdir()
    bench.plug("video1")
    async with bench.agent():
        await bench.offers(1, 1)
        await bench.until(lambda: any("not claimed yet" in line for line in dropped(bench, CAMERA)))
        (claims / "ledger.new").rmdir()
        await bench.offers(2, 2)


async def test_a_damaged_ledger_is_set_aside(bench: Bench) -> None:
    bench.plug("video0")
    (bench.state / "claims").mkdir()
    (bench.state / "claims" / "ledger.json").write_text('{"a": 1}')
    bench.api.put(cameras())
    async with bench.agent():
        await bench.offers(1, 1)
    assert (bench.state / "claims" / "ledger.damaged").exists()
