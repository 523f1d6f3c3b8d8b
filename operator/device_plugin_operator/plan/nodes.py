"""Which NodeDevicePlugins to make, to change and to remove."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from device_plugin_api import group, names
from device_plugin_api.config import ConfigSpec
from device_plugin_api.node import WithheldResource
from device_plugin_operator.facts import NO_RIVALS, AgentPod, Config, Machine, NodeObject, Snapshot
from device_plugin_operator.plan import agents, conflicts, cordons, daemonset, matching, revision, rollout, runtime
from device_plugin_operator.plan.actions import Action, CreateNode, DeleteNode, UpdateNode
from device_plugin_operator.plan.rollout import Step

RECHECK = 30.0
"""Seconds between two looks at the Node of a NodeDevicePlugin without an agent."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a GET of a Node gave, when, and what for."""

    machine: Machine | None
    purpose: str
    at: float


def living(pod: AgentPod | None) -> bool:
    """Whether a pod is bound to its node and stays."""
    return pod is not None and pod.bound and not pod.terminating


def purposes(config: Config, nodes: Mapping[str, NodeObject], pods: Mapping[str, AgentPod]) -> dict[str, str]:
    """The nodes whose Node has to be known, and what for. A GET that was made for something else does not count.

    An agent's pod that is older than its NodeDevicePlugin was seen on that very Node when the object was made. A newer
    one may stand on another machine of the same name. Without a pod it has to be found out whether the node is still
    one of ours.
    """
    needed = {}
    for node in sorted({*nodes, *pods}):
        found, pod = nodes.get(node), pods.get(node)
        if pod is not None and living(pod):
            if found is None or pod.created >= found.created:
                needed[node] = f"pod {pod.uid}"
        elif found is not None:
            needed[node] = f"placement {config.generation}"
    return needed


def lookups(
    needed: Mapping[str, str],
    nodes: Mapping[str, NodeObject],
    pods: Mapping[str, AgentPod],
    checked: Mapping[str, Checked],
    now: float,
) -> list[str]:
    """Which of them have to be fetched now: each once, and again after a while where nothing else tells of a change."""
    wanted = []
    for node, purpose in needed.items():
        known = checked.get(node)
        if known is None or known.purpose != purpose:
            wanted.append(node)
        else:
            may_change = known.machine is None or node not in nodes or not living(pods.get(node))
            if may_change and now - known.at >= RECHECK:
                wanted.append(node)
    return wanted


def changes(snapshot: Snapshot, spec: ConfigSpec) -> list[Action]:
    """All that has to be done to the NodeDevicePlugins of this config."""
    wanted = revision.of(spec.resources, spec.mode)
    pods = agents.by_node(snapshot.pods)
    step = next_step(snapshot, spec)
    names_taken = conflicts.of(snapshot)
    actions: list[Action] = [
        DeleteNode(name=found.name, uid=found.uid, why="its config was made anew") for found in snapshot.strangers
    ]
    for node in sorted({*snapshot.nodes, *pods}):
        found = snapshot.nodes.get(node)
        if found is None:
            machine = snapshot.machines.get(node)
            if machine is not None and living(pods.get(node)):
                kept = conflicts.on(snapshot.config, None, snapshot.rivals.get(node, NO_RIVALS))
                withheld = conflicts.withheld(kept, (), snapshot.now)
                actions.append(_create(snapshot.config, spec, machine, wanted, withheld))
            continue
        if found.terminating:
            continue
        why = _obsolete(found, pods.get(node), snapshot.machines, spec)
        if why:
            actions.append(DeleteNode(name=found.name, uid=found.uid, why=why))
        else:
            withheld = conflicts.withheld(names_taken.get(node, ()), found.withheld, snapshot.now)
            if update := _update(found, spec, wanted, snapshot.machines.get(node), step, withheld):
                actions.append(update)
    return actions


def next_step(snapshot: Snapshot, spec: ConfigSpec) -> Step:
    """Where the rollout of the resources goes on."""
    found_agents = agents.assess(snapshot.nodes, agents.by_node(snapshot.pods), snapshot.unready, snapshot.now)
    names_ = [resource.name for resource in spec.resources]
    wanted = revision.of(spec.resources, spec.mode)
    return rollout.step(snapshot.nodes, found_agents, wanted, names_, spec.rollout, snapshot.calm.nodes)


def _update(
    found: NodeObject,
    spec: ConfigSpec,
    wanted: str,
    machine: Machine | None,
    step: Step,
    withheld: tuple[WithheldResource, ...],
) -> UpdateNode | None:
    """What of it has to be another: the resources when it is their turn, all else at once."""
    change: dict[str, Any] = {}
    annotations: dict[str, str | None] = {}
    if found.node in step.update:
        change = _content(spec, wanted)
        trial = step.update[found.node]
        if trial is not None or found.trial is not None:
            annotations[group.TRIAL_ANNOTATION] = None if trial is None else msgspec.json.encode(trial).decode()
    elif found.node in step.settle:
        annotations[group.TRIAL_ANNOTATION] = None
    cordoned = cordons.on(found.node, spec)
    if cordoned != found.cordoned:
        change["cordonedDevices"] = cordons.written(cordoned)
    if withheld != found.withheld:
        change["withheldResources"] = conflicts.written(withheld)
    if machine is not None and runtime.takes_cdi(machine.runtime) != found.cdi:
        change["cdi"] = not found.cdi
    if not change and not annotations:
        return None
    return UpdateNode(name=found.name, uid=found.uid, spec=change, annotations=annotations)


def _obsolete(
    found: NodeObject, pod: AgentPod | None, machines: Mapping[str, Machine | None], spec: ConfigSpec
) -> str | None:
    if found.node not in machines:
        return None
    machine = machines[found.node]
    if machine is None:
        return "its node is gone"
    if machine.uid != found.node_uid:
        return "another node has its name"
    if not living(pod) and not matching.matches(machine, spec):
        return "its node is no longer selected"
    return None


def _create(
    config: Config, spec: ConfigSpec, machine: Machine, wanted: str, withheld: tuple[WithheldResource, ...]
) -> CreateNode:
    name = names.node_device_plugin_name(config.name, machine.name)
    cordoned = cordons.on(machine.name, spec)
    return CreateNode(
        name=name,
        body={
            "apiVersion": group.API_VERSION,
            "kind": group.NODE_KIND,
            "metadata": {
                "name": name,
                "labels": daemonset.labels(config.name),
                "ownerReferences": [daemonset.owner(config)],
            },
            "spec": {
                "configName": config.name,
                "configUID": config.uid,
                "configCreationTime": config.created,
                "nodeName": machine.name,
                "nodeUID": machine.uid,
                **({"cdi": True} if runtime.takes_cdi(machine.runtime) else {}),
                **_content(spec, wanted),
                **({"cordonedDevices": cordons.written(cordoned)} if cordoned else {}),
                **({"withheldResources": conflicts.written(withheld)} if withheld else {}),
            },
        },
    )


def _content(spec: ConfigSpec, wanted: str) -> dict[str, Any]:
    return {"mode": spec.mode, "revision": wanted, "resources": revision.written(spec.resources)}


def removed(actions: Iterable[Action]) -> frozenset[str]:
    """Names of the NodeDevicePlugins that go."""
    return frozenset(action.name for action in actions if isinstance(action, DeleteNode))
