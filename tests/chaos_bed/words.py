"""Which conditions fit which facts: those of a config, and those of a NodeDevicePlugin. Pure."""

from collections.abc import Mapping

from chaos_bed.counts import DESIRED, READY, UPDATED, Bounds
from chaos_bed.facts import Mode, Node
from chaos_bed.samples import Report, Said

TYPES = ("Ready", "Progressing", "Degraded")
"""The conditions that a config always has."""

ABOUT = ("unhealthy", "unknown", DESIRED, READY, UPDATED)
"""The counts that they follow from."""

_READY = {"AllNodesReady", "SomeUnhealthy"}
_PROGRESSING = {"Starting", "RolloutInProgress"}
_DEGRADED = {"SomeUnhealthy", "KubeletDisagrees", "RolloutPaused", "AgentsUnavailable"}
"""Reasons of Ready with which each is True, as docs/architecture.md and docs/gitops.md have them. With those of
Progressing, Degraded is as the devices are."""


def status_fits(reason: str, counts: Mapping[str, Bounds]) -> bool:
    """The word in STATUS."""
    match reason:
        case "AllNodesReady":
            return counts["unhealthy"][0] == 0 and _maybe_settled(counts)
        case "SomeUnhealthy":
            return _maybe_troubled(counts) and _maybe_settled(counts)
        case "AgentsUnavailable":
            # Some node is not known, and then none of its devices has to be.
            return counts["unknown"][1] > 0
        case "Starting" | "RolloutInProgress" | "RolloutPaused" | "KubeletDisagrees":
            # Steps on the way: for as long as something may be on its way.
            return _maybe_moving(counts)
        case _:
            return False


def condition_fits(type_: str, said: Said, reason: str, counts: Mapping[str, Bounds]) -> bool:
    """One of TYPES; `reason` is the word in STATUS, which it has to go with."""
    holds = said.status == "True"
    if not holds and said.status != "False":
        return False
    match type_:
        case "Ready":
            return holds == (reason in _READY) and (_maybe_settled(counts) if holds else _maybe_moving(counts))
        case "Progressing":
            return holds == (reason in _PROGRESSING) and (not holds or _maybe_moving(counts))
        case "Degraded":
            if reason not in _PROGRESSING and holds != (reason in _DEGRADED):
                return False
            if not holds:
                return counts["unhealthy"][0] == 0
            return _maybe_moving(counts) if reason in _DEGRADED - _READY else _maybe_troubled(counts)
        case _:
            return True


def _maybe_troubled(counts: Mapping[str, Bounds]) -> bool:
    return counts["unhealthy"][1] + counts["unknown"][1] > 0


def _maybe_settled(counts: Mapping[str, Bounds]) -> bool:
    """Whether every node may be ready with the config as it is."""
    return min(counts[READY][1], counts[UPDATED][1]) >= counts[DESIRED][0]


def _maybe_moving(counts: Mapping[str, Bounds]) -> bool:
    """Whether some node may not be."""
    return min(counts[READY][0], counts[UPDATED][0]) < counts[DESIRED][0]


def registered_fits(resource: str, registered: bool, report: Report, node: Node) -> bool:
    """What a NodeDevicePlugin says of whether the kubelet knows a resource.

    The kubelet offers what it knows: all that is told as Healthy, or nothing.
    """
    devices = {id_: device for id_, device in node.devices.items() if device.resource == resource}
    if node.mode is not Mode.KNOWN or any(device.offered is None for device in devices.values()):
        return True
    offers = any(device.offered for device in devices.values())
    if not registered:
        return not offers
    told = {id_ for id_, each in report.devices.items() if each.state == "Healthy"}
    return offers or not any(device.works and id_ in told for id_, device in devices.items())


def node_condition_fits(type_: str, said: Said, report: Report, node: Node) -> bool:
    """A condition of a NodeDevicePlugin. Every config of a plan is one that agents accept."""
    holds = said.status == "True"
    match type_:
        case "ConfigAccepted":
            return holds or node.mode is not Mode.KNOWN
        case "Registered":
            wanted = {device.resource for device in node.devices.values() if device.selected}
            each = (registered_fits(resource, holds, report, node) for resource in sorted(wanted))
            return all(each) if holds else not wanted or any(each)
        case "KubeletAgrees":
            # Of a difference that does not last nothing has to be said: how long it may, the kubelet's view shows.
            return holds or _maybe_differs(report, node)
        case _:
            return True


def _maybe_differs(report: Report, node: Node) -> bool:
    if node.mode is not Mode.KNOWN:
        return True
    told = {id_ for id_, each in report.devices.items() if each.state == "Healthy"}
    return any(device.offered is None or device.offered != (id_ in told) for id_, device in node.devices.items())
