"""The fleet of one config, counted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from device_plugin_api.config import ConfigSpec, DeviceCounts, NodeCounts, ResourceSummary, SlotCounts
from device_plugin_operator.facts import NONE_CALM, Calm, NodeObject
from device_plugin_operator.plan.agents import Agent

_MAX_RESOURCES = 16


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The numbers of a config's status."""

    nodes: NodeCounts
    devices: DeviceCounts
    resources: tuple[ResourceSummary, ...]


def counts(told: DeviceCounts, agent: Agent) -> DeviceCounts:
    """What an agent told, as far as it can still be known: of a silent one's devices only that there are some."""
    if not agent.silent:
        return told
    return DeviceCounts(total=told.total, unknown=told.total, allocated=told.allocated)


def summarize(
    spec: ConfigSpec | None,
    revision: str,
    nodes: Mapping[str, NodeObject],
    agents: Mapping[str, Agent],
    desired: int,
    calm: Calm = NONE_CALM,
) -> Summary:
    """Everything counted once."""
    devices = calm.devices
    totals: dict[str, DeviceCounts] = {resource.name: DeviceCounts() for resource in spec.resources} if spec else {}
    slots: dict[str, SlotCounts] = {}
    offering: dict[str, int] = {}
    for known in calm.resources:
        totals[known.name], slots[known.name], offering[known.name] = known.devices, known.slots, known.nodes
    ready = updated = calm.nodes
    for node, found in nodes.items():
        agent = agents[node]
        devices += counts(found.counts, agent)
        for offer in found.offers:
            seen = counts(offer.counts, agent)
            totals[offer.resource] = totals.get(offer.resource, DeviceCounts()) + seen
            slots[offer.resource] = slots.get(offer.resource, SlotCounts()) + offer.slots
            offering[offer.resource] = offering.get(offer.resource, 0) + (seen.total > 0 and not agent.silent)
        ready += is_ready(found, agent)
        updated += is_updated(found, agent, revision)
    return Summary(
        nodes=NodeCounts(desired=desired, ready=ready, updated=updated),
        devices=devices,
        resources=tuple(
            ResourceSummary(
                name=name,
                nodes=offering.get(name, 0),
                devices=totals[name],
                slots=slots.get(name, SlotCounts()),
            )
            for name in _in_order(totals, spec)
        )[:_MAX_RESOURCES],
    )


def is_ready(found: NodeObject, agent: Agent) -> bool:
    """Its agent runs, has a configuration, and every resource of it is registered."""
    return agent.ready and found.observed_revision != "" and not found.withheld


def is_updated(found: NodeObject, agent: Agent, revision: str) -> bool:
    """Its agent runs the current revision."""
    return not agent.silent and found.observed_revision == (revision or found.revision)


def _in_order(totals: Iterable[str], spec: ConfigSpec | None) -> list[str]:
    """As in the spec; then those that are still draining."""
    wanted = [resource.name for resource in spec.resources] if spec else []
    return wanted + sorted(name for name in totals if name not in wanted)
