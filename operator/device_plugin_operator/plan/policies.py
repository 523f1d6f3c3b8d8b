"""Which reason a config's conditions have: the first policy that speaks, of a chain from worst to best.

Each row of the truth table in docs/architecture.md is one policy here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device_plugin_api.config import DeviceCounts, NodeCounts, Problem
from device_plugin_api.group import CONFIG_LABEL
from device_plugin_operator.plan.rollout import Regression

_NAMED = 3
"""How many nodes or devices a message names."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What the policies judge."""

    name: str
    namespace: str
    invalid: str
    refusal: str
    conflicts: Sequence[tuple[str, str]]
    """Node and message where an older config has a resource name."""
    rejected: Sequence[tuple[str, str]]
    """Node and message of agents that reject their configuration."""
    disagreeing: Sequence[tuple[str, str]]
    """Node and message where the kubelet has something else than the agent offers."""
    down: Sequence[tuple[str, str]]
    """Node and reason of agents that do not work."""
    never_created: bool
    preview: bool
    """Nothing is to be registered."""
    nodes: NodeCounts
    desired_known: bool
    rolling: bool
    """Agents are being replaced, or are about to be."""
    behind: Sequence[str]
    """Nodes that run another revision."""
    waiting: Sequence[str]
    """Nodes that are not ready yet."""
    held: bool
    """Nodes have to wait for the new configuration: by regressions or, without one, since the config says so."""
    regressions: Sequence[Regression]
    devices: DeviceCounts
    problems: Sequence[Problem]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a policy says. `degraded` None: as the devices are."""

    reason: str
    message: str
    ready: bool = False
    progressing: bool = False
    degraded: bool | None = False
    stalled: bool = False


Policy = Callable[[View], Verdict | None]


def _list(names: Sequence[str]) -> str:
    text = ", ".join(names[:_NAMED])
    return f"{text} and {len(names) - _NAMED} more" if len(names) > _NAMED else text


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _others(nodes: Sequence[object]) -> str:
    """How many there are besides the first, which is named."""
    return f" (and {_many(len(nodes) - 1, 'other node')})" if len(nodes) > 1 else ""


def invalid_spec(view: View) -> Verdict | None:
    """Nothing can be made of the spec."""
    if not view.invalid:
        return None
    return Verdict(
        reason="InvalidSpec",
        message=f"{view.invalid}. What ran before runs on; correct the spec",
        degraded=True,
        stalled=True,
    )


def resource_name_conflict(view: View) -> Verdict | None:
    """An older config serves a resource of the same name somewhere."""
    if not view.conflicts:
        return None
    node, message = view.conflicts[0]
    return Verdict(
        reason="ResourceNameConflict",
        message=f"{node}{_others(view.conflicts)}: {message}. All else is served",
        degraded=True,
        stalled=True,
    )


def config_rejected(view: View) -> Verdict | None:
    """An agent will not run this configuration."""
    if not view.rejected:
        return None
    node, message = view.rejected[0]
    return Verdict(
        reason="ConfigRejected",
        message=f"{node}{_others(view.rejected)}: {message}. Correct spec.resources",
        degraded=True,
        stalled=True,
    )


def rollout_paused(view: View) -> Verdict | None:
    """Nodes do not get the new configuration: somebody says so, or it made another node worse."""
    if not view.held:
        return None
    progress = f"{view.nodes.updated} of {view.nodes.desired} nodes run the new configuration"
    if not view.regressions:
        return Verdict(
            reason="RolloutPaused",
            message=f"{progress}. Set spec.rollout.paused to false to go on",
            degraded=True,
        )
    worst = view.regressions[0]
    return Verdict(
        reason="RolloutPaused",
        message=f"{worst.node}{_others(view.regressions)} got worse by the new configuration: {worst.reason}: "
        f"{worst.message}. "
        f"{progress}. Correct spec.resources, apply the former ones to go back, or set spec.rollout.onRegression to "
        "Continue",
        degraded=True,
        stalled=True,
    )


def agents_unavailable(view: View) -> Verdict | None:
    """Agents that should run do not."""
    if view.refusal:
        message = f"The API server refuses the agents' DaemonSet: {view.refusal}"
    elif view.down:
        named = _list([f"{node} ({reason})" for node, reason in view.down])
        message = (
            f"Not working: {_many(len(view.down), 'agent')}: {named}. See status.problems and: {_look(view, 'pods')}"
        )
    elif view.never_created:
        message = (
            f"Agents were not created on all of {_many(view.nodes.desired, 'node')}. See: {_look(view, 'daemonsets')}"
        )
    else:
        return None
    return Verdict(reason="AgentsUnavailable", message=message, degraded=True)


def rollout_in_progress(view: View) -> Verdict | None:
    """Another configuration or another agent is on its way."""
    if not view.rolling and not view.behind:
        return None
    if view.behind:
        message = f"{view.nodes.updated} of {view.nodes.desired} nodes run the new configuration; not yet: "
        message += _list(view.behind)
    else:
        message = f"Agents are being replaced; {view.nodes.ready} of {view.nodes.desired} nodes are ready"
    return Verdict(reason="RolloutInProgress", message=message, progressing=True, degraded=None)


def starting(view: View) -> Verdict | None:
    """Agents are on their way."""
    if not view.desired_known:
        message = "Waiting for the DaemonSet controller to choose the nodes"
    elif view.nodes.ready < view.nodes.desired:
        message = f"{view.nodes.ready} of {view.nodes.desired} nodes are ready"
        message += f"; waiting for {_list(view.waiting)}" if view.waiting else ""
    else:
        return None
    return Verdict(reason="Starting", message=message, progressing=True, degraded=None)


def kubelet_disagrees(view: View) -> Verdict | None:
    """What is offered is not what pods can get."""
    if not view.disagreeing:
        return None
    node, message = view.disagreeing[0]
    return Verdict(
        reason="KubeletDisagrees",
        message=f"{node}{_others(view.disagreeing)}: {message}. The kubelet's log there may say why; "
        "an agent whose pod is deleted registers anew",
        degraded=True,
    )


def preview(view: View) -> Verdict | None:
    """Every node shows what it would offer."""
    if not view.preview or not view.devices.total:
        return None
    return Verdict(
        reason="Preview",
        message=f"Pods get none of {_many(view.devices.total, 'device')} on {_many(view.nodes.desired, 'node')}: "
        f"set spec.mode to Serve to offer them. Which ones, and what each step of the selection saw: "
        f"kubectl get ndp -l {CONFIG_LABEL}={view.name} -o yaml",
        ready=True,
        degraded=None,
    )


def some_unhealthy(view: View) -> Verdict | None:
    """Every node serves; a device does not work."""
    troubled = view.devices.unhealthy + view.devices.unknown
    if not troubled:
        return None
    devices = [f"{problem.device} on {problem.node} ({problem.reason})" for problem in view.problems if problem.device]
    named = f": {_list(devices)}" if devices else ""
    return Verdict(
        reason="SomeUnhealthy",
        message=f"Not working: {troubled} of {_many(view.devices.total, 'device')}{named}. See status.problems",
        ready=True,
        degraded=True,
    )


def no_matching_nodes(view: View) -> Verdict | None:
    """There is nowhere to run."""
    if view.nodes.desired:
        return None
    return Verdict(
        reason="NoMatchingNodes",
        message="No node fits nodeSelector, affinity and tolerations. What nodes have: kubectl get nodes --show-labels",
        ready=True,
    )


def no_devices_found(view: View) -> Verdict | None:
    """Agents run, and there is nothing to offer."""
    if view.devices.total:
        return None
    return Verdict(
        reason="NoDevicesFound",
        message=f"No such device on {_many(view.nodes.desired, 'node')}. What each step of the selection saw: "
        f"kubectl get ndp -l {CONFIG_LABEL}={view.name} -o yaml",
        ready=True,
    )


def all_nodes_ready(view: View) -> Verdict:
    """Nothing is left to say."""
    cordoned = f"; cordoned: {view.devices.cordoned}" if view.devices.cordoned else ""
    return Verdict(
        reason="AllNodesReady",
        message=f"{_many(view.devices.healthy, 'healthy device')} on {_many(view.nodes.desired, 'node')}{cordoned}",
        ready=True,
    )


CHAIN: tuple[Policy, ...] = (
    invalid_spec,
    resource_name_conflict,
    config_rejected,
    rollout_paused,
    agents_unavailable,
    rollout_in_progress,
    starting,
    kubelet_disagrees,
    preview,
    some_unhealthy,
    no_matching_nodes,
    no_devices_found,
)


def judge(view: View) -> Verdict:
    """The worst that is true."""
    for policy in CHAIN:
        if verdict := policy(view):
            return verdict
    return all_nodes_ready(view)


def _look(view: View, what: str) -> str:
    return f"kubectl -n {view.namespace} describe {what} -l {CONFIG_LABEL}={view.name}"
