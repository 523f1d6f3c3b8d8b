"""Agent pods and NodeDevicePlugins, from JSON to facts: there are thousands of them, so only what is needed."""

import sys
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from device_plugin_api import conditions
from device_plugin_api.config import MAX_PROBLEMS, SERVE, DeviceCounts, SlotCounts
from device_plugin_api.group import CONFIG_LABEL, TRIAL_ANNOTATION
from device_plugin_api.node import CordonedDevice, WithheldResource
from device_plugin_operator.decode import Object, Wire, version_of
from device_plugin_operator.facts import NODE_UNREACHABLE, AgentPod, NodeObject, Offer, Trial, Trouble, Verdict
from device_plugin_operator.plan import revision

_UNTROUBLED = ("Healthy", "Cordoned")
_HEALTHY, _UNHEALTHY = "Healthy", "Unhealthy"


class _Condition(Wire, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class _NodeSpec(Wire, frozen=True):
    config_name: str
    node_name: str
    resources: Raw = Raw(b"[]")
    cordoned_devices: tuple[CordonedDevice, ...] = ()
    withheld_resources: tuple[WithheldResource, ...] = ()
    cdi: bool = False
    mode: str = SERVE
    revision: str = ""
    config_uid: str = msgspec.field(name="configUID", default="")
    node_uid: str = msgspec.field(name="nodeUID", default="")
    config_creation_time: str = ""


class _Device(Wire, frozen=True):
    id: str
    state: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class _Resource(Wire, frozen=True):
    name: str
    registered: bool = False
    counts: DeviceCounts = DeviceCounts()
    slots: SlotCounts = SlotCounts()
    devices: tuple[_Device, ...] = ()
    devices_truncated: bool = False


class _NodeStatus(Wire, frozen=True):
    observed_revision: str = ""
    conditions: tuple[_Condition, ...] = ()
    counts: DeviceCounts = DeviceCounts()
    resources: tuple[_Resource, ...] = ()


def node_object(content: bytes | Raw) -> NodeObject:
    """A NodeDevicePlugin. Raises msgspec.ValidationError when even its spec is none."""
    raw = msgspec.json.decode(content, type=Object)
    spec = msgspec.json.decode(raw.spec, type=_NodeSpec)
    readable = True
    try:
        status = msgspec.json.decode(raw.status, type=_NodeStatus)
    except msgspec.ValidationError:
        status, readable = _NodeStatus(), False
    troubles, more = _troubles(status.resources)
    agrees = _verdict(status.conditions, conditions.KUBELET_AGREES)
    return NodeObject(
        name=raw.metadata.name,
        uid=raw.metadata.uid,
        version=version_of(raw.metadata),
        created=raw.metadata.creation_timestamp,
        terminating=raw.metadata.deletion_timestamp is not None,
        config=spec.config_name,
        config_uid=spec.config_uid,
        node=spec.node_name,
        node_uid=spec.node_uid,
        revision=spec.revision if revision.of_json(bytes(spec.resources), spec.mode) == spec.revision else "",
        observed_revision=status.observed_revision,
        registered=_registered(status.conditions),
        accepted=_verdict(status.conditions, conditions.CONFIG_ACCEPTED),
        disagrees=agrees if agrees is not None and not agrees.holds else None,
        counts=status.counts,
        offers=tuple(_offer(resource) for resource in status.resources),
        troubles=troubles,
        more_troubles=more,
        cordoned=spec.cordoned_devices,
        cdi=spec.cdi,
        trial=_trial((raw.metadata.annotations or {}).get(TRIAL_ANNOTATION)),
        readable=readable,
        config_created=sys.intern(spec.config_creation_time),
        mode=sys.intern(spec.mode),
        resources=revision.names_in_json(bytes(spec.resources)),
        withheld=spec.withheld_resources,
    )


def _verdict(found: tuple[_Condition, ...], type_: str) -> Verdict | None:
    for condition in found:
        if condition.type == type_:
            return Verdict(condition.status == "True", condition.message, condition.last_transition_time or "")
    return None


def _registered(found: tuple[_Condition, ...]) -> Verdict | None:
    """Whether all that shall be is registered."""
    told = _verdict(found, conditions.REGISTERED)
    reasons = {condition.reason for condition in found if condition.type == conditions.REGISTERED}
    if told is not None and reasons & {conditions.PREVIEW_ONLY, conditions.NAME_TAKEN}:
        return Verdict(True, told.message, told.since)
    return told


def _offer(resource: _Resource) -> Offer:
    # Thousands of nodes name their devices alike.
    healthy = tuple(sys.intern(device.id) for device in resource.devices if device.state == _HEALTHY)
    return Offer(sys.intern(resource.name), resource.counts, resource.slots, healthy, resource.registered)


def _trial(text: str | None) -> Trial | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Trial)
    except msgspec.DecodeError:
        return None  # written by somebody else: there is nothing to hold against the revision


