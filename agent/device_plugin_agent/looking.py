"""When the host is looked at, and what each look means for every resource."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from device_plugin_agent.claims.ledger import Named
from device_plugin_agent.clock import Clock
from device_plugin_agent.health.tracker import RECOVERY_PERIOD
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.ownership import Ownership
from device_plugin_agent.pace import Pace
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.served import Served, serving
from device_plugin_agent.serving import without_claimed, without_held, without_surplus, without_taken
from device_plugin_agent.signal import Signal
from device_plugin_agent.telling import Telling
from device_plugin_agent.uevents import Uevent, Uevents
from device_plugin_agent.watch import DirectoryWatch

_Known = TypeVar("_Known")

_SETTLE = 0.005
"""Seconds after a first event in which its companions (mknod, chmod, udev's links) arrive; one look sees them all."""

_LOOK_INTERVAL, _LOOKS_AT_ONCE = 0.1, 3
"""Seconds between two looks, however many events there are; before that a few at once, for people plug by hand."""

_LONGEST_TURN = 30.0
"""Seconds between two looks for work while nothing is served."""


class Looking:
    """Looks at the host at each event and once a period. `served` is read anew each time."""

    def __init__(
        self,
        served: Mapping[str, Served],
        *,
        events: Signal,
        ownership: Ownership,
        telling: Telling,
        metrics: Metrics,
        clock: Clock,
        pulse: Pulse,
        there: Callable[[str], bool],
        looked: Callable[[], None],
    ) -> None:
        """`there` tells whether a path of the host leads to something.

        `looked` is called when every inventory knows what was seen; resources may begin and end in it.
        """
        self._served = served
        self._events = events
        self._ownership = ownership
        self._telling = telling
        self._metrics = metrics
        self._clock = clock
        self._pulse = pulse
        self._there = there
        self._inventories_know = looked
        self._pace = Pace(_LOOK_INTERVAL, at_once=_LOOKS_AT_ONCE)

    async def run(self) -> None:
        """Look until cancelled."""
        watch = DirectoryWatch(self._events.fire)
        uevents = Uevents(self._happened)
        uevents.open()
        try:
            while True:
                seen = self._events.count
                # Before the look: what appears after it then wakes us.
                watched = {path for served in self._served.values() for path in served.source.watched()}
                watch.follow({self._ownership.directory, *watched})
                self.look()
                wait = self._until_due()
                self._pulse.turned("host", wait)
                if await self._events.after(seen, wait) != seen:
                    await asyncio.sleep(_SETTLE)
                    self.all_due()
                    await asyncio.sleep(self._pace.wait(self._clock.monotonic()))
        finally:
            uevents.close()
            watch.close()

    def all_due(self) -> None:
        """The next look is at every resource."""
        for served in self._served.values():
            served.due = 0.0

    def look(self) -> None:
        """Look at every resource whose time has come. Nothing in here waits: readers never see half a change."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        # Before the look: what is there by then, and not found, is not wanted.
        back = {name: self._back(served) for name, served in self._served.items()}
        looked = self._discover(monotonic)
        if self._moved(looked):
            # Offered by both until the other looks too, it could be handed out twice.
            self.all_due()
            looked = self._discover(monotonic)
        claimed, held = self._ownership.claim(), self._ownership.held()
        for name, served in looked.items():
            found = without_held(served.discovery, _of(name, held))
            with self._telling.news(served):
                served.inventory.observe(
                    without_claimed(found, _of(name, claimed)),
                    gone=self._gone(served),
                    back=back[name],
                    now=now,
                    monotonic=monotonic,
                )
            served.looked.set()
            self._telling.write_files(served)
            served.due = monotonic + _period(served)
        self._inventories_know()
        self._take_over(now, monotonic)
        self._ownership.let_go()

    def _discover(self, monotonic: float) -> dict[str, Served]:
        """Those that were looked at, what each has found taken in."""
        looked: dict[str, Served] = {}
        taken: dict[str, str] = {}
        for name, served in self._served.items():
            if monotonic >= served.due:
                with self._metrics.scan.time(name):
                    found = served.source.discover()
                if found.pending:
                    served.due = monotonic + RECOVERY_PERIOD
                else:
                    fitting = without_surplus(found, served.resource.sharing.replicas)
                    served.discovery = without_taken(fitting, taken)
                    looked[name] = served
            if not served.draining:
                taken |= dict.fromkeys(_marks(served), name)
        return looked

    def _moved(self, looked: Mapping[str, Served]) -> bool:
        """Whether something was found that a resource whose time has not come had when it last looked."""
        others = [served for name, served in self._served.items() if name not in looked and not served.draining]
        if not others:
            return False
        found = {mark for served in looked.values() if not served.draining for mark in _marks(served)}
        return any(not found.isdisjoint(_marks(served)) for served in others)

    def _take_over(self, now: float, monotonic: float) -> None:
        """What was ours when the last agent process ended and was not found now is missing, and so it stays ours.

        Unless it is there: then it is no longer wanted, and ours for as long as a container has it.
        """
        missed = self._ownership.take_over()
        for name, served in serving(self._served).items() if missed else ():
            ours = _of(name, missed)
            there = [device for device, nodes in ours.items() if any(map(self._there, nodes))]
            with self._telling.news(served):
                served.inventory.inherit(ours, there, now=now, monotonic=monotonic)

    def _back(self, served: Served) -> frozenset[str]:
        """IDs of what was missed when this process began, and is on the node again."""
        missed = served.inventory.missed
        return frozenset(device for device, nodes in missed.items() if any(map(self._there, nodes)))

    def _gone(self, served: Served) -> frozenset[str]:
        """IDs of what is not wanted, and not on the node any more."""
        unwanted = (entry for entry in served.inventory.entries.values() if not entry.selected)
        known = ((entry.device.id, served.inventory.places(entry)) for entry in unwanted)
        return frozenset(device for device, places in known if places and not any(map(self._there, places)))

    def _happened(self, event: Uevent | None) -> None:
        if event is None or any(served.source.concerns(event) for served in self._served.values()):
            self._events.fire()

    def _until_due(self) -> float:
        if not self._served:
            return _LONGEST_TURN
        return max(0.0, min(served.due for served in self._served.values()) - self._clock.monotonic())


def _marks(served: Served) -> Iterator[str]:
    """By what others would know what it has found."""
    return (mark for device in served.discovery.candidates for mark in device.marks)


def _period(served: Served) -> float:
    """Seconds until the next look."""
    period = served.resource.health.period_seconds if served.inventory.settled else RECOVERY_PERIOD
    by_itself = served.discovery.changes_in
    return period if by_itself is None else min(period, max(by_itself, _LOOK_INTERVAL))


def _of(name: str, known: Mapping[Named, _Known]) -> dict[str, _Known]:
    """Those of one resource, by device."""
    return {device: each for (resource, device), each in known.items() if resource == name}
