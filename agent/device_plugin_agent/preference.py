"""Which of the free slots a container gets. Pure."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, islice
from typing import TypeVar

import msgspec

from device_plugin_agent.entry import Entry
from device_plugin_agent.slots import device_of

PCI_ROOT = "pciRoot"
"""The attribute of a device that names the PCI root it hangs on."""

NVLINK_GROUP = "nvlinkGroup"
"""The attribute that devices have in common which reach each other by links of their own."""

_MOST_CHOICES = 256
"""Sets of NUMA nodes, or of groups of linked devices, that are compared: all there are of up to nine."""

_MOST_COMPARED = 16384
"""Devices in all the sets of groups that are compared: the kubelet admits no other pod meanwhile (R10)."""

Root = tuple[int | None, str]
"""NUMA node and PCI root: where a device hangs, as far as is known."""


class _Offer(msgspec.Struct, kw_only=True):
    """One device in a request."""

    device: str
    root: Root
    linked: str
    """The group of linked devices that it is in; empty when it is in none."""
    replicas: int
    must: int = 0
    free: list[str] = msgspec.field(default_factory=list)
    """Free slots beside those that must be included."""

    @property
    def used(self) -> int:
        """Slots that other containers have."""
        return self.replicas - self.must - len(self.free)


_Item = TypeVar("_Item")

_Fill = Callable[[Sequence[_Offer], int], list[str]]


def preferred(
    policy: str,
    entries: Mapping[str, Entry],
    replicas: int,
    available: Iterable[str],
    must_include: Iterable[str],
    size: int,
) -> list[str]:
    """`size` slots: those that must be included, first, and the best of the available ones by the policy."""
    chosen = list(dict.fromkeys(must_include))
    offers: dict[str, _Offer] = {}
    for slot_id in chosen:
        _offer(offers, entries, replicas, slot_id).must += 1
    for slot_id in sorted(set(available).difference(chosen)):
        _offer(offers, entries, replicas, slot_id).free.append(slot_id)
    fill = _POLICIES.get(policy, _aligned)
    return chosen + fill(sorted(offers.values(), key=lambda offer: offer.device), max(0, size - len(chosen)))


def _offer(offers: dict[str, _Offer], entries: Mapping[str, Entry], replicas: int, slot_id: str) -> _Offer:
    device_id = device_of(slot_id)
    if device_id not in offers:
        entry = entries.get(device_id)
        attributes = {} if entry is None else entry.device.attributes
        offers[device_id] = _Offer(
            device=device_id,
            root=(None if entry is None else entry.device.numa_node, attributes.get(PCI_ROOT, "")),
            linked=attributes.get(NVLINK_GROUP, ""),
            replicas=replicas,
        )
    return offers[device_id]


def _packed(offers: Sequence[_Offer], need: int) -> list[str]:
    """As few devices that nobody uses as can be; then as few devices as can be."""
    chosen = _slots((offer for offer in offers if offer.must), need)
    missing = need - len(chosen)
    used = [offer for offer in offers if not offer.must and offer.used]
    fresh = sorted((offer for offer in offers if not offer.must and not offer.used), key=_free, reverse=True)
    opened = len(_fewest(fresh, _free, missing - sum(map(_free, used))))
    from_used = missing - sum(map(_free, fresh[:opened]))
    chosen += _slots(_fewest(used, _free, from_used), from_used)
    missing = need - len(chosen)
    return chosen + _slots(_fewest(fresh, _free, missing), missing)


def _distributed(offers: Sequence[_Offer], need: int) -> list[str]:
    """Of each device as little as can be; of equals the least used."""
    waiting = [(offer.must, offer.used, offer.device, 0, offer.free) for offer in offers if offer.free]
    heapq.heapify(waiting)
    chosen: list[str] = []
    while waiting and len(chosen) < need:
        taken, used, device, next_, free = waiting[0]
        chosen.append(free[next_])
        if next_ + 1 < len(free):
            heapq.heapreplace(waiting, (taken + 1, used, device, next_ + 1, free))
        else:
            heapq.heappop(waiting)
    return chosen


def _aligned(offers: Sequence[_Offer], need: int) -> list[str]:
    """As few groups of linked devices as can be, then NUMA nodes, then PCI roots; what stays free stays together."""
    return min((_by_root(linked, need) for linked in _linked(offers, need)), key=lambda choice: choice[0])[1]


def _linked(offers: Sequence[_Offer], need: int) -> Iterable[Sequence[_Offer]]:
    """The smallest sets of groups that hold the request; a device without links is a group of its own."""
    if not any(offer.linked for offer in offers):
        return [offers]
    names = {offer.device: offer.linked or offer.device for offer in offers}
    room: dict[str, int] = {}
    for offer in offers:
        room[names[offer.device]] = room.get(names[offer.device], 0) + _free(offer)
    begun = {names[offer.device] for offer in offers if offer.must}
    others = sorted(room.keys() - begun, key=lambda name: (-room[name], name))
    sets = _smallest_sets(others, room.__getitem__, need - sum(room[name] for name in begun))[: choices(len(offers))]
    return [[offer for offer in offers if names[offer.device] in begun.union(more)] for more in sets]


def choices(devices: int) -> int:
    """How many sets of groups are compared where there are so many devices."""
    return max(1, min(_MOST_CHOICES, _MOST_COMPARED // devices))


def _by_root(offers: Sequence[_Offer], need: int) -> tuple[tuple[int, ...], list[str]]:
    """As few NUMA nodes as can be, then as few PCI roots; packed below that. Before it, how good that is: less is."""
    roots: dict[Root, list[_Offer]] = {}
    for offer in offers:
        roots.setdefault(offer.root, []).append(offer)
    room = {root: sum(map(_free, there)) for root, there in roots.items()}
    begun = {offer.root for offer in offers if offer.must}
    best, left = min(
        (_roots_of(nodes, begun, room, need) for nodes in _node_sets(begun, room, need)),
        key=lambda choice: (len(choice[0]), choice[1]),
    )
    chosen: list[str] = []
    for root in best:
        chosen += _packed(roots[root], min(need - len(chosen), room[root]))
    return (len({node for node, _ in best}), len(best), sum(room.values()), left), chosen


def _node_sets(begun: set[Root], room: Mapping[Root, int], need: int) -> Iterable[set[int | None]]:
    """The smallest sets of NUMA nodes that hold the request; those that hold most come first."""
    nodes = {node for node, _ in begun}
    sizes: dict[int | None, int] = {}
    for (node, _), free in room.items():
        sizes[node] = sizes.get(node, 0) + free
    missing = need - sum(sizes[node] for node in nodes)
    by_size = sorted(sizes.keys() - nodes, key=lambda node: (-sizes[node], node is None, node or 0))
    return [nodes.union(more) for more in _smallest_sets(by_size, sizes.__getitem__, missing)]


def _smallest_sets(by_size: Sequence[_Item], size: Callable[[_Item], int], need: int) -> list[tuple[_Item, ...]]:
    """The sets of as few items as can be that together hold so much; all items when even they do not."""
    sets = islice(combinations(by_size, len(_fewest(by_size, size, need))), _MOST_CHOICES)
    return [more for more in sets if sum(map(size, more)) >= need] or [tuple(by_size)]


def _roots_of(nodes: set[int | None], begun: set[Root], room: Mapping[Root, int], need: int) -> tuple[list[Root], int]:
    """The fewest PCI roots of these NUMA nodes that hold the request, and how much room the nodes have."""
    there = sorted(
        (root for root in room if root[0] in nodes), key=lambda root: (root[0] is None, root[0] or 0, root[1])
    )
    first = [root for root in there if root in begun]
    missing = need - sum(room[root] for root in first)
    others = [root for root in there if root not in begun]
    return first + _fewest(others, room.__getitem__, missing), sum(room[root] for root in there)


def _fewest(items: Iterable[_Item], size: Callable[[_Item], int], need: int) -> list[_Item]:
    """The fewest that together hold so much, and as the last of them the smallest that will do."""
    by_size = sorted(items, key=size, reverse=True)
    chosen: list[_Item] = []
    for index, item in enumerate(by_size):
        if need <= 0:
            break
        if size(item) >= need:
            return [*chosen, min(by_size[index:], key=lambda item: (size(item) < need, size(item)))]
        chosen.append(item)
        need -= size(item)
    return chosen


def _free(offer: _Offer) -> int:
    return len(offer.free)


def _slots(offers: Iterable[_Offer], most: int) -> list[str]:
    return list(islice((slot_id for offer in offers for slot_id in offer.free), max(0, most)))


_POLICIES: Mapping[str, _Fill] = {"Aligned": _aligned, "Packed": _packed, "Distributed": _distributed}