def _troubles(resources: tuple[_Resource, ...]) -> tuple[tuple[Trouble, ...], bool]:
    found = [
        Trouble(resource.name, device.id, device.state, device.reason, device.message, device.last_transition_time)
        for resource in resources
        for device in resource.devices
        if device.state not in _UNTROUBLED
    ]
    found.sort(key=lambda trouble: (trouble.state != _UNHEALTHY, trouble.resource, trouble.device))
    total = sum(resource.counts.unhealthy + resource.counts.unknown for resource in resources)
    return tuple(found[:MAX_PROBLEMS]), total > min(len(found), MAX_PROBLEMS)


class _NodeFields(Wire, frozen=True):
    key: str
    values: tuple[str, ...] = ()


class _Term(Wire, frozen=True):
    match_fields: tuple[_NodeFields, ...] = ()


class _Required(Wire, frozen=True):
    node_selector_terms: tuple[_Term, ...] = ()


class _NodeAffinity(Wire, frozen=True):
    required_during_scheduling_ignored_during_execution: _Required = _Required()


class _Affinity(Wire, frozen=True):
    node_affinity: _NodeAffinity = _NodeAffinity()


class _PodSpec(Wire, frozen=True):
    node_name: str = ""
    affinity: _Affinity = _Affinity()


class _Waiting(Wire, frozen=True):
    reason: str = ""
    message: str = ""


class _ContainerState(Wire, frozen=True):
    waiting: _Waiting | None = None


class _Container(Wire, frozen=True):
    state: _ContainerState = _ContainerState()


class _PodStatus(Wire, frozen=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[_Condition, ...] = ()
    container_statuses: tuple[_Container, ...] = ()


def agent_pod(content: bytes | Raw) -> AgentPod:
    """A pod of a DaemonSet of ours."""
    raw = msgspec.json.decode(content, type=Object)
    spec = msgspec.json.decode(raw.spec, type=_PodSpec)
    status = msgspec.json.decode(raw.status, type=_PodStatus)
    by_type = {condition.type: condition for condition in status.conditions}
    ready = by_type.get("Ready")
    reason, message = _why(status, by_type)
    return AgentPod(
        name=raw.metadata.name,
        uid=raw.metadata.uid,
        version=version_of(raw.metadata),
        created=raw.metadata.creation_timestamp,
        terminating=raw.metadata.deletion_timestamp is not None,
        config=(raw.metadata.labels or {}).get(CONFIG_LABEL, ""),
        node=spec.node_name or _meant_for(spec.affinity),
        bound=bool(spec.node_name),
        ready=ready is not None and ready.status == "True",
        since=(ready.last_transition_time if ready else None) or raw.metadata.creation_timestamp,
        reason=reason,
        message=message[:256],
    )


def _meant_for(affinity: _Affinity) -> str:
    """The DaemonSet controller says by a field of the affinity which node a pod is for."""
    for term in affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms:
        for requirement in term.match_fields:
            if requirement.key == "metadata.name" and requirement.values:
                return requirement.values[0]
    return ""


def _why(status: _PodStatus, by_type: Mapping[str, _Condition]) -> tuple[str, str]:
    ready, containers, scheduled = (by_type.get(name) for name in ("Ready", "ContainersReady", "PodScheduled"))
    # The kubelet says why a pod is not ready; Kubernetes' node controller takes the word Ready from it without one.
    if ready and containers and (ready.status, ready.reason, containers.status) == ("False", "", "True"):
        return NODE_UNREACHABLE, "its node does not answer Kubernetes any more: kubectl describe node"
    if status.reason:
        return status.reason, status.message
    for container in status.container_statuses:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason:
            return waiting.reason, waiting.message
    if scheduled is not None and scheduled.status == "False":
        return scheduled.reason, scheduled.message
    return "", ""
