"""Devices that exist only here, and fail by the clock when they are told to."""

import math
from pathlib import Path

from msgspec.structs import replace

from device_plugin_agent.clock import Clock
from device_plugin_agent.sources.base import Candidate, Discovery
from device_plugin_agent.sources.identity import id_of_simulated
from device_plugin_agent.uevents import Uevent
from device_plugin_api.node import SelectionStep
from device_plugin_api.sources import SimulatedFailure, SimulatedSource


class Simulated:
    """As many devices as asked for, spread over NUMA nodes in turn."""

    def __init__(self, resource_name: str, spec: SimulatedSource, clock: Clock) -> None:
        self._failures = spec.failures
        self._clock = clock
        self._started = clock.monotonic()
        self._all = tuple(
            Candidate(
                id=id_of_simulated(resource_name, index),
                numa_node=index % spec.numa_nodes if spec.numa_nodes else None,
                attributes={"simulated": "true"},
            )
            for index in range(spec.count)
        )
        self._steps = (SelectionStep(step="simulated by the agent", kept=len(self._all)),)
        self._steady = Discovery(candidates=self._all, steps=self._steps)

    def discover(self) -> Discovery:
        """All of them but those whose time it is to fail."""
        if not self._failures:
            return self._steady
        elapsed = self._clock.monotonic() - self._started
        how = {failure.device: failure.how for failure in self._failures if fails(failure, elapsed)}
        there = (
            replace(device, failure="is simulated to be beyond reach") if index in how else device
            for index, device in enumerate(self._all)
            if how.get(index) != "Missing"
        )
        return Discovery(
            candidates=tuple(there),
            steps=self._steps,
            changes_in=min(next_turn(failure, elapsed) for failure in self._failures),
        )

    def watched(self) -> frozenset[Path]:
        """Nothing on the host concerns them."""
        return frozenset()

    def concerns(self, event: Uevent) -> bool:
        """Nothing on the host concerns them."""
        return False


def fails(failure: SimulatedFailure, elapsed: float) -> bool:
    """Whether the device fails so many seconds after the start."""
    into = elapsed - failure.after_seconds
    if into < 0:
        return False
    return (into % failure.every_seconds if failure.every_seconds else into) < failure.for_seconds


def next_turn(failure: SimulatedFailure, elapsed: float) -> float:
    """Seconds until it begins or ends to fail; infinite after the last time."""
    into = elapsed - failure.after_seconds
    if into < 0:
        return -into
    within = into % failure.every_seconds if failure.every_seconds else into
    if within < failure.for_seconds:
        return failure.for_seconds - within
    return failure.every_seconds - within if failure.every_seconds else math.inf
