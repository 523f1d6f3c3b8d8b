"""How each node's agent is: there, ready, or silent since when and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from device_plugin_api.config import ConfigStatus, Problem
from device_plugin_api.node import DeviceState
from device_plugin_operator.clock import unix_time
from device_plugin_operator.facts import NODE_UNREACHABLE, AgentPod, NodeObject

SILENT_AFTER = 30.0
"""Seconds without a ready pod until an agent counts as silent, and what it said as unknown."""

NEVER_CREATED = ""
"""Stands among nodes for agents that the DaemonSet controller could not create at all."""

CRASHES = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""What the kubelet says of a pod that will not come up by itself: told at once."""

MISSING, NOT_READY, NOT_REGISTERED, NOT_REPORTING = "AgentMissing", "AgentNotReady", "NotRegistered", "NotReporting"


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The agent of one node."""

    node: str
    pod: AgentPod | None
    ready: bool
    silent: bool
    """Nothing it said can be relied on any more."""
    reason: str = ""
    """What is wrong with it, when something is; "" when it may just be starting."""
    message: str = ""
    since: float = 0.0
    due: float | None = None
    """When this is to be looked at again."""


def by_node(pods: Iterable[AgentPod]) -> dict[str, AgentPod]:
    """The pod of each node. While one replaces another there are two: the newer that stays counts."""
    chosen: dict[str, AgentPod] = {}
    for pod in sorted(pods, key=lambda pod: (not pod.terminating, pod.created, pod.name)):
        if pod.node:
            chosen[pod.node] = pod
    return chosen


def unready(
    before: Mapping[str, float] | None,
    nodes: Iterable[str],
    pods: Mapping[str, AgentPod],
    status: ConfigStatus,
    *,
    short: bool,
    now: float,
) -> dict[str, float]:
    """Nodes without a ready agent, and since when. `short`: some agents were never created.

    `before` None is the first look of this process: what the pods and the last status say about the time counts then,
    so that a restart of the operator does not give silent agents another 30 s.
    """
    result = {}
    told = (
        {} if before is not None else {problem.node: problem.since for problem in status.problems if _silence(problem)}
    )
    for node in {*nodes, *pods}:
        pod = pods.get(node)
        if pod is not None and pod.ready:
            continue
        if before is not None:
            since = before.get(node, now)
        else:
            since = min(now, unix_time(told.get(node) or (pod.since if pod else "")) or now)
        result[node] = since
    if short:
        result[NEVER_CREATED] = (before or {}).get(NEVER_CREATED, now)
    return result


def _silence(problem: Problem) -> bool:
    """Whether it tells of the agent itself, and not of what that has told."""
    return problem.state == DeviceState.UNKNOWN.value and not problem.resource


def assess(
    nodes: Mapping[str, NodeObject], pods: Mapping[str, AgentPod], since: Mapping[str, float], now: float
) -> dict[str, Agent]:
    """Each node's agent."""
    return {
        node: _assess(node, nodes.get(node), pods.get(node), since.get(node), now) for node in sorted({*nodes, *pods})
    }


def _assess(node: str, found: NodeObject | None, pod: AgentPod | None, since: float | None, now: float) -> Agent:
    if since is None:
        return _ready(node, found, pod, now)
    # Of a node that does not answer nothing has been heard for longer already.
    silent = now - since >= SILENT_AFTER or (pod is not None and pod.reason == NODE_UNREACHABLE)
    reason, message = _why(found, pod)
    known = silent or (pod is not None and pod.reason in CRASHES)
    return Agent(
        node=node,
        pod=pod,
        ready=False,
        silent=silent,
        reason=reason if known else "",
        message=message if known else "",
        since=since,
        due=None if silent else since + SILENT_AFTER,
    )


def _ready(node: str, found: NodeObject | None, pod: AgentPod | None, now: float) -> Agent:
    """Its pod is ready: it should have registered, and said so."""
    registered = found.registered if found is not None else None
    if found is None or (registered is not None and registered.holds):
        return Agent(node=node, pod=pod, ready=found is not None, silent=False)
    stamp = registered.since if registered is not None else max(found.created, pod.since if pod else "")
    begun = unix_time(stamp)
    since = now if begun is None else min(begun, now)
    late = now - since >= SILENT_AFTER
    reason = NOT_REGISTERED if registered is not None else NOT_REPORTING
    message = registered.message if registered is not None else "its agent runs, but has not reported"
    return Agent(
        node=node,
        pod=pod,
        ready=False,
        silent=False,
        reason=reason if late else "",
        message=message if late else "",
        since=since,
        due=None if late else since + SILENT_AFTER,
    )


def _why(found: NodeObject | None, pod: AgentPod | None) -> tuple[str, str]:
    if pod is None or pod.terminating:
        return MISSING, "there is no agent pod on this node"
    if pod.reason:
        return pod.reason, pod.message
    if found is not None and found.registered is not None and not found.registered.holds:
        return NOT_REGISTERED, found.registered.message
    return NOT_READY, f"agent pod {pod.name} is not ready"
