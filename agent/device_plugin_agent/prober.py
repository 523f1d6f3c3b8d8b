"""Asks the polled probes of one resource, each when it is due."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from device_plugin_agent.clock import Clock
from device_plugin_agent.entry import Entry
from device_plugin_agent.health.lookout import Lookout
from device_plugin_agent.health.probes import Polled, period_of
from device_plugin_agent.health.tracker import RECOVERY_PERIOD, Observation
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.signal import Signal
from device_plugin_api.resource import Probe

Key = tuple[str, Probe]
"""Device and probe."""

Tell = Callable[[Mapping[Key, Observation]], None]


class Prober:
    """Keeps an inventory told. Without polled probes it sleeps."""

    def __init__(
        self,
        inventory: Inventory,
        probes: Mapping[Probe, Polled],
        *,
        loop: str,
        lookout: Lookout,
        clock: Clock,
        pulse: Pulse,
        tell: Tell,
    ) -> None:
        """`loop` is its name for the pulse."""
        self.changed = Signal()
        """Fire when devices come and go."""
        self.started = asyncio.Event()
        """Whether every device that was there at first has been looked at."""
        self._inventory = inventory
        self._probes = probes
        self._loop = loop
        self._lookout = lookout
        self._clock = clock
        self._pulse = pulse
        self._tell = tell
        self._asked: dict[Key, float] = {}

    def replace(self, probes: Mapping[Probe, Polled]) -> None:
        """The configuration asks for others; those that stay are due again."""
        self._probes = probes
        self._asked.clear()
        self.changed.fire()

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                seen = self.changed.count
                due = self._due()
                if due:
                    self._pulse.turned(self._loop, self._lookout.longest(len(due)))
                    answers = await self._lookout.look(due)
                    asked = self._clock.monotonic()
                    self._tell(answers)
                    self._asked |= dict.fromkeys(answers, asked)
                self.started.set()
                wait = self._wait()
                self._pulse.turned(self._loop, wait)
                await self.changed.after(seen, wait)
        finally:
            self._pulse.ended(self._loop)

    def _due(self) -> dict[Key, Callable[[], Observation]]:
        now = self._clock.monotonic()
        present = self._present()
        self._asked = {key: at for key, at in self._asked.items() if key[0] in present and key[1] in self._probes}
        return {
            (device_id, probe): partial(look, entry.device)
            for device_id, entry in present.items()
            for probe, look in self._probes.items()
            if now >= self._next(entry, probe)
        }

    def _wait(self) -> float | None:
        due = [self._next(entry, probe) for entry in self._present().values() for probe in self._probes]
        return max(0.0, min(due) - self._clock.monotonic()) if due else None

    def _next(self, entry: Entry, probe: Probe) -> float:
        asked = self._asked.get((entry.device.id, probe))
        if asked is None:
            return float("-inf")
        period = period_of(probe, self._inventory.health)
        return asked + (period if entry.settled else min(period, RECOVERY_PERIOD))

    def _present(self) -> dict[str, Entry]:
        if not self._probes:
            return {}
        return {
            device_id: entry for device_id, entry in self._inventory.entries.items() if entry.present and entry.selected
        }
