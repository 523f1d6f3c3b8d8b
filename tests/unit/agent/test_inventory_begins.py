"""The table of devices of an agent that follows another: what it takes over, and from whom."""

import pytest
from msgspec import structs

from device_plugin_agent.inventory import Inventory
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_api.node import Device, DeviceState
from device_plugin_api.resource import Health
from inventory_bench import POD, Bench, working


def test_what_was_ours_before_this_process_began_is_missing_until_it_is_found_or_no_longer_wanted() -> None:
    bench = Bench()
    bench.see("a")
    bench.inherit(dict.fromkeys("abc", frozenset()))
    assert bench.states == {"a": "Works", "b": "DeviceMissing", "c": "DeviceMissing"}
    bench.see("a", "b", after=1)
    assert bench.states == {"a": "Works", "b": "Works", "c": "DeviceMissing"}
    bench.inventory.reselect()
    bench.see("a", "b", after=1)
    assert bench.states == {"a": "Works", "b": "Works"}


def test_what_is_missed_or_used_by_its_id_alone_is_known_better_by_the_last_report() -> None:
    bench = Bench()
    bench.inherit({"a": frozenset()})
    bench.use("b")
    bench.inventory.adopt(working("a", "b"), {"a": 5.0, "b": 6.0}, alike=True, monotonic=bench.time)
    bench.see(after=1)
    told = {name: entry.track.message for name, entry in bench.inventory.entries.items()}
    assert told == {name: f"/dev/{name} is gone from the node" for name in ("a", "b")}
    assert bench.inventory.entries["b"].holders == (POD,)


@pytest.mark.parametrize("asked_first", [True, False])
def test_what_was_ours_and_is_there_without_being_found_is_not_wanted_and_goes_when_it_is_free(
    asked_first: bool,
) -> None:
    bench = Bench()
    bench.see("a")
    if asked_first:
        bench.use("left")
    nodes = {name: frozenset({f"/dev/{name}"}) for name in ("left", "free")}
    bench.inherit(nodes, there=nodes)
    bench.use("left")
    assert bench.states == {"a": "Works", "left": "NotSelected"}
    bench.see("a", after=1)
    assert bench.states == {"a": "Works", "left": "NotSelected"}
    bench.use()
    assert bench.states == {"a": "Works"}


@pytest.mark.parametrize("asked_first", [True, False])
@pytest.mark.parametrize("there", [["left"], []])
def test_what_was_ours_and_is_in_use_is_looked_for_where_it_was(asked_first: bool, there: list[str]) -> None:
    bench = Bench()
    bench.see("a")
    if asked_first:
        bench.use("left")
    bench.inherit({"left": frozenset({"/dev/left"})}, there=there)
    bench.use("left")
    assert bench.inventory.places(bench.inventory.entries["left"]) == {"/dev/left"}


def test_what_was_ours_and_gone_and_is_back_without_being_found_is_not_wanted() -> None:
    bench = Bench()
    bench.see("a")
    bench.inherit({"used": frozenset({"/dev/used"}), "free": frozenset({"/dev/free"})})
    bench.use("used")
    assert bench.states == {"a": "Works", "free": "DeviceMissing", "used": "DeviceMissing"}
    assert bench.inventory.missed == {"used": {"/dev/used"}, "free": {"/dev/free"}}
    bench.see("a", after=1, back=("used", "free"))
    assert bench.states == {"a": "Works", "used": "NotSelected"}
    assert bench.inventory.missed == {}


def test_what_was_ours_and_gone_and_is_found_again_is_like_any_other() -> None:
    bench = Bench()
    bench.inherit({"a": frozenset({"/dev/a"})})
    assert bench.states == {"a": "DeviceMissing"}
    bench.see("a", after=1, back=("a",))
    assert bench.states == {"a": "Works"}
    bench.see(after=1)
    assert bench.states == {"a": "DeviceMissing"}
    assert bench.inventory.missed == {}


@pytest.mark.parametrize("asked_first", [True, False])
def test_what_is_not_wanted_and_in_use_is_told_of_as_the_last_agent_told(asked_first: bool) -> None:
    bench = Bench(known=False)
    bench.see("a")
    if asked_first:
        bench.use("left")
    (left,) = working("left")
    left = structs.replace(
        left, state=DeviceState.UNHEALTHY, reason="NotSelected", numa_node=1, attributes={"serial": "7"}
    )
    bench.inventory.adopt([left], {"left": 5.0}, alike=True, monotonic=bench.time)
    bench.inherit({"left": frozenset({"/dev/left"})}, there=["left"])
    bench.use("left")
    assert bench.states == {"a": "Works", "left": "NotSelected"}
    device = bench.inventory.entries["left"].device
    assert (device.path, device.numa_node, device.attributes) == ("/dev/left", 1, {"serial": "7"})


