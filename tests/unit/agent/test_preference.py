"""Which free slots a container gets: always as good as the best that trying everything finds."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_plugin_agent.entry import Entry
from device_plugin_agent.health.tracker import Track
from device_plugin_agent.preference import NVLINK_GROUP, PCI_ROOT, choices, preferred
from device_plugin_agent.slots import device_of, slot_ids
from device_plugin_agent.sources import Candidate
from device_plugin_api.node import DeviceState

WORKS = Track(state=DeviceState.HEALTHY, reason="Works", since=0)

Table = dict[str, Entry]
Cost = tuple[int, ...]


def table(devices: Iterable[tuple[str, int | None, str]], links: Mapping[str, str] | None = None) -> Table:
    """From ID, NUMA node and PCI root; `links`: ID → group of linked devices."""
    found = {}
    for name, numa, root in devices:
        known = {PCI_ROOT: root, NVLINK_GROUP: (links or {}).get(name, "")}
        attributes = {key: value for key, value in known.items() if value}
        found[name] = Entry(device=Candidate(id=name, numa_node=numa, attributes=attributes), track=WORKS)
    return found


def on_nodes(*groups: tuple[int, int | None]) -> Table:
    """So many devices on each of these NUMA nodes: a0 … on the first, b0 … on the second."""
    return table(
        (f"{letter}{number}", node, "")
        for letter, (count, node) in zip("abcdef", groups, strict=False)
        for number in range(count)
    )


def packed(known: Table, replicas: int, available: set[str], must: set[str], chosen: Iterable[str]) -> Cost:
    devices, begun = {device_of(slot) for slot in chosen}, {device_of(slot) for slot in must}
    free = Counter(device_of(slot) for slot in available)
    return sum(free[device] == replicas for device in devices - begun), len(devices)


def aligned(known: Table, replicas: int, available: set[str], must: set[str], chosen: Iterable[str]) -> Cost:
    devices = [known[device_of(slot)].device for slot in chosen]
    nodes = {device.numa_node for device in devices}
    linked = any(known[device_of(slot)].device.attributes.get(NVLINK_GROUP) for slot in available)
    groups = {device.attributes.get(NVLINK_GROUP, device.id) for device in devices} if linked else ()
    return len(groups), len(nodes), len({(device.numa_node, device.attributes.get(PCI_ROOT)) for device in devices})


def distributed(known: Table, replicas: int, available: set[str], must: set[str], chosen: Iterable[str]) -> Cost:
    taken = Counter(device_of(slot) for slot in chosen)
    free = Counter(device_of(slot) for slot in available)
    used = sum((replicas - free[device_of(slot)]) for slot in chosen)
    return sum(count**2 for count in taken.values()), used


COSTS: Mapping[str, Callable[[Table, int, set[str], set[str], Iterable[str]], Cost]] = {
    "Packed": packed,
    "Aligned": aligned,
    "Distributed": distributed,
}


@pytest.mark.parametrize("policy", COSTS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_the_choice_is_as_good_as_the_best_of_all(policy: str, data: st.DataObject) -> None:
    places = st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from(["", "x", "y"]))
    found = data.draw(st.lists(places, min_size=1, max_size=6))
    replicas = data.draw(st.integers(1, 3))
    names = [f"d{number}" for number in range(len(found))]
    links = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(["", "l", "m"])))
    known = table(((name, *place) for name, place in zip(names, found, strict=True)), links)
    slots = [slot for name in known for slot in slot_ids(name, replicas)]
    available = data.draw(st.sets(st.sampled_from(slots), min_size=1, max_size=10))
    must = data.draw(st.sets(st.sampled_from(sorted(available)), max_size=3))
    size = data.draw(st.integers(max(1, len(must)), len(available)))

    chosen = preferred(policy, known, replicas, sorted(available), sorted(must), size)

    assert len(chosen) == len(set(chosen)) == size
    assert must <= set(chosen) <= available
    cost = COSTS[policy]
    rest = combinations(sorted(available - must), size - len(must))
    best = min(cost(known, replicas, available, must, must.union(more)) for more in rest)
    assert cost(known, replicas, available, must, chosen) == best


def test_aligned_takes_the_smallest_numa_node_that_holds_the_request() -> None:
    known = on_nodes((4, 0), (2, 1))
    assert preferred("Aligned", known, 1, known, [], 2) == ["b0", "b1"]
    assert preferred("Aligned", known, 1, known, [], 3) == ["a0", "a1", "a2"]
    assert preferred("Aligned", known, 1, known, ["a3"], 2) == ["a3", "a0"]


def test_aligned_keeps_to_one_pci_root_of_a_numa_node() -> None:
    known = table([("a", 0, "r0"), ("b", 0, "r1"), ("c", 0, "r1"), ("d", 0, "r2")])
    assert preferred("Aligned", known, 1, known, [], 2) == ["b", "c"]


def pairs() -> Table:
    """Two linked pairs on either NUMA node, and one device without links."""
    places = [("a", 0, "r0"), ("b", 1, "r1"), ("c", 0, "r0"), ("d", 1, "r1"), ("e", 0, "r0"), ("f", 1, "r2")]
    return table([*places, ("g", 0, "r0")], {"a": "l", "b": "l", "c": "m", "d": "m", "e": "n", "f": "n"})


def test_aligned_keeps_to_linked_devices_before_numa_nodes() -> None:
    known = pairs()
    assert preferred("Aligned", known, 1, known, [], 2) == ["a", "b"]
    assert preferred("Aligned", known, 1, known, ["d"], 2) == ["d", "c"]


def test_aligned_breaks_no_pair_for_a_single_device() -> None:
    known = pairs()
    assert preferred("Aligned", known, 1, known, [], 1) == ["g"]
    assert preferred("Aligned", known, 1, ["a", "b", "c"], [], 1) == ["c"]


def test_aligned_takes_of_equal_pairs_those_on_fewer_pci_roots() -> None:
    known = pairs()
    assert preferred("Aligned", known, 1, ["a", "b", "e", "f"], [], 2) == ["a", "b"]
    assert preferred("Aligned", known, 1, known, [], 4) == ["a", "c", "b", "d"]


def test_packed_fills_the_fullest_device_that_will_do() -> None:
    known = on_nodes((3, None))
    free = ["a0::0", "a0::1", "a0::2", "a0::3", "a1::1", "a1::2", "a1::3", "a2::3"]
    assert preferred("Packed", known, 4, free, [], 1) == ["a2::3"]
    assert preferred("Packed", known, 4, free, [], 2) == ["a1::1", "a1::2"]
    assert preferred("Packed", known, 4, free, [], 4) == ["a1::1", "a1::2", "a1::3", "a2::3"]


def test_distributed_takes_slots_of_the_least_used_devices() -> None:
    known = on_nodes((3, None))
    free = ["a0::1", "a0::2", "a1::0", "a1::1", "a1::2", "a2::0", "a2::1", "a2::2"]
    assert preferred("Distributed", known, 3, free, [], 2) == ["a1::0", "a2::0"]
    assert preferred("Distributed", known, 3, free, ["a1::0"], 2) == ["a1::0", "a2::0"]


@pytest.mark.parametrize("policy", COSTS)
def test_slots_that_are_not_known_any_more_are_no_reason_to_fail(policy: str) -> None:
    assert preferred(policy, {}, 1, ["x", "y"], ["y"], 2) == ["y", "x"]


@pytest.mark.parametrize("policy", COSTS)
def test_more_than_there_is_gives_all_there_is(policy: str) -> None:
    known = on_nodes((2, 0), (1, 1))
    assert sorted(preferred(policy, known, 1, known, [], 9)) == ["a0", "a1", "b0"]


@pytest.mark.parametrize("policy", COSTS)
@pytest.mark.parametrize("replicas", [1, 4])
def test_ten_thousand_slots_take_a_moment(policy: str, replicas: int) -> None:
    names = [f"d{number}" for number in range(10_000 // replicas)]
    known = table((name, number % 8, f"r{number % 64}") for number, name in enumerate(names))
    available = [slot for name in names for slot in slot_ids(name, replicas)]
    begun = time.process_time()
    assert len(preferred(policy, known, replicas, available, available[:2], 3000)) == 3000
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(("devices", "compared"), [(1, 256), (64, 256), (1000, 16), (32768, 1)])
def test_the_more_devices_there_are_the_fewer_sets_of_linked_ones_are_compared(devices: int, compared: int) -> None:
    assert choices(devices) == compared


def test_a_thousand_linked_devices_take_a_moment() -> None:
    names = [f"d{number}" for number in range(1000)]
    links = {name: f"g{number % 500}" for number, name in enumerate(names)}
    known = table(((name, number % 8, f"r{number % 64}") for number, name in enumerate(names)), links)
    begun = time.process_time()
    assert len(preferred("Aligned", known, 1, names, names[:2], 200)) == 200
    assert time.process_time() - begun < 1.0
