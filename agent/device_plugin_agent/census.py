"""What is so at the moment of a scrape: devices, their users, streams, the configuration."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from device_plugin_agent.http import Answer
from device_plugin_agent.status import Offer
from device_plugin_api.node import MAX_LISTED_DEVICES, DeviceState


class Census(Collector):
    """Reads, and keeps nothing."""

    def __init__(
        self,
        *,
        offers: Callable[[], Sequence[Offer]],
        revision: Callable[[], str],
        kubelet_restarts: Callable[[], int],
        now: Callable[[], float],
        version: str,
    ) -> None:
        self._offers = offers
        self._revision = revision
        self._kubelet_restarts = kubelet_restarts
        self._now = now
        self._version = version

    def collect(self) -> Iterable[Metric]:
        """One scrape."""
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
        for offer in self._offers():
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
                age.add_metric([offer.name], max(0.0, self._now() - offer.registration.at))
        yield from (devices, holders, registered, age)
        restarts = CounterMetricFamily("device_plugin_kubelet_restarts", "Kubelets that took another's place.")
        restarts.add_metric([], self._kubelet_restarts())
        yield restarts
        config = InfoMetricFamily("device_plugin_config", "The configuration that is served.")
        config.add_metric([], {"revision": self._revision()})
        yield config
        build = InfoMetricFamily("device_plugin_build", "This agent.")
        build.add_metric([], {"version": self._version})
        yield build


def page(registry: CollectorRegistry, census: Census) -> Callable[[], Answer]:
    """What /metrics answers: all that was counted, what is so now, and the process itself."""
    registry.register(census)
    ProcessCollector(registry=registry)
    return lambda: Answer(True, generate_latest(registry).decode(), CONTENT_TYPE_PLAIN_0_0_4)
