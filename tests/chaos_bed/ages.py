"""How old a statement is: seconds since the youngest facts that it fits. Pure.

One that follows the truth at a distance is as old as that distance, however fast the truth changes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaos_bed.facts import Fact, Node
from chaos_bed.statements import COUNTS, Bounds, bounds

NEVER = float("inf")

_LONGEST = 15.0
"""Seconds that are looked back: far more than is promised of anything that has an age."""


def age(past: Sequence[Fact], node: str, fits: Callable[[Node], bool]) -> float:
    """Of a statement about one node."""
    for fact in reversed(past):
        old = past[-1].clock - fact.clock
        if old > _LONGEST:
            break
        if fits(fact.nodes[node]):
            return old
    return NEVER


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What each node's devices may be counted as, at one sample."""

    clock: float
    nodes: Mapping[str, Mapping[str, Bounds]]


def sums(fact: Fact) -> Sums:
    """From all that is true."""
    nodes = {name: {count: bounds(node, count) for count in COUNTS} for name, node in fact.nodes.items()}
    return Sums(clock=fact.clock, nodes=nodes)


def age_of_sum(past: Sequence[Sums], fits: Callable[[Mapping[str, Bounds]], bool]) -> float:
    """Of a statement about all nodes together.

    It may know of each as it was at another time: what counts may be widens, node by node, with each step back.
    """
    widest = past[-1].nodes
    for then in reversed(past):
        old = past[-1].clock - then.clock
        if old > _LONGEST:
            break
        widest = {
            name: {count: _wider(known[count], then.nodes[name][count]) for count in COUNTS}
            for name, known in widest.items()
        }
        if fits({count: _sum(known[count] for known in widest.values()) for count in COUNTS}):
            return old
    return NEVER


def _wider(one: Bounds, other: Bounds) -> Bounds:
    return min(one[0], other[0]), max(one[1], other[1])


def _sum(all_: Iterable[Bounds]) -> Bounds:
    least = most = 0
    for low, high in all_:
        least, most = least + low, most + high
    return least, most
