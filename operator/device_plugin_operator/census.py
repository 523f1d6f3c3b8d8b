"""What is so at the moment of a scrape: the queue, the Lease, and what each config's status says."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from device_plugin_api import __version__, conditions
from device_plugin_api.config import ConfigStatus
from device_plugin_operator.leader import LEASE
from device_plugin_operator.metrics import CONTROLLER
from device_plugin_operator.queue import WorkQueue

_DEVICE_STATES = ("healthy", "unhealthy", "unknown", "cordoned")
_NODE_STATES = ("desired", "ready", "updated")


class Census(Collector):
    """Reads, and keeps nothing."""

    def __init__(
        self, *, queue: WorkQueue, leads: Callable[[], bool], statuses: Callable[[], Mapping[str, ConfigStatus]]
    ) -> None:
        self._queue = queue
        self._leads = leads
        self._statuses = statuses

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
        yield from self._of_queue()
        leading = GaugeMetricFamily("leader_election_master_status", "1 for the one that leads.", labels=["name"])
        leading.add_metric([LEASE], self._leads())
        yield leading
        yield from _of_configs(self._statuses())
        build = InfoMetricFamily("device_plugin_operator_build", "This operator.")
        build.add_metric([], {"version": __version__})
        yield build

    def _of_queue(self) -> Iterable[Metric]:
        held = self._queue.held()
        for name, text, value in (
            ("workqueue_depth", "Configs that are due and wait for a worker.", self._queue.depth()),
            ("workqueue_unfinished_work_seconds", "How long workers have had their configs, in all.", sum(held)),
            ("workqueue_longest_running_processor_seconds", "How long the slowest has.", max(held, default=0.0)),
        ):
            family = GaugeMetricFamily(name, text, labels=["name"])
            family.add_metric([CONTROLLER], value)
            yield family


def _of_configs(statuses: Mapping[str, ConfigStatus]) -> Iterable[Metric]:
    devices = GaugeMetricFamily(
        "device_plugin_config_devices", "Devices by state.", labels=["config", "resource", "state"]
    )
    allocated = GaugeMetricFamily(
        "device_plugin_config_devices_allocated", "Devices given to a container.", labels=["config", "resource"]
    )
    nodes = GaugeMetricFamily("device_plugin_config_nodes", "Nodes, as in the status.", labels=["config", "state"])
    conditions_ = GaugeMetricFamily(
        "device_plugin_config_condition",
        "1 when the condition is True, by its reason.",
        labels=["config", "condition", "reason"],
    )
    for name, status in sorted(statuses.items()):
        for resource in status.resources:
            for state in _DEVICE_STATES:
                devices.add_metric([name, resource.name, state], getattr(resource.devices, state))
            allocated.add_metric([name, resource.name], resource.devices.allocated)
        for state in _NODE_STATES:
            nodes.add_metric([name, state], getattr(status.nodes, state))
        for condition in status.conditions:
            conditions_.add_metric([name, condition.type, condition.reason], condition.status == conditions.TRUE)
    yield from (devices, allocated, nodes, conditions_)
