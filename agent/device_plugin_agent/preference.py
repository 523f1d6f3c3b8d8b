"""Which of the free slots a container gets. Pure."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import TypeVar

from device_plugin_agent.inventory import Entry
from device_plugin_agent.slots import device_of

PCI_ROOT = "pciRoot"
"""The attribute of a device that names the PCI root it hangs on."""

_MOST_CHOICES = 256
"""Sets of NUMA nodes that are compared: all there are with up to nine nodes."""

Root = tuple[int | None, str]
"""NUMA node and PCI root: where a device hangs, as far as is known."""


@dataclass(kw_only=True)
class _Offer:
    """One device in a request."""

    device: str
    root: Root
    replicas: int
    must: int = 0
    free: list[str] = field(default_factory=list)
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
        root = (None, "") if entry is None else (entry.device.numa_node, entry.device.attributes.get(PCI_ROOT, ""))
        offers[device_id] = _Offer(device=device_id, root=root, replicas=replicas)
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
    """As few NUMA nodes as can be, then as few PCI roots; what stays free stays together. Packed below that."""
    roots: dict[Root, list[_Offer]] = {}
    for offer in offers:
        roots.setdefault(offer.root, []).append(offer)
    room = {root: sum(map(_free, there)) for root, there in roots.items()}
    begun = {offer.root for offer in offers if offer.must}
    best = min(
        (_roots_of(nodes, begun, room, need) for nodes in _node_sets(begun, room, need)),
        key=lambda choice: (len(choice[0]), choice[1]),
    )[0]
    chosen: list[str] = []
    for root in best:
        chosen += _packed(roots[root], min(need - len(chosen), room[root]))
    return chosen


def _node_sets(begun: set[Root], room: Mapping[Root, int], need: int) -> Iterable[set[int | None]]:
    """The smallest sets of NUMA nodes that hold the request; those that hold most come first."""
    nodes = {node for node, _ in begun}
    sizes: dict[int | None, int] = {}
    for (node, _), free in room.items():
        sizes[node] = sizes.get(node, 0) + free
    missing = need - sum(sizes[node] for node in nodes)
    by_size = sorted(sizes.keys() - nodes, key=lambda node: (-sizes[node], node is None, node or 0))
    count = len(_fewest(by_size, sizes.__getitem__, missing))
    sets = islice(combinations(by_size, count), _MOST_CHOICES)
    held = [more for more in sets if sum(sizes[node] for node in more) >= missing]
    return [nodes.union(more) for more in held or [tuple(by_size)]]


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
