"""Which nodes get the current revision now: so many at a time, and none after one that got worse by it.

A node that gets a new revision is on trial: what worked on it before is kept with it (in an annotation of its
NodeDevicePlugin, so another operator can go on) until its agent runs the revision and all of that works again.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from device_plugin_api.config import Rollout
from device_plugin_operator.facts import NodeObject, Trial
from device_plugin_operator.plan.agents import Agent

CONTINUE = "Continue"

_ON_PURPOSE = frozenset({"NotSelected", "ClaimedByOtherConfig"})
"""What agents say of a device that the new configuration does not offer, while a container still has it."""

_NOT_YET = "NotLookedAt"
"""What they say of a device that a new probe has not judged yet."""

REJECTED, NO_DEVICES = "ConfigRejected", "NoDevicesFound"


@dataclass(frozen=True, kw_only=True)
class Regression:
    """A node that got worse by the current revision."""

    node: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a rollout does next."""

    update: Mapping[str, Trial | None]
    """Nodes that get the revision now, and what to hold against it; None: nothing there can get worse."""
    settle: frozenset[str]
    """Nodes whose trial is over."""
    held: bool
    """Whether other nodes have to wait, by `paused` or by a regression."""
    regressions: tuple[Regression, ...]
    """What they have to wait for."""


def step(
    nodes: Mapping[str, NodeObject],
    agents: Mapping[str, Agent],
    wanted: str,
    resources: Iterable[str],
    settings: Rollout,
    calm: int = 0,
) -> Step:
    """The next step to the revision `wanted`, which offers these resources. So many further nodes are `calm`."""
    names = frozenset(resources)
    there = {node: found for node, found in sorted(nodes.items()) if not found.terminating}
    behind = {node: found for node, found in there.items() if found.revision != wanted}
    # One that was changed by hand is put back, and one that never ran anything is new: both have nothing to wait for.
    update: dict[str, Trial | None] = {
        node: None for node, found in behind.items() if not found.revision or not found.observed_revision
    }
    old = {node: found for node, found in behind.items() if node not in update}
    tried = {node: found for node, found in there.items() if node not in behind and found.trial is not None}
    worse = {node: why for node, found in tried.items() if (why := regression(found, agents[node], names))}
    passed = {node for node in tried.keys() - worse.keys() if _done(tried[node], agents[node])}
    stops = bool(worse) and settings.on_regression != CONTINUE
    if not old or not stops:
        # With nothing left to protect, or nobody who minds, what is worse is told by the devices' own states.
        passed |= worse.keys()
    if not old or settings.paused or stops:
        return Step(
            update=update,
            settle=frozenset(passed),
            held=bool(old),
            regressions=tuple(worse.values()) if old and stops else (),
        )
    down = {node for node in old if agents[node].reason}
    again = {node: found for node, found in old.items() if found.trial is not None and node not in down}
    under_way = len(tried.keys() - passed) + len(again)
    ready = [node for node in old if node not in down and node not in again and agents[node].ready]
    fresh = ready[: max(0, limit(settings.max_unavailable, len(there) + calm) - under_way)]
    update |= {node: baseline(old[node]) for node in (*again, *fresh)}
    if not under_way and old.keys() == down:
        # Nothing works there that could get worse; and what works is not risked for them.
        update |= dict.fromkeys(down)
    return Step(update=update, settle=frozenset(passed), held=False, regressions=())


def limit(max_unavailable: int | str, nodes: int) -> int:
    """How many nodes may be on trial at a time: percentages round up, and it is never none."""
    if isinstance(max_unavailable, str):
        return max(1, math.ceil(int(max_unavailable.removesuffix("%")) * nodes / 100))
    return max(1, max_unavailable)


def baseline(found: NodeObject) -> Trial:
    """What works on that node now; in the middle of an earlier change, what worked before that."""
    if found.observed_revision != found.revision and found.trial is not None:
        return found.trial
    return Trial(
        healthy={offer.resource: offer.healthy for offer in found.offers if offer.counts.total},
        rejected=_rejected(found),
    )


def regression(found: NodeObject, agent: Agent, names: frozenset[str]) -> Regression | None:
    """Why a node on trial is worse off than before, if it is."""
    trial = found.trial
    if trial is None:
        return None
    if _rejected(found) and not trial.rejected and found.accepted is not None:
        return Regression(node=found.node, reason=REJECTED, message=found.accepted.message)
    if agent.reason:
        return Regression(node=found.node, reason=agent.reason, message=agent.message)
    if found.observed_revision != found.revision:
        return None
    names = names.difference(each.name for each in found.withheld)
    offered = {offer.resource: offer.counts.total for offer in found.offers}
    for resource in sorted(trial.healthy.keys() & names):
        if not offered.get(resource, 0):
            return Regression(node=found.node, reason=NO_DEVICES, message=f"{resource} has no device any more")
    for trouble in found.troubles:
        if (
            trouble.resource in names
            and trouble.device in trial.healthy.get(trouble.resource, ())
            and trouble.reason not in _ON_PURPOSE | {_NOT_YET}
        ):
            message = f"{trouble.device} of {trouble.resource} worked before"
            return Regression(node=found.node, reason=trouble.reason, message=message)
    return None


def _done(found: NodeObject, agent: Agent) -> bool:
    """Its agent runs the revision, and has judged everything."""
    waits = any(trouble.reason == _NOT_YET for trouble in found.troubles)
    return agent.ready and found.observed_revision == found.revision and not waits


def _rejected(found: NodeObject) -> bool:
    return found.accepted is not None and not found.accepted.holds
