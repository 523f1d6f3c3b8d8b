"""What it takes to serve a resource, decided before anything is touched."""

from collections.abc import Mapping

import msgspec
from msgspec import structs
from msgspec.structs import replace

from device_plugin_agent.clock import Clock
from device_plugin_agent.health.probes import FPGA_PORT, LINK, Polled, polled
from device_plugin_agent.sources import Discovery, HostView, source_for
from device_plugin_agent.sources.fence import Fenced
from device_plugin_agent.sources.selection import MAX_DROPPED_SHOWN
from device_plugin_api import checks
from device_plugin_api.config import SERVE
from device_plugin_api.node import NodeSpec, SelectionStep
from device_plugin_api.resource import Probe, Resource
from device_plugin_api.rules import MAX_SLOTS
from device_plugin_api.sources import Source as ResourceSource


class Rejected(ValueError):
    """A configuration that cannot be served; the text names the resource and what is wrong."""


class Prepared(msgspec.Struct, frozen=True):
    """A resource that passed every check, and what looks at its devices."""

    resource: Resource
    source: Fenced
    probes: Mapping[Probe, Polled]


def prepare(resource: Resource, host: HostView, clock: Clock) -> Prepared:
    """Check a resource; raises Rejected."""
    wrong = "; ".join(checks.problems(resource))
    if wrong:
        raise Rejected(f"{resource.name}: {wrong}")
    resource = with_own_probe(resource)
    try:
        return Prepared(resource, source_for(resource, host, clock), polled(resource.health, host, clock))
    except ValueError as error:
        raise Rejected(f"{resource.name}: {error}") from None


def withheld(spec: NodeSpec) -> dict[str, str]:
    """The resources that must not be registered, and the configs that have them on this node."""
    return {each.name: each.config for each in spec.withheld_resources} if spec.mode == SERVE else {}


def with_own_probe(resource: Resource) -> Resource:
    """With what devices of its kind are always looked at for."""
    own = _own_probe(resource.source)
    if own is None or any(probe.type == own.type for probe in resource.health.probes):
        return resource
    return structs.replace(resource, health=structs.replace(resource.health, probes=(*resource.health.probes, own)))


def _own_probe(source: ResourceSource) -> Probe | None:
    if source.network is not None and not source.network.ignore_link:
        return LINK
    return FPGA_PORT if source.fpga is not None else None


def without_taken(discovery: Discovery, taken: Mapping[str, str]) -> Discovery:
    """Leave out devices that an earlier resource of the configuration offers: one device, one resource."""
    dropped = {}
    for found in discovery.candidates:
        names = [taken[mark] for mark in sorted(found.marks) if mark in taken]
        if names:
            dropped[found.id] = f"offered as {names[0]}"
    return _without(discovery, dropped, "not offered by an earlier resource")


def without_surplus(discovery: Discovery, replicas: int) -> Discovery:
    """Leave out what the kubelet's list has no room for: all would be lost with a list that it does not take."""
    most = MAX_SLOTS // replicas
    if len(discovery.candidates) <= most:
        return discovery
    surplus = sorted(found.id for found in discovery.candidates)[most:]
    why = f"the kubelet takes at most {MAX_SLOTS} slots of one resource"
    return _without(discovery, dict.fromkeys(surplus, why), "within the kubelet's limit")


def without_held(discovery: Discovery, held: Mapping[str, str]) -> Discovery:
    """Leave out devices that a container has by another name. `held`: ID → why."""
    return _without(discovery, held, "not with a container by another name")


def without_claimed(discovery: Discovery, withheld: Mapping[str, str]) -> Discovery:
    """Leave out devices that belong to another config of this node. `withheld`: ID → why."""
    left = _without(discovery, withheld, "not claimed by another config")
    return replace(left, withheld=withheld)


def _without(discovery: Discovery, dropped: Mapping[str, str], step: str) -> Discovery:
    kept = tuple(found for found in discovery.candidates if found.id not in dropped)
    if len(kept) == len(discovery.candidates):
        return discovery
    shown = [f"{found.path or found.id}: {dropped[found.id]}" for found in discovery.candidates if found.id in dropped]
    last = SelectionStep(step=step, kept=len(kept), dropped=tuple(shown[:MAX_DROPPED_SHOWN]))
    return replace(discovery, candidates=kept, steps=(*discovery.steps, last))
