"""A config's status: the summary of its fleet, and the conditions that follow from it."""

from dataclasses import dataclass, replace

from device_plugin_api import conditions
from device_plugin_api.conditions import Condition
from device_plugin_api.config import PREVIEW, ConfigStatus, DeviceCounts
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import Config, Daemons, NodeObject, Snapshot
from device_plugin_operator.plan import agents, conflicts, drift, nodes, policies, revision, summary
from device_plugin_operator.plan.policies import Verdict, View
from device_plugin_operator.plan.problems import problems

_MAX_MESSAGE = 1024
_AS_EXPECTED = "AsExpected"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the DaemonSet controller says about numbers, as far as it speaks about the DaemonSet as it is now."""

    desired: int | None
    updated: bool
    fresh: bool
    """Whether no agent was there before this template: then it is a start, not a rollout."""


def placement(daemons: Daemons | None) -> Placement:
    """From the DaemonSet; `desired` None while its controller has not looked at it."""
    live = daemons.live if daemons is not None else None
    if live is None:
        return Placement(desired=None, updated=False, fresh=True)
    told = live.get("status", {})
    fresh = not told.get("currentNumberScheduled", 0)
    if told.get("observedGeneration", 0) < live["metadata"].get("generation", 0):
        return Placement(desired=None, updated=False, fresh=fresh)
    desired = told.get("desiredNumberScheduled", 0)
    return Placement(desired=desired, updated=told.get("updatedNumberScheduled", 0) >= desired, fresh=fresh)


def in_place(daemons: Daemons | None) -> bool:
    """Whether the DaemonSet is as it shall be."""
    return (
        daemons is not None
        and daemons.live is not None
        and daemons.expected is not None
        and drift.settled(daemons.live, daemons.wanted, daemons.expected)
    )


def first(config: Config, now: float) -> ConfigStatus:
    """What is said before anything is known, so that nobody takes an empty status for a good one."""
    message = "The operator has seen this config and is looking at its nodes"
    wanted = [
        _condition(config, type_, conditions.UNKNOWN, "Starting", message, now)
        for type_ in (conditions.READY, conditions.PROGRESSING, conditions.DEGRADED)
    ]
    return ConfigStatus(
        observed_generation=config.generation, conditions=conditions.merge(config.status.conditions, wanted)
    )


def status(snapshot: Snapshot, namespace: str, removed: frozenset[str] = frozenset()) -> ConfigStatus:
    """The whole status. `removed` are NodeDevicePlugins that are about to go."""
    config = snapshot.config
    known = {node: found for node, found in snapshot.nodes.items() if found.name not in removed}
    found_agents = agents.assess(known, agents.by_node(snapshot.pods), snapshot.unready, snapshot.now)
    placed = placement(snapshot.daemons)
    wanted = revision.of(config.spec.resources, config.spec.mode) if config.spec else ""
    desired = config.status.nodes.desired if placed.desired is None else placed.desired
    summed = summary.summarize(config.spec, wanted, known, found_agents, desired, snapshot.calm)
    names_taken = conflicts.of(replace(snapshot, nodes=known))
    listed, truncated = problems(known, found_agents, names_taken, snapshot.now, snapshot.calm)
    step = nodes.next_step(snapshot, config.spec) if config.spec else None
    view = View(
        name=config.name,
        namespace=namespace,
        invalid=config.invalid,
        refusal=snapshot.daemons.refusal if snapshot.daemons is not None else "",
        conflicts=[
            (node, "; ".join(each.message for each in found if each.lost))
            for node, found in names_taken.items()
            if any(each.lost for each in found)
        ],
        rejected=[
            (node, found.accepted.message)
            for node, found in known.items()
            if found.accepted is not None and not found.accepted.holds and not found_agents[node].silent
        ],
        disagreeing=[
            (node, found.disagrees.message)
            for node, found in known.items()
            if found.disagrees is not None and not found_agents[node].silent
        ],
        down=[(node, agent.reason) for node, agent in found_agents.items() if agent.reason],
        never_created=_long_short(snapshot),
        preview=config.spec is not None and config.spec.mode == PREVIEW,
        nodes=summed.nodes,
        desired_known=placed.desired is not None and in_place(snapshot.daemons),
        rolling=not placed.fresh and not (placed.updated and in_place(snapshot.daemons)),
        behind=sorted(node for node, found in known.items() if _behind(found, wanted)),
        waiting=sorted(
            node
            for node, agent in found_agents.items()
            if node not in known or not summary.is_ready(known[node], agent)
        ),
        devices=summed.devices,
        problems=listed,
        held=step is not None and step.held,
        regressions=step.regressions if step is not None else (),
    )
    return ConfigStatus(
        observed_generation=config.generation,
        conditions=conditions.merge(
            config.status.conditions, _conditions(config, policies.judge(view), summed.devices, snapshot.now)
        ),
        nodes=summed.nodes,
        devices=summed.devices,
        resources=summed.resources,
        problems=listed,
        problems_truncated=truncated,
    )


def recheck_in(snapshot: Snapshot) -> float | None:
    """Seconds until time alone makes another status: an agent becomes silent."""
    found = agents.assess(snapshot.nodes, agents.by_node(snapshot.pods), snapshot.unready, snapshot.now)
    due = [agent.due for agent in found.values() if agent.due is not None]
    if agents.NEVER_CREATED in snapshot.unready and not _long_short(snapshot):
        due.append(snapshot.unready[agents.NEVER_CREATED] + agents.SILENT_AFTER)
    return max(0.0, min(due) - snapshot.now) if due else None


def _long_short(snapshot: Snapshot) -> bool:
    since = snapshot.unready.get(agents.NEVER_CREATED)
    return since is not None and snapshot.now - since >= agents.SILENT_AFTER


def _behind(found: NodeObject, wanted: str) -> bool:
    """Whether its agent has run something, and that is something else."""
    return bool(wanted) and found.observed_revision not in ("", wanted)


def _conditions(config: Config, verdict: Verdict, devices: DeviceCounts, now: float) -> list[Condition]:
    def condition(type_: str, holds: bool, reason: str, message: str) -> Condition:
        status = conditions.TRUE if holds else conditions.FALSE
        return _condition(config, type_, status, reason, message, now)

    broken = devices.unhealthy + devices.unknown
    troubled = broken > 0
    degraded = verdict.degraded if verdict.degraded is not None else troubled
    if verdict.degraded is None and troubled:
        why, what = "SomeUnhealthy", f"Not working: {broken} of {devices.total} devices"
    elif degraded:
        why, what = verdict.reason, verdict.message
    else:
        why, what = _AS_EXPECTED, ""
    moving = verdict.reason if verdict.progressing or not verdict.ready else _AS_EXPECTED
    made = [
        condition(conditions.READY, verdict.ready, verdict.reason, verdict.message),
        condition(conditions.PROGRESSING, verdict.progressing, moving, verdict.message if verdict.progressing else ""),
        condition(conditions.DEGRADED, degraded, why, what),
    ]
    if verdict.progressing:
        made.append(condition(conditions.RECONCILING, True, verdict.reason, verdict.message))
    if verdict.stalled:
        made.append(condition(conditions.STALLED, True, verdict.reason, verdict.message))
    return made


def _condition(config: Config, type_: str, status: str, reason: str, message: str, now: float) -> Condition:
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 1]}…",
        last_transition_time=timestamp(now),
        observed_generation=config.generation,
    )
