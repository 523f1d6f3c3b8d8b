"""What the operator counts for Prometheus as it happens, under controller-runtime's names: its dashboards fit."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CONTROLLER = "devicepluginconfig"
"""The value of `controller` and of the queue's `name`."""

_RECONCILE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_QUEUE = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
_RESULTS = ("success", "requeue_after", "error")


class Metrics:
    """Counters and histograms of one operator; durations are in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        reconciles = Counter(
            "controller_runtime_reconcile",
            "Looks at a config, by how they ended.",
            ["controller", "result"],
            registry=self.registry,
        )
        self.reconciles = {result: reconciles.labels(CONTROLLER, result) for result in _RESULTS}
        self.errors = Counter(
            "controller_runtime_reconcile_errors", "Looks that failed.", ["controller"], registry=self.registry
        ).labels(CONTROLLER)
        self.panics = Counter(
            "controller_runtime_reconcile_panics",
            "Looks that failed by a mistake in the operator.",
            ["controller"],
            registry=self.registry,
        ).labels(CONTROLLER)
        self.reconcile_time = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of one look.",
            ["controller"],
            buckets=_RECONCILE,
            registry=self.registry,
        ).labels(CONTROLLER)
        self.active_workers = Gauge(
            "controller_runtime_active_workers",
            "Workers that look at a config now.",
            ["controller"],
            registry=self.registry,
        ).labels(CONTROLLER)
        self.max_workers = Gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers.", ["controller"], registry=self.registry
        ).labels(CONTROLLER)
        self.adds = Counter(
            "workqueue_adds", "Configs that came into the queue.", ["name"], registry=self.registry
        ).labels(CONTROLLER)
        self.retries = Counter(
            "workqueue_retries", "Configs that came back since a look failed.", ["name"], registry=self.registry
        ).labels(CONTROLLER)
        self.queue_duration = Histogram(
            "workqueue_queue_duration_seconds",
            "Time from when a config was due until a worker had it.",
            ["name"],
            buckets=_QUEUE,
            registry=self.registry,
        ).labels(CONTROLLER)
        self.work_duration = Histogram(
            "workqueue_work_duration_seconds",
            "Time for which a worker had a config.",
            ["name"],
            buckets=_QUEUE,
            registry=self.registry,
        ).labels(CONTROLLER)
        self._requests = Counter(
            "rest_client_requests", "Requests to the API server.", ["code", "method"], registry=self.registry
        )

    def answered(self, method: str, path: str, status: int) -> None:
        """Count a request. Without an answer its code is "<error>", as client-go says it."""
        self._requests.labels(str(status) if status else "<error>", method).inc()
