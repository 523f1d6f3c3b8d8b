"""What the agent counts for Prometheus as it happens. What is so now is read at each scrape: see census."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_CALL = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
_SCAN = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_REGISTRATION = (0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0)


class Metrics:
    """Counters and histograms of one agent; durations are in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.allocate = Histogram(
            "device_plugin_allocate_duration_seconds",
            "Time to answer an Allocate, refusals included.",
            ["resource"],
            buckets=_CALL,
            registry=registry,
        )
        self.allocations = Counter(
            "device_plugin_allocations", "Containers that were given devices.", ["resource"], registry=registry
        )
        self.refusals = Counter(
            "device_plugin_allocation_refusals",
            "Allocates refused since a device must not be handed out.",
            ["resource"],
            registry=registry,
        )
        self.register = Histogram(
            "device_plugin_registration_duration_seconds",
            "Time from the call of Register to the kubelet's stream of devices, where both came.",
            ["resource"],
            buckets=_REGISTRATION,
            registry=registry,
        )
        self.register_failures = Counter(
            "device_plugin_registration_failures",
            "Registrations that the kubelet refused or did not answer.",
            ["resource"],
            registry=registry,
        )
        self.scan = Histogram(
            "device_plugin_scan_duration_seconds",
            "Time of one look at the host.",
            ["resource"],
            buckets=_SCAN,
            registry=registry,
        )
        self.transitions = Counter(
            "device_plugin_device_transitions",
            "Devices that came to be in a state, by the reason.",
            ["resource", "state", "reason"],
            registry=registry,
        )
        self.status_writes = Counter(
            "device_plugin_status_writes", "Status reports to the API server.", ["result"], registry=registry
        )
        for result in ("success", "error"):
            self.status_writes.labels(result)
