"""From samples to what is so at each of them, and where it can be known by those who make the statements. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from chaos_bed.samples import Look, Sample, Wanted

BEAT = 0.2
"""Seconds between two samples. A longer gap counts as one beat: in it the sampler itself did not run, nor, on a
machine that stands still, did anybody else."""

LONG = 25.0
"""Seconds after which a lost node's devices may be told as Unknown: a return from that takes a ready pod."""

HEARD = 5.0
"""Seconds after which an edit of the config has reached every node that could be reached."""


class Mode(Enum):
    """What can be known of a node."""

    KNOWN = "known"
    LOST = "lost"
    """No agent runs there, or it does not reach the API server."""
    BACK = "back"
    """It was lost, and may not be heard or believed again yet."""
    CUT = "cut"
    """The API server itself does not answer."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device of one node."""

    present: bool
    selected: bool
    cordoned: bool
    replicas: int
    offered: bool | None
    """By the kubelet; None while it does not answer."""
    held: frozenset[str] | None
    running: frozenset[str]

    @property
    def works(self) -> bool:
        """Whether it can be handed out as far as it and the config go."""
        return self.present and self.selected and not self.cordoned


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node."""

    mode: Mode
    lasting: float
    """Seconds that it has been in this mode, as the samples count them."""
    agent: bool
    reaches_api: bool
    devices: Mapping[str, Device]
    informed: bool
    """Whether it has heard of the config as it is now, or has as long for that as everybody."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """All that is true at one sample."""

    at: float
    clock: float
    """Seconds since the first sample, gaps counted as beats."""
    beat: float
    """Of these: since the sample before."""
    nodes: Mapping[str, Node]


def facts(samples: Sequence[Sample], *, believed_within: float) -> list[Fact]:
    """One for each sample. `believed_within`: see `_doubt`."""
    universe = _universe(samples)
    made: list[Fact] = []
    clock = edited = 0.0
    doubted: dict[str, float] = {}
    lost: dict[str, float] = {}
    heard = dict.fromkeys(universe, samples[0].wanted)
    shared: dict[str, int] = {}
    for number, sample in enumerate(samples):
        step = min(BEAT, sample.at - samples[number - 1].at) if number else 0.0
        clock += step
        if number and sample.wanted != samples[number - 1].wanted:
            edited = clock
        # Who has a device of a resource that has left the config since was given it shared.
        shared |= sample.wanted.replicas
        nodes = {}
        for name, look in sample.looks.items():
            before = made[-1].nodes[name] if made else None
            doubts = [doubted.get(name, 0.0)]
            if before is not None and before.mode is Mode.LOST:
                lost[name] = clock
                doubts.append(clock + _doubt(before, believed_within))
            if number and edited == clock and clock - lost.get(name, -HEARD) < HEARD:
                # A rollout leaves a node alone until its kubelet says that the agent's pod is ready.
                doubts.append(clock + HEARD)
            doubted[name] = max(doubts)
            mode = _mode(sample, look, doubted=clock < doubted[name])
            if mode is Mode.KNOWN and clock - edited >= HEARD:
                heard[name] = sample.wanted
            nodes[name] = Node(
                mode=mode,
                lasting=before.lasting + step if before is not None and before.mode is mode else 0.0,
                agent=look.agent,
                reaches_api=look.reaches_api,
                devices={device: _device(name, device, look, sample.wanted, shared) for device in universe[name]},
                informed=mode is Mode.KNOWN or heard[name] == sample.wanted,
            )
        made.append(Fact(at=sample.at, clock=clock, beat=step, nodes=nodes))
    return made


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


def _universe(samples: Sequence[Sample]) -> dict[str, frozenset[str]]:
    """Every device of each node that anybody ever saw or spoke of."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        for name, look in sample.looks.items():
            known = found.setdefault(name, set())
            known |= look.present | (look.offered or frozenset()) | (look.held or {}).keys() | look.running.keys()
            known |= sample.reports.get(name, {}).keys()
    return {name: frozenset(devices) for name, devices in found.items()}


def _device(node: str, device: str, look: Look, wanted: Wanted, shared: Mapping[str, int]) -> Device:
    return Device(
        present=device in look.present,
        selected=device in wanted.selected,
        cordoned=(node, device) in wanted.cordoned,
        replicas=shared.get(device, 1),
        offered=None if look.offered is None else device in look.offered,
        held=None if look.held is None else look.held.get(device, frozenset()),
        running=look.running.get(device, frozenset()),
    )
