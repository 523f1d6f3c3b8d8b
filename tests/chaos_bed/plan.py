"""What goes wrong when: drawn from a seed, within bounds that keep every promise checkable. Pure. Times in seconds."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

CALM = 15.0
"""At the end all is mended, and nothing more goes wrong."""

_APART = 1.2
"""Between two faults, on average."""

_SAME_DEVICE = 35.0
"""Between two pulls of a device: more often, and agents call it Flapping and hold it back."""

_SAME_KUBELET, _SAME_AGENT, _SAME_EDIT, _SAME_OUTAGE = 30.0, 20.0, 5.0, 30.0

_KILLS = 5
"""Of one agent's container, until its pod is replaced: the kubelet waits longer each time before it starts it again."""

_PODS = 4
"""On one node at a time."""


@dataclass(frozen=True)
class Pull:
    """A device goes."""

    node: str
    device: str


@dataclass(frozen=True)
class Plug:
    """It comes back."""

    node: str
    device: str


@dataclass(frozen=True)
class KillAgent:
    """SIGKILL."""

    node: str


@dataclass(frozen=True)
class ReplaceAgent:
    """Its pod is deleted."""

    node: str


@dataclass(frozen=True)
class RestartKubelet:
    """By systemd."""

    node: str


@dataclass(frozen=True)
class CutApi:
    """The API server stands still (`node` empty), or that node does not reach it."""

    node: str


@dataclass(frozen=True)
class JoinApi:
    """That is over."""

    node: str


@dataclass(frozen=True)
class Edit:
    """The config is edited, and from then on is so."""

    excluded: str = ""
    cordoned: frozenset[tuple[str, str]] = frozenset()
    """Node and device."""
    shares: bool = True
    """Whether it has the resource whose devices are shared."""


@dataclass(frozen=True)
class StartPod:
    """A pod that asks for one device."""

    node: str
    name: str
    shared: bool


@dataclass(frozen=True)
class EndPod:
    """It is deleted."""

    name: str


Fault = Pull | Plug | KillAgent | ReplaceAgent | RestartKubelet | CutApi | JoinApi | Edit | StartPod | EndPod


@dataclass(frozen=True)
class Step:
    """A fault and when, after the beginning."""

    at: float
    fault: Fault


@dataclass(frozen=True, kw_only=True)
class World:
    """What there is to go wrong. Each device is on each node."""

    nodes: Sequence[str]
    plain: Sequence[str]
    shared: Sequence[str]


def plan(world: World, seed: int, seconds: float) -> list[Step]:
    """In the order of time. The same seed gives the same plan."""
    return list(_Planner(world, random.Random(seed), seconds - CALM).steps())


_Draw = Callable[[float], Fault | None]


@dataclass
class _Planner:
    world: World
    chance: random.Random
    end: float
    due: list[Step] = field(default_factory=list)
    """What is to be mended."""
    last: dict[tuple[str, str], float] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    pods: dict[str, str] = field(default_factory=dict)
    """Pod → node."""
    made: int = 0
    config: Edit = field(default_factory=Edit)
    standing: bool = False
    """Whether the API server stands still."""

    def steps(self) -> Iterator[Step]:
        draws: dict[_Draw, int] = {
            self._pull: 8,
            self._start_pod: 8,
            self._end_pod: 6,
            self._edit: 4,
            self._kill: 3,
            self._replace: 1,
            self._restart: 2,
            self._stand_still: 1,
            self._cut: 1,
        }
        now = 0.0
        while (now := now + self.chance.expovariate(1 / _APART)) < self.end:
            yield from self._mended(now)
            (draw,) = self.chance.choices(list(draws), list(draws.values()))
            fault = draw(now)
            if fault is not None:
                yield Step(now, fault)
        yield from self._mended(float("inf"))
        if self.config != Edit():
            yield Step(self.end, Edit())

    def _mended(self, now: float) -> Iterator[Step]:
        due = sorted((step for step in self.due if step.at <= now), key=lambda step: step.at)
        self.due = [step for step in self.due if step.at > now]
        for step in due:
            if step.fault == JoinApi(""):
                self.standing = False
            yield Step(min(step.at, self.end), step.fault)

    def _free(self, what: str, which: str, now: float, apart: float) -> bool:
        """Whether the last time is long ago; if so, this is the last time."""
        if now - self.last.get((what, which), float("-inf")) < apart:
            return False
        self.last[what, which] = now
        return True

    def _pull(self, now: float) -> Fault | None:
        node = self.chance.choice(self.world.nodes)
        device = self.chance.choice([*self.world.plain, *self.world.shared])
        if not self._free("device", f"{node} {device}", now, _SAME_DEVICE):
            return None
        self.due.append(Step(now + self.chance.uniform(1.0, 12.0), Plug(node, device)))
        return Pull(node, device)

    def _kill(self, now: float) -> Fault | None:
        node = self.chance.choice(self.world.nodes)
        if self.kills.get(node, 0) >= _KILLS or not self._free("agent", node, now, _SAME_AGENT):
            return None
        self.kills[node] = self.kills.get(node, 0) + 1
        return KillAgent(node)

    def _replace(self, now: float) -> Fault | None:
        node = self.chance.choice(self.world.nodes)
        if self.standing or not self._free("agent", node, now, _SAME_AGENT):
            return None
        self.kills[node] = 0
        return ReplaceAgent(node)

    def _restart(self, now: float) -> Fault | None:
        node = self.chance.choice(self.world.nodes)
        return RestartKubelet(node) if self._free("kubelet", node, now, _SAME_KUBELET) else None

    def _stand_still(self, now: float) -> Fault | None:
        # Shorter than what makes controllers give their leases up (10 s): this is not about them.
        return self._outage("", now, 1.0, 4.0)

    def _cut(self, now: float) -> Fault | None:
        # Shorter than what makes Kubernetes call a node not ready (50 s).
        return self._outage(self.chance.choice(self.world.nodes), now, 3.0, 15.0)

    def _outage(self, node: str, now: float, least: float, most: float) -> Fault | None:
        if not self._free("outage", "", now, _SAME_OUTAGE):
            return None
        self.standing = not node
        self.due.append(Step(now + self.chance.uniform(least, most), JoinApi(node)))
        return CutApi(node)

    def _edit(self, now: float) -> Fault | None:
        if self.standing or not self._free("config", "", now, _SAME_EDIT):
            return None
        known = self.config
        devices = [(node, device) for node in self.world.nodes for device in self.world.plain]
        self.config = self.chance.choice(
            [
                Edit("" if known.excluded else self.chance.choice(self.world.plain), known.cordoned, known.shares),
                Edit(
                    known.excluded,
                    frozenset() if known.cordoned else frozenset(self.chance.sample(devices, 2)),
                    known.shares,
                ),
                Edit(known.excluded, known.cordoned, not known.shares),
            ]
        )
        return self.config

    def _start_pod(self, now: float) -> Fault | None:
        node = self.chance.choice(self.world.nodes)
        if self.standing or list(self.pods.values()).count(node) >= _PODS:
            return None
        name = f"p{self.made}"
        self.made += 1
        self.pods[name] = node
        return StartPod(node, name, shared=self.chance.random() < 0.4)

    def _end_pod(self, now: float) -> Fault | None:
        if self.standing or not self.pods:
            return None
        name = self.chance.choice(sorted(self.pods))
        del self.pods[name]
        return EndPod(name)
