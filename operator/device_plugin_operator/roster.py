"""The nodes of one config, told apart: those that a look is about, and what all others add up to.

Of a large fleet nearly all nodes are calm nearly all the time. One that changes is taken out of the sums and put back,
so what a look costs does not grow with the fleet.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from device_plugin_api.config import MAX_PROBLEMS, DeviceCounts, ResourceSummary, SlotCounts
from device_plugin_operator.facts import NO_RIVALS, AgentPod, Calm, Config, NodeObject, Rivals
from device_plugin_operator.plan import revision
from device_plugin_operator.plan.calm import calm
from device_plugin_operator.plan.nodes import Checked
from device_plugin_operator.plan.problems import UNHEALTHY


@dataclass
class _Tally:
    """One resource over all calm nodes."""

    told: int = 0
    offering: int = 0
    devices: DeviceCounts = field(default_factory=DeviceCounts)
    slots: SlotCounts = field(default_factory=SlotCounts)


class Roster:
    """Measures nodes by one generation of a config."""

    def __init__(self, config: Config) -> None:
        self.restless: set[str] = set()
        """Nodes that need a look."""
        self._config = config
        self._wanted = revision.of(config.spec.resources, config.spec.mode) if config.spec is not None else ""
        self._calm: dict[str, NodeObject] = {}
        self._devices = DeviceCounts()
        self._tallies: dict[str, _Tally] = {}
        self._more = 0
        self._unhealthy: list[str] = []
        """Sorted: those with devices of this state, and of any other in which they do not work."""
        self._unknown: list[str] = []

    def fits(self, config: Config) -> bool:
        """Whether it measures by this one."""
        return (self._config.uid, self._config.generation) == (config.uid, config.generation)

    def __len__(self) -> int:
        """How many are calm."""
        return len(self._calm)

    def judge(
        self,
        node: str,
        found: Sequence[NodeObject],
        pods: Sequence[AgentPod],
        checked: Checked | None,
        rivals: Rivals = NO_RIVALS,
    ) -> None:
        """This is what there is now of a node."""
        before = self._calm.pop(node, None)
        if before is not None:
            self._leave(before)
        self.restless.discard(node)
        if calm(self._config, self._wanted, found, pods, checked, rivals):
            self._calm[node] = found[0]
            self._enter(found[0])
        elif found or pods:
            self.restless.add(node)

    def calm(self) -> Calm:
        """The others, added up."""
        return Calm(
            nodes=len(self._calm),
            devices=self._devices,
            resources=tuple(
                ResourceSummary(name=name, nodes=tally.offering, devices=tally.devices, slots=tally.slots)
                for name, tally in sorted(self._tallies.items())
            ),
            worst=self._worst(),
            more_troubles=self._more > 0,
        )

    def _enter(self, found: NodeObject) -> None:
        self._devices += found.counts
        for offer in found.offers:
            tally = self._tallies.setdefault(offer.resource, _Tally())
            tally.told += 1
            tally.offering += offer.counts.total > 0
            tally.devices += offer.counts
            tally.slots += offer.slots
        self._more += found.more_troubles
        for names in self._troubled(found):
            insort(names, found.node)

    def _leave(self, found: NodeObject) -> None:
        self._devices -= found.counts
        for offer in found.offers:
            tally = self._tallies[offer.resource]
            tally.told -= 1
            tally.offering -= offer.counts.total > 0
            tally.devices -= offer.counts
            tally.slots -= offer.slots
            if not tally.told:
                del self._tallies[offer.resource]
        self._more -= found.more_troubles
        for names in self._troubled(found):
            del names[bisect_left(names, found.node)]

    def _troubled(self, found: NodeObject) -> list[list[str]]:
        """The lists that it is in."""
        unhealthy = {trouble.state == UNHEALTHY for trouble in found.troubles}
        return [self._unhealthy] * (True in unhealthy) + [self._unknown] * (False in unhealthy)

    def _worst(self) -> tuple[NodeObject, ...]:
        """A status lists what is unhealthy before what is unknown, and each by node."""
        chosen: dict[str, NodeObject] = {}
        count = 0
        for names, unhealthy in ((self._unhealthy, True), (self._unknown, False)):
            for name in names:
                if count > MAX_PROBLEMS:
                    break
                chosen[name] = self._calm[name]
                count += sum((trouble.state == UNHEALTHY) is unhealthy for trouble in chosen[name].troubles)
        return tuple(chosen.values())