def test_what_another_configuration_had_reported_tells_since_when_and_no_more() -> None:
    bench = Bench()
    bench.see("a")
    bench.inventory.adopt(working("a", "b"), {"a": 5.0, "b": 6.0}, alike=False, monotonic=bench.time)
    bench.see("a", after=1)
    assert bench.states == {"a": "Works"}
    assert bench.inventory.entries["a"].track.since == 5.0


@pytest.mark.parametrize("alike", [True, False])
def test_a_container_that_had_a_device_has_it_until_podresources_says_otherwise(alike: bool) -> None:
    bench = Bench(known=False)
    bench.see("a", "b")
    (a, b) = working("a", "b")
    reported = [structs.replace(a, allocated_to=(POD,)), b]
    bench.inventory.adopt(reported, {"a": 5.0, "b": 6.0}, alike=alike, monotonic=bench.time)
    bench.see("a", "b", after=1)
    assert {name: entry.holders for name, entry in bench.inventory.entries.items()} == {"a": (POD,), "b": ()}
    bench.use("b")
    assert {name: entry.holders for name, entry in bench.inventory.entries.items()} == {"a": (), "b": (POD,)}


def test_what_podresources_has_told_is_newer_than_what_the_last_agent_reported() -> None:
    bench = Bench(known=False)
    bench.see("a")
    bench.use()
    reported = [structs.replace(device, allocated_to=(POD,)) for device in working("a", "gone")]
    bench.inventory.adopt(reported, {"a": 5.0, "gone": 5.0}, alike=True, monotonic=bench.time)
    assert {name: entry.holders for name, entry in bench.inventory.entries.items()} == {"a": (), "gone": ()}


def test_a_used_device_of_which_only_the_id_is_known_has_not_changed_its_driver() -> None:
    bench = Bench()
    bench.use("a")
    bench.take(Discovery(candidates=(Candidate(id="a", attributes={"driver": "vfio-pci"}),), steps=()))
    assert bench.states == {"a": "Works"}


def test_a_used_device_is_missing_too_if_its_resource_left_before_this_process_began() -> None:
    bench = Bench()
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    bench.use("a")
    bench.inventory.restore()
    bench.see(after=1)
    assert bench.states == {"a": "DeviceMissing"}


def test_what_is_left_out_before_anybody_knows_who_has_it_stays_listed_until_that_is_known() -> None:
    bench = Bench()
    bench.inventory = Inventory(Health(success_threshold=1), use_known=False)
    bench.see("a", "b", "c")
    bench.inventory.reselect()
    bench.see("c", after=1)
    assert bench.states == {"a": "NotSelected", "b": "NotSelected", "c": "Works"}
    bench.use("a")
    assert bench.states == {"a": "NotSelected", "c": "Works"}


def test_a_resource_that_leaves_before_anybody_knows_who_has_it_ends_no_sooner_than_that_is_known() -> None:
    bench = Bench()
    bench.inventory = Inventory(Health(success_threshold=1), use_known=False)
    bench.inventory.drain(now=1e9, monotonic=bench.time)
    assert not bench.inventory.drained
    bench.use("a")
    assert bench.states == {"a": "NotSelected"} and not bench.inventory.drained
    bench.use()
    assert bench.states == {} and bench.inventory.drained


def test_a_new_process_keeps_since_when_and_misses_what_vanished_meanwhile() -> None:
    bench = Bench()
    bench.see("a")
    stamp = "2026-11-23T10:00:00Z"
    reported = [
        Device(id="a", path="/dev/a", state=DeviceState.HEALTHY, reason="Works", last_transition_time=stamp),
        Device(id="b", path="/dev/b", state=DeviceState.UNHEALTHY, reason="DeviceMissing", last_transition_time=stamp),
        Device(id="c", path="/dev/c", state=DeviceState.HEALTHY, reason="Works", last_transition_time=stamp),
    ]
    bench.inventory.adopt(reported, {"a": 5.0, "b": 6.0, "c": 7.0}, alike=True, monotonic=bench.time)
    bench.see("a")
    assert {name: entry.track.since for name, entry in bench.inventory.entries.items()} == {
        "a": 5.0,
        "b": 6.0,
        "c": bench.time + 1e9,
    }
    assert bench.states == {"a": "Works", "b": "DeviceMissing", "c": "DeviceMissing"}
