"""What the agent counts as it happens, as plain numbers. How Prometheus is told them, and what is so now: see census.

prometheus_client could count too. But it loads an HTTP server and a mail parser, a tenth of the time from start to
registered, so it has to wait until somebody asks for metrics.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

_CALL = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
_SCAN = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_REGISTRATION = (0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0)

Values = tuple[str, ...]
"""One for each label."""


class Counter:
    """How often something happened."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self.counted: dict[Values, int] = {}

    def add(self, *values: str, count: int = 1) -> None:
        """It happened, so many times."""
        self.counted[values] = self.counted.get(values, 0) + count


class Histogram:
    """How long something took, in seconds; `bounds` are the upper ones of its buckets, ascending."""

    def __init__(self, name: str, meaning: str, *labels: str, bounds: tuple[float, ...]) -> None:
        self.name, self.meaning, self.labels, self.bounds = name, meaning, labels, bounds
        self.counted: dict[Values, list[int]] = {}
        """How many fell into each bucket; the last one has no bound."""
        self.total: dict[Values, float] = {}

    def observe(self, *values: str, seconds: float) -> None:
        """It took that long. As Prometheus has it, a bound belongs to its bucket."""
        counts = self.counted.setdefault(values, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, seconds)] += 1
        self.total[values] = self.total.get(values, 0.0) + seconds

    @contextmanager
    def time(self, *values: str) -> Iterator[None]:
        """It takes as long as what is done meanwhile, also when that fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(*values, seconds=time.perf_counter() - began)


class Metrics:
    """Counters and histograms of one agent."""

    def __init__(self) -> None:
        self.allocate = Histogram(
            "device_plugin_allocate_duration_seconds",
            "Time to answer an Allocate, refusals included.",
            "resource",
            bounds=_CALL,
        )
        self.allocations = Counter("device_plugin_allocations", "Containers that were given devices.", "resource")
        self.refusals = Counter(
            "device_plugin_allocation_refusals",
            "Allocates refused since a device must not be handed out.",
            "resource",
        )
        self.register = Histogram(
            "device_plugin_registration_duration_seconds",
            "Time from the call of Register to the kubelet's stream of devices, where both came.",
            "resource",
            bounds=_REGISTRATION,
        )
        self.register_failures = Counter(
            "device_plugin_registration_failures",
            "Registrations that the kubelet refused or did not answer.",
            "resource",
        )
        self.scan = Histogram(
            "device_plugin_scan_duration_seconds", "Time of one look at the host.", "resource", bounds=_SCAN
        )
        self.transitions = Counter(
            "device_plugin_device_transitions",
            "Devices that came to be in a state, by the reason.",
            "resource",
            "state",
            "reason",
        )
        self.status_writes = Counter("device_plugin_status_writes", "Status reports to the API server.", "result")
        for result in ("success", "error"):
            self.status_writes.add(result, count=0)

    @property
    def counters(self) -> tuple[Counter, ...]:
        """All of them."""
        return self.allocations, self.refusals, self.register_failures, self.transitions, self.status_writes

    @property
    def histograms(self) -> tuple[Histogram, ...]:
        """All of them."""
        return self.allocate, self.register, self.scan
