"""Two configs with one resource name on a node: who serves it there. The kubelet knows one plugin for each name."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from device_plugin_api.config import PREVIEW
from device_plugin_api.node import WithheldResource
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import NO_RIVALS, AgentPod, Config, NodeObject, Rivals, Snapshot
from device_plugin_operator.plan import revision

_UNDATED = "9999"
"""Comes after every creationTimestamp."""


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A resource that an agent must not register."""

    resource: str
    config: str
    """Who has the name."""
    lost: bool
    """Whether that one is older; else it lets go, and the name passes on."""
    answers: bool = True
    """Whether the agent that has to let go answers."""

    @property
    def message(self) -> str:
        """What it means and what to do, for people."""
        if self.lost:
            return (
                f"{self.resource} is served by config {self.config} here, which is older: give it another name, or "
                "select other nodes"
            )
        if self.answers:
            return (
                f"config {self.config} still has {self.resource} here; it passes on when no container has its devices"
            )
        return (
            f"config {self.config} still has {self.resource} here, and its agent does not answer, so cannot let go of "
            f"it: mend it (kubectl describe dpc {self.config}), delete its pod, or take this node from its nodeSelector"
        )


def on(config: Config, found: NodeObject | None, rivals: Rivals) -> tuple[Conflict, ...]:
    """Of a node with that object, sorted by resource.

    The older config comes first (creationTimestamp, then name). A name passes on only when the agent that may register
    it has let go of it or, where its object went, when its pod has ended. An agent that does not answer may still run,
    and one that comes up serves at once what it was told last: it is waited for, however long, and people are told
    what to do.
    """
    spec = config.spec
    if not rivals.objects and (found is None or not found.withheld):
        return ()
    if spec is None or (spec.mode == PREVIEW and (found is None or found.mode == PREVIEW)):
        return ()
    names = {resource.name for resource in spec.resources}.union(found.resources if found is not None else ())
    leaving = sorted(rivals.pods.difference(rival.config for rival in rivals.objects))
    waited_for = {each.name for each in found.withheld} if found is not None and leaving else set()
    own = (config.created or _UNDATED, config.name)
    conflicts = []
    for name in sorted(names):
        older = sorted(_age(rival) for rival in rivals.objects if rival.wants(name) and _age(rival) < own)
        others = sorted(_age(rival) for rival in rivals.objects if rival.may_register(name))
        if older or others:
            holder = (older or others)[0][1]
            answers = bool(older) or holder in rivals.ready
            conflicts.append(Conflict(resource=name, config=holder, lost=bool(older), answers=answers))
        elif name in waited_for:
            # Whose object is gone has an agent for a while yet, and what it may register nobody can say any more.
            conflicts.append(Conflict(resource=name, config=leaving[0], lost=False))
    return tuple(conflicts)


def of(snapshot: Snapshot) -> dict[str, tuple[Conflict, ...]]:
    """Of each node that has any."""
    found = {
        node: on(snapshot.config, told, snapshot.rivals.get(node, NO_RIVALS)) for node, told in snapshot.nodes.items()
    }
    return {node: conflicts for node, conflicts in found.items() if conflicts}


def withheld(
    conflicts: Iterable[Conflict], known: Iterable[WithheldResource], now: float
) -> tuple[WithheldResource, ...]:
    """What an agent is told of them; `known` is what it was told before."""
    since = {(each.name, each.config): each.since for each in known}
    return tuple(
        WithheldResource(
            name=each.resource,
            config=each.config,
            since=since.get((each.resource, each.config), timestamp(now)),
        )
        for each in conflicts
    )


def written(resources: Iterable[WithheldResource]) -> list[Any]:
    """As they go into a NodeDevicePlugin. An empty list is written too: it removes what was there."""
    return [revision.canonical(each) for each in resources]


def concerned(rival: NodeObject, item: NodeObject | AgentPod) -> bool:
    """Whether a change of `item` may decide otherwise about what the rival of the same node may register."""
    if rival.withheld:
        return True
    return isinstance(item, NodeObject) and any(item.wants(name) or item.may_register(name) for name in rival.resources)


def _age(rival: NodeObject) -> tuple[str, str]:
    return rival.config_created or _UNDATED, rival.config
