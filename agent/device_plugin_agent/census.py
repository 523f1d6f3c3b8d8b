"""What Prometheus is told: what was counted, and what is so now. Loaded when it first asks: see metrics."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from device_plugin_agent.http import Answer
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.status import Offer
from device_plugin_api.node import MAX_LISTED_DEVICES, DeviceState


class Census(Collector):
    """One scrape; `now` in seconds since the epoch."""

    def __init__(
        self,
        metrics: Metrics,
        offers: Sequence[Offer],
        *,
        revision: str,
        kubelet_restarts: int,
        now: float,
        version: str,
    ) -> None:
        self._metrics = metrics
        self._offers = offers
        self._revision = revision
        self._kubelet_restarts = kubelet_restarts
        self._now = now
        self._version = version

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        yield from _counted(self._metrics)
        devices = GaugeMetricFamily("device_plugin_devices", "Devices by state.", labels=["resource", "state"])
        holders = GaugeMetricFamily(
            "device_plugin_device_allocated",
            "1 for each container that has a device.",
            labels=["resource", "device", "namespace", "pod", "container"],
        )
        registered = GaugeMetricFamily(
            "device_plugin_registered", "Whether the kubelet has the resource now.", labels=["resource"]
        )
        age = GaugeMetricFamily(
            "device_plugin_stream_age_seconds", "Since when the kubelet listens to its devices.", labels=["resource"]
        )
        for offer in self._offers:
            states = [entry.track.state for entry in offer.inventory.entries.values()]
            for state in DeviceState:
                devices.add_metric([offer.name, state.value], states.count(state))
            used = [entry for entry in offer.inventory.entries.values() if entry.use]
            for entry in used[:MAX_LISTED_DEVICES]:
                for holder in entry.holders:
                    labels = [offer.name, entry.device.id, holder.namespace, holder.pod, holder.container]
                    holders.add_metric(labels, 1)
            if not offer.preview:
                registered.add_metric([offer.name], offer.registration.now)
            if offer.registration.now and offer.registration.at is not None:
                age.add_metric([offer.name], max(0.0, self._now - offer.registration.at))
        yield from (devices, holders, registered, age)
        restarts = CounterMetricFamily("device_plugin_kubelet_restarts", "Kubelets that took another's place.")
        restarts.add_metric([], self._kubelet_restarts)
        yield restarts
        config = InfoMetricFamily("device_plugin_config", "The configuration that is served.")
        config.add_metric([], {"revision": self._revision})
        yield config
        build = InfoMetricFamily("device_plugin_build", "This agent.")
        build.add_metric([], {"version": self._version})
        yield build


def _counted(metrics: Metrics) -> Iterator[Metric]:
    for counter in metrics.counters:
        family = CounterMetricFamily(counter.name, counter.meaning, labels=counter.labels)
        for values, count in counter.counted.items():
            family.add_metric(values, count)
        yield family
    for histogram in metrics.histograms:
        durations = HistogramMetricFamily(histogram.name, histogram.meaning, labels=histogram.labels)
        bounds = [*map(str, histogram.bounds), "+Inf"]
        for values, counts in histogram.counted.items():
            durations.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), histogram.total[values])
        yield durations


def page(census: Census) -> Answer:
    """What /metrics answers: the census, and the process itself."""
    registry = CollectorRegistry()
    registry.register(census)
    ProcessCollector(registry=registry)
    return Answer(True, generate_latest(registry).decode(), CONTENT_TYPE_PLAIN_0_0_4)
