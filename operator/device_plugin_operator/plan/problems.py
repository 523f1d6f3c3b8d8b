"""What is wrong, worst first, and no more of it than an object should hold."""

from collections.abc import Iterable, Mapping

import msgspec

from device_plugin_api.conditions import NAME_TAKEN
from device_plugin_api.config import MAX_PROBLEMS, Problem
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import NONE_CALM, Calm, NodeObject, Trouble
from device_plugin_operator.plan.agents import Agent
from device_plugin_operator.plan.conflicts import Conflict

MAX_BYTES = 24 * 1024
"""Of all problems as JSON: the status goes to every watcher of configs each time it changes."""

_MAX_MESSAGE, _MAX_REASON = 256, 64

REJECTED = "ConfigRejected"
DISAGREES = "KubeletDisagrees"
UNHEALTHY, UNKNOWN = "Unhealthy", "Unknown"

_Ranked = tuple[int, str, str, str, Problem]


def problems(
    nodes: Mapping[str, NodeObject],
    agents: Mapping[str, Agent],
    names_taken: Mapping[str, Iterable[Conflict]],
    now: float,
    calm: Calm = NONE_CALM,
) -> tuple[tuple[Problem, ...], bool]:
    """Sorted and bounded, and whether there are more."""
    found = [_of_device(told.node, trouble, now) for told in calm.worst for trouble in told.troubles]
    more = calm.more_troubles
    for node, taken in names_taken.items():
        told_since = {each.name: each.since for each in nodes[node].withheld}
        for each in taken:
            since = told_since.get(each.resource, timestamp(now))
            found.append(_ranked(0, node, UNHEALTHY, NAME_TAKEN, each.message, since, each.resource))
    for node, agent in agents.items():
        told = nodes.get(node)
        if told is not None and told.accepted is not None and not told.accepted.holds:
            since = told.accepted.since or timestamp(now)
            found.append(_ranked(0, node, UNHEALTHY, REJECTED, told.accepted.message, since))
        if agent.reason:
            found.append(_ranked(1, node, UNKNOWN, agent.reason, agent.message, timestamp(agent.since)))
        if told is None or agent.silent:
            continue  # of a silent agent's devices all are unknown, for the one reason above
        if told.disagrees is not None:
            since = told.disagrees.since or timestamp(now)
            found.append(_ranked(2, node, UNHEALTHY, DISAGREES, told.disagrees.message, since))
        more = more or told.more_troubles
        found += [_of_device(node, trouble, now) for trouble in told.troubles]
    found.sort(key=lambda ranked: ranked[:4])
    kept = bounded(tuple(ranked[4] for ranked in found[: MAX_PROBLEMS + 1]))
    return kept, more or len(kept) < len(found)


def bounded(sorted_: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """As many from the front as there is room for."""
    size = 0
    for index, problem in enumerate(sorted_[:MAX_PROBLEMS]):
        size += len(msgspec.json.encode(problem)) + 1
        if size > MAX_BYTES:
            return sorted_[:index]
    return sorted_[:MAX_PROBLEMS]


def _of_device(node: str, trouble: Trouble, now: float) -> _Ranked:
    known = trouble.state == UNHEALTHY
    since = trouble.since or timestamp(now)
    state = UNHEALTHY if known else UNKNOWN
    return _ranked(
        3 if known else 4, node, state, trouble.reason, trouble.message, since, trouble.resource, trouble.device
    )


def _ranked(
    rank: int, node: str, state: str, reason: str, message: str, since: str, resource: str = "", device: str = ""
) -> _Ranked:
    problem = Problem(
        node=node,
        resource=resource,
        device=device,
        state=state,
        reason=(reason or UNKNOWN)[:_MAX_REASON],
        message=message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 1]}…",
        since=since,
    )
    return rank, node, resource, device, problem
