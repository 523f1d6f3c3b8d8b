"""How old a statement is: seconds since the youngest facts that it fits. Pure.

One that follows the truth at a distance is as old as that distance, however fast the truth changes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from chaos_bed.counts import NONE, Bounds, counted, plus, within
from chaos_bed.facts import Fact, Node

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
    """What may be counted on each node, at one sample."""

    clock: float
    nodes: Mapping[str, Mapping[str, Bounds]]


def sums(fact: Fact) -> Sums:
    """From all that is true."""
    return Sums(clock=fact.clock, nodes={name: counted(node) for name, node in fact.nodes.items()})


def age_of_count(past: Sequence[Sums], node: str, count: str, number: int) -> float:
    """Of a count of one node."""
    for then in reversed(past):
        old = past[-1].clock - then.clock
        if old > _LONGEST:
            break
        if within(number, then.nodes[node].get(count, NONE)):
            return old
    return NEVER


def age_of_sum(past: Sequence[Sums], about: Sequence[str], fits: Callable[[Mapping[str, Bounds]], bool]) -> float:
    """Of a statement about all nodes together, which follows from these counts.

    It may know of each as it was at another time: what counts may be widens, node by node, with each step back.
    """
    widest: dict[str, list[Bounds]] = {count: [] for count in about}
    for then in reversed(past):
        old = past[-1].clock - then.clock
        if old > _LONGEST:
            break
        for count, known in widest.items():
            of_nodes = [each.get(count, NONE) for each in then.nodes.values()]
            widest[count] = list(map(_wider, known, of_nodes)) if known else of_nodes
        if fits({count: reduce(plus, known, NONE) for count, known in widest.items()}):
            return old
    return NEVER


def _wider(one: Bounds, other: Bounds) -> Bounds:
    return min(one[0], other[0]), max(one[1], other[1])
