"""Which devices a container gets: devicesToAllocate of devicemanager/manager.go, without its I/O."""

import random
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field


class ChoiceError(Exception):
    """No devices for this container, in the kubelet's words."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A container's request for one resource, and all that the choice depends on."""

    resource: str
    size: int
    healthy: frozenset[str] | None
    """None: nobody registered the resource."""
    in_use: frozenset[str] = frozenset()
    assigned: frozenset[str] | None = None
    """What this very container has already; None: nothing yet."""
    reusable: frozenset[str] = frozenset()
    """What ordinary init containers of the pod have left."""
    numa_nodes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    affinity: frozenset[int] | None = None
    """The topology manager's hint; None under its policy "none"."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A question for the plugin: GetPreferredAllocation's request."""

    available: frozenset[str]
    must_include: frozenset[str]
    size: int


@dataclass(frozen=True, kw_only=True)
class Split:
    """The free devices by their place."""

    aligned: frozenset[str]
    unaligned: frozenset[str]
    without_topology: frozenset[str]


Choosing = Generator[Ask, Collection[str], frozenset[str]]
"""Yields at most one question, is sent the answer (empty: no preference), returns the devices to allocate."""


def by_affinity(
    available: frozenset[str], numa_nodes: Mapping[str, tuple[int, ...]], affinity: frozenset[int] | None
) -> Split:
    """filterByAffinity: without a hint, or without any topology in the resource, all are without topology."""
    if affinity is None or not any(numa_nodes.values()):
        return Split(aligned=frozenset(), unaligned=frozenset(), without_topology=available)
    placed = frozenset(device for device in available if numa_nodes.get(device))
    aligned = frozenset(device for device in placed if affinity.intersection(numa_nodes[device]))
    return Split(aligned=aligned, unaligned=placed - aligned, without_topology=available - placed)


def choose(wanted: Wanted, rng: random.Random) -> Choosing:
    """DevicesToAllocate. An empty answer means that the container has what it wants already."""
    already = _checked(wanted)
    if already is not None:
        return already
    chosen: set[str] = set()

    def take(devices: Collection[str]) -> bool:
        left = sorted(set(devices) - chosen)
        chosen.update(rng.sample(left, min(wanted.size - len(chosen), len(left))))
        return len(chosen) == wanted.size

    if take(wanted.reusable):
        return frozenset(chosen)
    available = (wanted.healthy or frozenset()) - wanted.in_use
    needed = wanted.size - len(chosen)
    if len(available) < needed:
        raise ChoiceError(
            f"requested number of devices unavailable for {wanted.resource}. "
            f"Requested: {needed}, Available: {len(available)}"
        )
    split = by_affinity(available, wanted.numa_nodes, wanted.affinity)
    if needed < len(split.aligned):
        preferred = yield Ask(available=split.aligned | chosen, must_include=frozenset(chosen), size=wanted.size)
        _ = take(split.aligned.intersection(preferred)) or take(split.aligned)
        return frozenset(chosen)
    if take(split.aligned):
        return frozenset(chosen)
    preferred = yield Ask(available=available | chosen, must_include=frozenset(chosen), size=wanted.size)
    _ = take(available.intersection(preferred)) or take(split.unaligned) or take(split.without_topology)
    return frozenset(chosen)


def _checked(wanted: Wanted) -> frozenset[str] | None:
    """What comes before any choice: an error, or nothing to do; None: go on."""
    assigned = wanted.assigned or frozenset()
    if assigned and len(assigned) != wanted.size:
        raise ChoiceError(f"the request for resource {wanted.resource} changed from {len(assigned)} to {wanted.size}")
    if wanted.healthy is None:
        raise ChoiceError(f"cannot allocate unregistered device {wanted.resource}")
    if not wanted.healthy:
        raise ChoiceError(f"no healthy devices present; cannot allocate unhealthy devices {wanted.resource}")
    if not assigned <= wanted.healthy:
        raise ChoiceError(
            f"previously allocated devices are no longer healthy; cannot allocate unhealthy devices {wanted.resource}"
        )
    return frozenset() if assigned or not wanted.size else None
