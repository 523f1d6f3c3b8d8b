"""Devices of several kinds that go together as one: found by other sources, paired here."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from device_plugin_agent.sources.base import Candidate, Discovery, Source
from device_plugin_agent.sources.identity import id_of_group
from device_plugin_agent.sources.selection import MAX_DROPPED_SHOWN, Selection, printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.node import SelectionStep
from device_plugin_api.sources import GroupsSource
from device_plugin_api.sources import Source as SourceSpec

GROUP_INCOMPLETE = "GroupIncomplete"
"""Reason of a group that lacks a member, or has two of one."""

_NUMBER = re.compile(r"[0-9]+")


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the group, and who finds what may take it."""

    name: str
    optional: bool
    source: Source


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    found: dict[str, list[Candidate]] = msgspec.field(default_factory=dict)
    """Member → what fits there."""


class Groups:
    """Each complete group is one device, known by its number; so a member that is exchanged leaves it the same."""

    def __init__(self, resource_name: str, spec: GroupsSource, find: Callable[[SourceSpec], Source]) -> None:
        self._resource_name = resource_name
        self._by_number = spec.pair_by == "Number"
        # What every group has comes first: a group is called by its first member's path.
        self._members = tuple(
            Member(name=member.name, optional=member.optional, source=find(member.source))
            for member in sorted(spec.members, key=lambda member: member.optional)
        )

    def discover(self) -> Discovery:
        """Look for all members once."""
        looks = [(member, member.source.discover()) for member in self._members]
        groups: dict[str, _Group] = {}
        steps = []
        for member, look in looks:
            unpaired = []
            for candidate in look.candidates:
                number = self._number(candidate)
                if number is None:
                    unpaired.append(f"{_shown(candidate)}: its name has no number")
                    continue
                group = groups.setdefault(number, _Group(id=id_of_group(self._resource_name, number)))
                group.found.setdefault(member.name, []).append(candidate)
            steps.append(_summary(member, look, unpaired))
        found = Selection("groups", (groups[number] for number in sorted(groups)), lambda group: group.id)
        found.keep("complete", self._lacks, told_as=GROUP_INCOMPLETE)
        return Discovery(
            candidates=tuple(self._candidate(group) for group in found.items),
            steps=(*steps, *found.steps),
            unfit=found.unfit,
        )

    def watched(self) -> frozenset[Path]:
        """What any member watches."""
        return frozenset(path for member in self._members for path in member.source.watched())

    def concerns(self, event: Uevent) -> bool:
        """Whether it concerns any member."""
        return any(member.source.concerns(event) for member in self._members)

    def _number(self, candidate: Candidate) -> str | None:
        """By what it is paired; None when it cannot be."""
        if not self._by_number:
            return ""
        numbers = _NUMBER.findall(candidate.path.rpartition("/")[2])
        return str(int(numbers[-1])) if numbers else None

    def _lacks(self, group: _Group) -> str | None:
        """What keeps it from being one device, worded for people."""
        missing = [member.name for member in self._members if not member.optional and member.name not in group.found]
        if missing:
            return f"{' and '.join(missing)} missing"
        taken: dict[str, str] = {}
        for name, candidates in group.found.items():
            if len(candidates) > 1:
                return f"{len(candidates)} devices are its {name}: {', '.join(map(_shown, candidates))}"
            for mark in sorted(candidates[0].marks):
                if mark in taken:
                    return f"{_shown(candidates[0])} is both its {taken[mark]} and its {name}"
                taken[mark] = name
        return None

    def _candidate(self, group: _Group) -> Candidate:
        members = {name: candidates[0] for name, candidates in group.found.items()}
        parts = list(members.values())
        numa_nodes = {part.numa_node for part in parts if part.numa_node is not None}
        return Candidate(
            id=group.id,
            # Its place in a container is that of its first node, which a directory is not.
            path=parts[0].nodes[0] if parts[0].directory else parts[0].path,
            nodes=_all(part.nodes for part in parts),
            shared_nodes=_all(part.shared_nodes for part in parts),
            hardware=_all(part.hardware for part in parts),
            sysfs=parts[0].sysfs,
            uplink=parts[0].uplink,
            numa_node=numa_nodes.pop() if len(numa_nodes) == 1 else None,
            attributes={name: part.nodes[0] if part.nodes else part.path for name, part in members.items()},
            failure=next((f"has a {name} that {part.failure}" for name, part in members.items() if part.failure), None),
        )


def _summary(member: Member, look: Discovery, unpaired: Sequence[str]) -> SelectionStep:
    """All steps that lead to a member's devices as one."""
    dropped = [*(each for step in look.steps for each in step.dropped), *map(printable, unpaired)]
    return SelectionStep(
        step=printable(f"{member.name}: {look.steps[-1].step}"),
        kept=len(look.candidates) - len(unpaired),
        dropped=tuple(dropped[:MAX_DROPPED_SHOWN]),
    )


def _shown(candidate: Candidate) -> str:
    return candidate.path or candidate.id


def _all(of_parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(each for of_part in of_parts for each in of_part))
