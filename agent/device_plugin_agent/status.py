"""From what is served to a NodeDevicePlugin's status. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from device_plugin_agent.agreement import Agreement
from device_plugin_agent.clock import timestamp
from device_plugin_agent.entry import Entry
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.registered import Registered
from device_plugin_api import conditions
from device_plugin_api.conditions import Condition
from device_plugin_api.config import DeviceCounts, SlotCounts
from device_plugin_api.node import (
    MAX_HOLDERS,
    MAX_LISTED_DEVICES,
    ContestedDevice,
    Device,
    DeviceState,
    NodeStatus,
    ResourceStatus,
)

MAX_BYTES = 1 << 20
"""Of a status as JSON: with the spec beside it, an object stays below the 1.5 MiB that etcd takes."""

_MAX_MESSAGE = 256

_PREVIEW = "not to be registered: the mode is Preview"


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One resource as it is served."""

    name: str
    inventory: Inventory
    registration: Registered
    draining: bool
    preview: bool
    cdi: bool
    cdi_trouble: str | None = None
    """Why its CDI spec could not be written."""


def node_status(
    offers: Sequence[Offer],
    contested: tuple[ContestedDevice, ...],
    agreement: Agreement,
    *,
    withheld: Mapping[str, str],
    revision: str,
    rejection: str | None,
    agent_version: str,
    known: Iterable[Condition],
    now: float,
) -> NodeStatus:
    """The whole status; of a node with very much to tell, as many of its devices as the API server takes.

    `known` are the conditions reported before, `now` is Unix time.
    `withheld` are resources that must not be registered, and who has them.
    """
    counts = DeviceCounts()
    for offer in offers:
        counts += offer.inventory.counts()
    wanted = [_accepted(rejection, now), _registered(offers, withheld, rejection, now)]
    if agreement.compared:
        wanted.append(_agrees(agreement, now))
    told = NodeStatus(
        observed_revision=revision,
        agent_version=agent_version,
        conditions=conditions.merge(known, wanted),
        counts=counts,
        contested_devices=contested,
    )
    most = MAX_LISTED_DEVICES
    while True:
        listed = (_resource(offer, most) for offer in sorted(offers, key=lambda offer: offer.name))
        told = replace(told, resources=tuple(listed))
        if not most or len(msgspec.json.encode(told)) <= MAX_BYTES:
            return told
        most //= 2


def _accepted(rejection: str | None, now: float) -> Condition:
    if rejection is None:
        return _condition(conditions.CONFIG_ACCEPTED, conditions.TRUE, "Accepted", "", now)
    message = f"{rejection}; the last accepted configuration goes on"
    return _condition(conditions.CONFIG_ACCEPTED, conditions.FALSE, "ConfigRejected", message, now)


def _agrees(agreement: Agreement, now: float) -> Condition:
    if not agreement.difference:
        return _condition(conditions.KUBELET_AGREES, conditions.TRUE, "Agrees", "", now)
    return _condition(conditions.KUBELET_AGREES, conditions.FALSE, "Disagrees", agreement.difference, now)


def _registered(offers: Sequence[Offer], withheld: Mapping[str, str], rejection: str | None, now: float) -> Condition:
    missing = [offer for offer in offers if not (offer.draining or offer.preview or offer.registration.now)]
    if missing:
        message = "; ".join(f"{offer.name}: {offer.registration.message}" for offer in missing)
        return _condition(conditions.REGISTERED, conditions.FALSE, "NotRegistered", message, now)
    unwritten = [offer for offer in offers if offer.cdi_trouble is not None]
    if unwritten:
        told = "; ".join(f"{offer.name}: {offer.cdi_trouble}" for offer in unwritten)
        message = f"{told}. What the CDI spec lacks is refused to containers until it can be written"
        return _condition(conditions.REGISTERED, conditions.FALSE, "CDISpecNotWritten", message, now)
    if not offers and rejection is not None:
        return _condition(conditions.REGISTERED, conditions.FALSE, "ConfigRejected", rejection, now)
    if withheld:
        told = "; ".join(f"{name} belongs to config {config} on this node" for name, config in sorted(withheld.items()))
        return _condition(conditions.REGISTERED, conditions.FALSE, conditions.NAME_TAKEN, told, now)
    if any(offer.preview for offer in offers):
        return _condition(conditions.REGISTERED, conditions.FALSE, conditions.PREVIEW_ONLY, _PREVIEW, now)
    return _condition(conditions.REGISTERED, conditions.TRUE, "AllRegistered", "", now)


def _condition(type_: str, status: str, reason: str, message: str, now: float) -> Condition:
    return Condition(
        type=type_, status=status, reason=reason, message=_cut(message, 1024), last_transition_time=timestamp(now)
    )


def _resource(offer: Offer, most: int) -> ResourceStatus:
    inventory = offer.inventory
    entries = inventory.entries
    listed = _listed(entries, most)
    return ResourceStatus(
        name=offer.name,
        registered=offer.registration.now,
        message=_PREVIEW if offer.preview else _cut(offer.registration.message, 512),
        last_registration_time=None if offer.registration.at is None else timestamp(offer.registration.at),
        cdi=offer.cdi,
        counts=inventory.counts(),
        slots=sum(map(inventory.slot_counts, entries.values()), SlotCounts()),
        devices=tuple(_device(entry, inventory) for entry in listed),
        devices_truncated=len(listed) < len(entries),
        candidates=inventory.steps,
    )


def _listed(entries: Mapping[str, Entry], most: int) -> list[Entry]:
    """All, or when there are too many the troubled and allocated ones before the others; sorted by ID."""
    dull = sorted(
        entries.values(),
        key=lambda entry: (entry.track.state is DeviceState.HEALTHY, not entry.use, entry.device.id),
    )
    return sorted(dull[:most], key=lambda entry: entry.device.id)


def _device(entry: Entry, inventory: Inventory) -> Device:
    return Device(
        id=entry.device.id,
        path=_cut(entry.device.path, 256),
        state=entry.track.state,
        reason=entry.track.reason,
        message=_cut(entry.track.message, _MAX_MESSAGE),
        last_transition_time=timestamp(entry.track.since),
        numa_node=entry.device.numa_node,
        attributes={key: _cut(value, 256) for key, value in entry.device.attributes.items()},
        allocated_to=entry.holders[:MAX_HOLDERS],
        slots=inventory.slot_counts(entry) if inventory.replicas > 1 else None,
    )


def _cut(text: str, most: int) -> str:
    """What the API server takes. A name on the host may be no Unicode, and JSON has no place for that."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= most else f"{text[: most - 1]}…"
