"""The table of devices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.entry import ALLOCATION_GRACE, MISSING_RETENTION
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate, Discovery, Unfit
from device_plugin_api.config import SlotCounts
from device_plugin_api.node import SelectionStep
from device_plugin_api.resource import Health, Probe
from inventory_bench import POD, Bench


def left_out() -> Bench:
    """Of two devices the one that a container has, a, is not wanted any more."""
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    bench.inventory.reselect()
    bench.see("b", after=1)
    return bench


def test_an_equal_look_changes_nothing() -> None:
    bench = Bench()
    bench.see("a", "b")
    version = bench.inventory.version
    bench.see("b", "a", after=10)
    assert bench.inventory.version == version


def test_what_the_selection_left_out_is_news_although_no_device_changed() -> None:
    bench = Bench()
    bench.take(Discovery(candidates=(), steps=(SelectionStep(step="device nodes", kept=0),)))
    version = bench.inventory.version
    left_out = (SelectionStep(step="device nodes", kept=0, dropped=("/dev/a: it is a directory",)),)
    bench.take(Discovery(candidates=(), steps=left_out))
    assert bench.inventory.version > version


def test_a_vanished_device_stays_listed_as_missing() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.see("b")
    assert bench.states == {"a": "DeviceMissing", "b": "Works"}
    assert not bench.inventory.entries["a"].healthy


def bound(driver: str) -> Discovery:
    return Discovery(candidates=(Candidate(id="a", attributes={"driver": driver}),), steps=())


def test_a_device_that_is_there_but_unfit_is_told_by_why() -> None:
    bench = Bench()
    bench.see("a")
    unfit = {"a": Unfit(reason="DriverChanged", why="its driver is y"), "b": Unfit(reason="X", why="never offered")}
    bench.take(Discovery(candidates=(), steps=(), unfit=unfit))
    assert bench.states == {"a": "DriverChanged"}
    assert bench.inventory.entries["a"].track.message == "/dev/a: its driver is y"


def test_a_device_that_is_another_resources_now_leaves_when_it_is_free() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    elsewhere = Unfit(reason="OtherAFU", why="its AFU is y", leaves=True)
    bench.take(Discovery(candidates=(), steps=(), unfit={"a": elsewhere, "b": elsewhere}))
    assert bench.states == {"a": "OtherAFU"}
    assert not bench.inventory.entries["a"].healthy
    bench.take(Discovery(candidates=(), steps=(), unfit={"a": elsewhere}))
    assert bench.states == {"a": "OtherAFU"}
    bench.use()
    assert bench.states == {}


def test_a_device_in_use_that_is_this_resources_again_stays() -> None:
    bench = Bench()
    bench.see("a")
    bench.use("a")
    bench.take(Discovery(candidates=(), steps=(), unfit={"a": Unfit(reason="OtherAFU", why="y", leaves=True)}))
    bench.see("a")
    assert bench.states == {"a": "Works"}
    assert bench.inventory.entries["a"].healthy


def test_a_device_that_gets_another_driver_is_the_same_device_when_nobody_has_it() -> None:
    bench = Bench()
    bench.take(bound("x"))
    bench.take(bound("y"))
    assert bench.states == {"a": "Works"}


def test_a_device_in_use_that_gets_another_driver_is_unhealthy_until_it_is_free_or_as_it_was() -> None:
    bench = Bench()
    bench.take(bound("x"))
    bench.use("a")
    bench.take(bound("y"))
    assert bench.states == {"a": "DriverChanged"}
    bench.take(bound("x"), after=1)
    assert bench.states == {"a": "Works"}
    bench.take(bound("y"), after=1)
    bench.use()
    bench.take(bound("y"), after=1)
    assert bench.states == {"a": "Works"}
    assert bench.inventory.entries["a"].device.attributes == {"driver": "y"}


def test_a_missing_free_device_is_forgotten_after_the_retention() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.see("b")
    bench.see("b", after=MISSING_RETENTION - 1)
    assert "a" in bench.states
    bench.see("b", after=1)
    assert "a" not in bench.states


def test_a_missing_device_in_use_is_never_forgotten() -> None:
    bench = Bench()
    bench.see("a")
    bench.use("a")
    bench.see(after=10 * MISSING_RETENTION)
    assert bench.states == {"a": "DeviceMissing"}
    bench.use()
    bench.see(after=MISSING_RETENTION)
    assert bench.states == {}


def test_a_device_just_allocated_stays_although_podresources_does_not_name_it_yet() -> None:
    bench = Bench()
    bench.see("a")
    bench.inventory.allocated(["a"], monotonic=bench.time)
    bench.inventory.reselect()
    bench.use()
    bench.see(after=ALLOCATION_GRACE - 1)
    assert bench.states == {"a": "NotSelected"}
    bench.see(after=1)
    assert bench.states == {}


def test_a_device_that_podresources_has_named_since_its_allocation_is_free_as_soon_as_it_names_it_no_more() -> None:
    bench = Bench()
    bench.see("a")
    bench.inventory.allocated(["a"], monotonic=bench.time)
    bench.use("a")  # asked at that very moment: it may be about who had it before
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    bench.see("a", after=1)
    bench.use()
    assert bench.states == {"a": "NotSelected"}
    bench.use("a")
    bench.use()
    assert bench.states == {}


def test_a_used_device_that_nobody_found_is_listed_as_missing() -> None:
    bench = Bench()
    bench.see("a")
    bench.use("a", "ghost")
    assert bench.states == {"a": "Works", "ghost": "DeviceMissing"}
    assert bench.inventory.counts().allocated == 2


def test_a_device_that_is_no_longer_selected_goes_when_it_is_free() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    bench.inventory.reselect()
    bench.see("c")
    assert bench.states == {"a": "NotSelected", "c": "Works"}
    assert not bench.inventory.entries["a"].healthy
    bench.use()
    assert bench.states == {"c": "Works"}


@pytest.mark.parametrize("draining", [False, True])
def test_a_used_device_that_is_not_wanted_and_leaves_the_node_is_missing_until_it_is_back(draining: bool) -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    if draining:
        bench.inventory.drain(now=1e9, monotonic=bench.time)
    else:
        bench.inventory.reselect()
    bench.see(after=1)
    assert bench.states["a"] == "NotSelected"
    bench.see(after=1, gone=("a",))
    assert bench.states["a"] == "DeviceMissing"
    told = bench.inventory.entries["a"].track.message
    assert told == "/dev/a is gone from the node; it goes when the container that has it ends"
    bench.see(after=1)
    assert bench.states["a"] == "NotSelected"
    bench.use()
    assert bench.states == {}


def test_a_used_device_that_leaves_the_node_as_the_selection_changes_is_missing_and_works_when_it_is_back() -> None:
    bench = left_out()
    bench.inventory.reselect()
    bench.see("b", after=1, gone=("a",))
    assert bench.states == {"a": "DeviceMissing", "b": "Works"}
    bench.see("a", "b", after=1)
    bench.see("a", "b", after=1)
    assert bench.states == {"a": "Works", "b": "Works"}


def test_a_device_that_is_still_selected_after_a_change_stays_healthy_throughout() -> None:
    bench = Bench()
    bench.see("a")
    version = bench.inventory.version
    bench.inventory.reselect()
    assert bench.inventory.version == version, "nobody was told of the moment in between"
    bench.see("a", after=1)
    assert bench.states == {"a": "Works"}


def test_draining_lets_free_devices_go_and_keeps_used_ones_unhealthy() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    bench.see("a", "b", after=1)
    assert bench.states == {"a": "NotSelected"}
    bench.use()
    assert bench.states == {}


def test_a_resource_that_comes_back_while_draining_offers_its_devices_again() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    bench.inventory.restore()
    bench.see("a", "b", after=1)
    assert bench.states == {"a": "Works", "b": "Works"}


def test_a_used_device_that_vanished_while_its_resource_was_away_is_missing_when_that_comes_back() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    bench.see("b", after=1)
    assert bench.states == {"a": "NotSelected"}
    bench.inventory.restore()
    bench.see("b", after=1)
    assert bench.states == {"a": "DeviceMissing", "b": "Works"}
    bench.see("a", "b", after=1)
    assert bench.states == {"a": "Works", "b": "Works"}


def test_what_was_left_out_before_its_resource_went_stays_left_out_when_that_comes_back() -> None:
    bench = Bench()
    bench.see("a")
    bench.use("a")
    bench.inventory.reselect()
    bench.see(after=1)
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    bench.inventory.restore()
    bench.see(after=1)
    assert bench.states == {"a": "NotSelected"}


def test_what_a_resource_that_comes_back_with_another_selection_leaves_out_is_not_missing() -> None:
    bench = Bench()
    bench.see("a")
    bench.use("a")
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    bench.inventory.restore()
    bench.inventory.reselect()
    bench.see(after=1)
    assert bench.states == {"a": "NotSelected"}


LINK = Probe(type="Link")
DOWN = Observation(look=Look.BAD, reason="LinkDown", message="eth0 is down")


def probed(bench: Bench, seen: Observation, name: str = "a", after: float = 1) -> None:
    bench.time += after
    bench.inventory.probed({(name, LINK): seen}, now=bench.time + 1e9, monotonic=bench.time)


@pytest.fixture
def linked() -> Bench:
    bench = Bench()
    bench.inventory.health = Health(probes=(LINK,), success_threshold=1, failure_threshold=2)
    bench.see("a")
    return bench


def test_a_device_is_not_offered_before_each_of_its_probes_has_looked(linked: Bench) -> None:
    assert linked.states == {"a": "NotLookedAt"}
    assert linked.inventory.counts().unknown == 1
    probed(linked, WORKS)
    assert linked.states == {"a": "Works"}


def test_thresholds_count_for_each_probe_by_itself(linked: Bench) -> None:
    probed(linked, WORKS)
    probed(linked, DOWN)
    linked.see("a", after=1)
    assert linked.states == {"a": "Works"}, "one bad look of two"
    probed(linked, DOWN)
    linked.see("a", after=1)
    assert linked.states == {"a": "LinkDown"}, "discovery that sees the device does not make up for it"


def test_a_probe_that_sees_the_same_fault_again_is_no_news(linked: Bench) -> None:
    probed(linked, WORKS)
    for _ in range(2):
        probed(linked, DOWN)
        linked.see("a", after=1)
    version = linked.inventory.version
    for _ in range(5):
        probed(linked, DOWN)
        linked.see("a", after=1)
    assert linked.inventory.version == version


def test_a_device_that_comes_back_is_looked_at_anew_by_each_probe(linked: Bench) -> None:
    probed(linked, WORKS)
    linked.see(after=1)
    assert linked.states == {"a": "DeviceMissing"}
    linked.see("a", after=1)
    assert linked.states == {"a": "NotLookedAt"}


def test_what_a_probe_says_too_late_of_a_device_that_is_gone_or_of_another_is_no_news(linked: Bench) -> None:
    probed(linked, WORKS)
    linked.see(after=1)
    probed(linked, WORKS)
    probed(linked, WORKS, "b")
    assert linked.states == {"a": "DeviceMissing"}


def test_a_probe_that_is_new_in_the_configuration_casts_no_doubt_before_it_has_looked() -> None:
    bench = Bench()
    bench.see("a")
    version = bench.inventory.version
    bench.inventory.health = Health(probes=(LINK,), failure_threshold=1)
    bench.see("a", after=1)
    assert (bench.states, bench.inventory.version) == ({"a": "Works"}, version)
    probed(bench, DOWN)
    assert bench.states == {"a": "LinkDown"}


def test_a_probe_that_left_the_configuration_no_longer_counts(linked: Bench) -> None:
    probed(linked, DOWN)
    probed(linked, DOWN)
    linked.inventory.health = Health()
    linked.see("a", after=1)
    assert linked.states == {"a": "Works"}


def test_a_cordon_holds_whatever_the_device_does_and_ends_with_the_truth(linked: Bench) -> None:
    linked.inventory.cordon({"a": "lens broken"}, now=1, monotonic=1)
    probed(linked, WORKS)
    assert linked.states == {"a": "Cordoned"}
    assert not linked.inventory.entries["a"].healthy
    linked.see(after=1)
    message = linked.inventory.entries["a"].track.message
    assert message == "lens broken; besides, DeviceMissing: /dev/a is gone from the node"
    linked.inventory.cordon({}, now=1, monotonic=1)
    assert linked.states == {"a": "DeviceMissing"}


def test_a_cordon_holds_for_what_is_gone_whatever_is_selected_now() -> None:
    bench = Bench()
    bench.see("a", "b")
    bench.use("a")
    bench.inventory.cordon({"a": "lens broken"}, now=1, monotonic=1)
    bench.see("b", after=1)
    since = bench.inventory.entries["a"].track.since
    bench.inventory.reselect()
    bench.see("b", after=1, gone=("a",))
    track = bench.inventory.entries["a"].track
    gone = "DeviceMissing: /dev/a is gone from the node; it goes when the container that has it ends"
    assert (track.reason, track.message) == ("Cordoned", f"lens broken; besides, {gone}")
    assert track.since == since
    bench.see("b", after=1, gone=("a",))
    assert bench.inventory.entries["a"].track == track
    bench.inventory.cordon({}, now=1, monotonic=1)
    assert bench.states == {"a": "DeviceMissing", "b": "Works"}
    bench.inventory.cordon({"a": "lens broken"}, now=1, monotonic=1)
    assert bench.states == {"a": "Cordoned", "b": "Works"}


def test_a_cordon_is_no_matter_for_what_is_there_and_not_wanted() -> None:
    bench = left_out()
    bench.inventory.cordon({"a": "lens broken"}, now=1, monotonic=1)
    assert bench.states == {"a": "NotSelected", "b": "Works"}


def test_a_device_can_be_cordoned_before_it_is_there() -> None:
    bench = Bench()
    bench.inventory.cordon({"a": "lens broken"}, now=1, monotonic=1)
    bench.see("a")
    assert bench.states == {"a": "Cordoned"}


NAMES = st.sets(st.sampled_from("abcde"))
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("see"), NAMES, st.floats(0, 2000)),
        st.tuples(st.just("use"), NAMES, st.just(0.0)),
        st.tuples(st.just("cordon"), NAMES, st.just(0.0)),
        st.tuples(st.just("reselect"), st.just(set()), st.just(0.0)),
    ),
    max_size=30,
)


@given(ACTIONS)
def test_whatever_happens_a_used_device_stays_listed_and_only_present_ones_are_offered(
    actions: list[tuple[str, set[str], float]],
) -> None:
    bench = Bench()
    used: set[str] = set()
    present: set[str] = set()
    cordoned: set[str] = set()
    for what, names, after in actions:
        if what == "see":
            present = names
            bench.see(*sorted(names), after=after)
        elif what == "use":
            used = names
            bench.use(*sorted(names))
        elif what == "cordon":
            cordoned = names
            bench.inventory.cordon(dict.fromkeys(names, "why"), now=bench.time + 1e9, monotonic=bench.time)
        else:
            bench.inventory.reselect()
            bench.see(*sorted(present))
        assert used <= bench.states.keys()
        assert list(bench.states) == sorted(bench.states)
        assert all(bench.states.values())
        offered = {name for name, entry in bench.inventory.entries.items() if entry.healthy}
        assert offered <= present - cordoned
        counts = bench.inventory.counts()
        assert counts.total == counts.healthy + counts.unhealthy + counts.unknown + counts.cordoned


def test_a_shared_device_is_offered_as_slots_of_one_health() -> None:
    bench = Bench(replicas=2)
    bench.see("a")
    assert bench.slots("a") == {"a::0": True, "a::1": True}
    bench.see()
    assert bench.slots("a") == {"a::0": False, "a::1": False}


def test_devices_are_counted_once_and_slots_as_often_as_they_are_shared() -> None:
    bench = Bench(replicas=3)
    bench.see("a", "b")
    bench.use("a::0", "a::2")
    assert (bench.inventory.counts().total, bench.inventory.counts().allocated) == (2, 1)
    assert bench.inventory.slot_counts(bench.inventory.entries["a"]) == SlotCounts(total=3, used=2)
    assert bench.inventory.entries["a"].holders == (POD,)


@pytest.mark.parametrize(("before", "after", "held"), [(1, 2, "a"), (2, 1, "a::1"), (4, 2, "a::3")])
def test_a_slot_of_a_former_sharing_stays_until_it_is_free_and_nobody_joins_before(
    before: int, after: int, held: str
) -> None:
    bench = Bench(before)
    bench.see("a")
    bench.use(held)
    version = bench.inventory.version
    bench.inventory.share(after)
    assert bench.inventory.version > version
    assert held in bench.slots("a")
    assert not any(bench.slots("a").values())
    bench.use()
    assert held not in bench.slots("a")
    assert list(bench.slots("a").values()) == [True] * after


def test_slots_in_use_stay_healthy_when_the_number_of_slots_changes() -> None:
    bench = Bench(replicas=4)
    bench.see("a")
    bench.use("a::0", "a::3")
    bench.inventory.share(2)
    assert bench.slots("a") == {"a::0": True, "a::1": False, "a::3": False}


def test_a_slot_just_handed_out_stays_over_a_change_of_sharing_until_podresources_can_know() -> None:
    bench = Bench(replicas=2)
    bench.see("a")
    bench.inventory.allocated(["a::1"], monotonic=bench.time)
    bench.inventory.share(1)
    assert bench.slots("a") == {"a": False, "a::1": False}
    bench.see("a", after=ALLOCATION_GRACE)
    assert bench.slots("a") == {"a": True}


def test_a_used_share_of_a_device_that_nobody_found_lists_the_device() -> None:
    bench = Bench(replicas=2)
    bench.use("ghost::1")
    assert bench.states == {"ghost": "DeviceMissing"}
    assert bench.slots("ghost") == {"ghost::0": False, "ghost::1": False}


@given(st.integers(1, 8), st.integers(1, 8), st.data())
def test_no_more_slots_can_be_given_than_the_device_is_shared_by(before: int, after: int, data: st.DataObject) -> None:
    bench = Bench(before)
    bench.see("a")
    held = data.draw(st.sets(st.sampled_from(list(bench.slots("a")))))
    bench.use(*held)
    bench.inventory.share(after)
    slots = bench.slots("a")
    assert held <= slots.keys()
    free = {slot for slot, healthy in slots.items() if healthy and slot not in held}
    assert not free or len(held | free) <= after
