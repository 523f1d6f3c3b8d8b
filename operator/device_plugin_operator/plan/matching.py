"""Whether a node is one that a config's agents belong on: what scheduler and DaemonSet controller would say."""

from collections.abc import Mapping

from device_plugin_api.config import ConfigSpec
from device_plugin_api.placement import NodeSelectorRequirement, NodeSelectorTerm, Toleration
from device_plugin_operator.facts import Machine, Taint

_LINUX = {"kubernetes.io/os": "linux"}
"""A label that each kubelet gives its node."""

_REPELLING = ("NoSchedule", "NoExecute")

_PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints that tell of a node's state (not ready, unreachable, out of disk): such a node is still one of ours, and in
trouble. To take it for one that no longer matches would make its devices vanish just when they should be Unknown."""


def labels(spec: ConfigSpec) -> dict[str, str]:
    """The labels of this config's nodes: agents know no other system than Linux, so a config need not say it."""
    return _LINUX | spec.node_selector


def matches(machine: Machine, spec: ConfigSpec) -> bool:
    """Whether agents of this config belong on this node."""
    return (
        all(machine.labels.get(key) == value for key, value in labels(spec).items())
        and _affine(machine, spec)
        and all(_tolerated(taint, spec.tolerations) for taint in machine.taints)
    )


def _affine(machine: Machine, spec: ConfigSpec) -> bool:
    if spec.affinity is None:
        return True
    required = spec.affinity.node_affinity.required_during_scheduling_ignored_during_execution
    return any(_term_holds(term, machine) for term in required.node_selector_terms)


def _term_holds(term: NodeSelectorTerm, machine: Machine) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False  # an empty term selects nothing
    fields = {"metadata.name": machine.name}
    return all(_holds(requirement, machine.labels) for requirement in term.match_expressions) and all(
        _holds(requirement, fields) for requirement in term.match_fields
    )


def _holds(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" if value is not None and len(requirement.values) == 1:
            try:
                left, right = int(value), int(requirement.values[0])
            except ValueError:
                return False
            return left > right if requirement.operator == "Gt" else left < right
    return False


def _tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    if taint.effect not in _REPELLING or taint.key.startswith(_PASSING):
        return True
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.value == taint.value
