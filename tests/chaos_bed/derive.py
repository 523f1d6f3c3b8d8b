"""From samples to facts: what is so, and what follows from what was so before. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from chaos_bed.facts import BEAT, HEARD, LONG, Device, Fact, Mode, Node
from chaos_bed.memories import Contents, Works
from chaos_bed.samples import Look, Sample, Wanted

_BLIND = 0.8
"""Seconds without a sample in which no device can come and go unseen: none is pulled for less than a second."""


def facts(samples: Sequence[Sample], *, believed_within: float) -> list[Fact]:
    """One for each sample. `believed_within`: see `_doubt`."""
    universe = _universe(samples)
    made: list[Fact] = []
    clock = edited = 0.0
    known = {name: _Known(samples[0].wanted) for name in universe}
    sharing: dict[str, int] = {}
    resources: dict[str, str] = {}
    for number, sample in enumerate(samples):
        gap = sample.at - samples[number - 1].at if number else 0.0
        clock += min(BEAT, gap)
        if number and sample.wanted != samples[number - 1].wanted:
            edited = clock
        # Who has a device of a resource that has left the config since was given it shared.
        sharing |= sample.wanted.replicas
        resources |= sample.wanted.resources
        nodes = {}
        for name, look in sample.looks.items():
            devices = {
                id_: _device(name, id_, look, sample.wanted, sharing, resources) for id_ in sorted(universe[name])
            }
            before = made[-1].nodes[name] if made else None
            nodes[name] = known[name].next(
                sample, look, devices, before, clock=clock, edited=edited, believed_within=believed_within
            )
        blind = gap > _BLIND
        made.append(Fact(at=sample.at, wall=sample.wall, clock=clock, beat=min(BEAT, gap), blind=blind, nodes=nodes))
    return made


class _Known:
    """One node, from sample to sample."""

    def __init__(self, wanted: Wanted) -> None:
        self._clock = 0.0
        self._doubted = 0.0
        self._lost = -HEARD
        self._heard = wanted
        self._contents = Contents()
        self._works = Works()
        self._agent = 0
        self._steady = 0.0

    def next(
        self,
        sample: Sample,
        look: Look,
        devices: Mapping[str, Device],
        before: Node | None,
        *,
        clock: float,
        edited: float,
        believed_within: float,
    ) -> Node:
        """It, at one more sample. `edited`: when the config was."""
        step, self._clock = clock - self._clock, clock
        doubts = [self._doubted]
        if before is not None and before.mode is Mode.LOST:
            self._lost = clock
            doubts.append(clock + _doubt(before, believed_within))
        if before is not None and edited == clock and clock - self._lost < HEARD:
            # A rollout leaves a node alone until its kubelet says that the agent's pod is ready.
            doubts.append(clock + HEARD)
        self._doubted = max(doubts)
        mode = _mode(sample, look, doubted=clock < self._doubted)
        lasting = before.lasting + step if before is not None and before.mode is mode else 0.0
        if mode is Mode.KNOWN and clock - edited >= HEARD:
            self._heard = sample.wanted
        answering = look.offered is not None and look.held is not None
        steady = mode is Mode.KNOWN and answering and look.agent == self._agent
        self._agent, self._steady = look.agent, self._steady + step if steady else 0.0
        reachable = sample.api and look.reaches_api
        runs = mode is Mode.KNOWN and min(lasting, clock - edited) >= HEARD
        updated = self._contents.look(sample.wanted, reachable=reachable, runs=runs, clock=clock)
        missed = self._works.look(devices, sample.wanted, look.agent, known=mode is Mode.KNOWN, clock=clock)
        return Node(
            mode=mode,
            lasting=lasting,
            steady=self._steady,
            updated=updated,
            agent=bool(look.agent),
            reaches_api=look.reaches_api,
            devices={id_: replace(device, missed=True) if id_ in missed else device for id_, device in devices.items()},
            informed=mode is Mode.KNOWN or self._heard == sample.wanted,
        )


def _doubt(lost: Node, believed_within: float) -> float:
    """Seconds until a node that was lost has to be heard and believed again.

    Of one that was lost for long the agent's pod has to get ready first. To one that was cut off TCP comes back after
    as long again as it was cut off, at worst: it doubles the time between two attempts. A new agent speaks at once.
    """
    if lost.lasting >= LONG:
        return believed_within
    return 0.0 if lost.reaches_api else min(lost.lasting, believed_within)


def _mode(sample: Sample, look: Look, *, doubted: bool) -> Mode:
    if not sample.api:
        return Mode.CUT
    if not look.agent or not look.reaches_api:
        return Mode.LOST
    return Mode.BACK if doubted else Mode.KNOWN


def _universe(samples: Iterable[Sample]) -> dict[str, frozenset[str]]:
    """Every device of each node that anybody ever saw or spoke of."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        for name, look in sample.looks.items():
            known = found.setdefault(name, set())
            known |= look.present | (look.offered or frozenset()) | (look.held or {}).keys() | look.running.keys()
            if name in sample.reports:
                known |= sample.reports[name].devices.keys()
    return {name: frozenset(devices) for name, devices in found.items()}


def _device(
    node: str, device: str, look: Look, wanted: Wanted, sharing: Mapping[str, int], resources: Mapping[str, str]
) -> Device:
    return Device(
        resource=resources.get(device, ""),
        present=device in look.present,
        selected=device in wanted.selected,
        cordoned=(node, device) in wanted.cordoned,
        replicas=sharing.get(device, 1),
        offered=None if look.offered is None else device in look.offered,
        held=None if look.held is None else look.held.get(device, frozenset()),
        running=look.running.get(device, frozenset()),
    )
