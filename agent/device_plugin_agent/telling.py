"""Who hears of it when a resource's devices change: the kubelet, container runtimes, the status, metrics, the log."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from device_plugin_agent.cdi.upkeep import Upkeep
from device_plugin_agent.devinfo.upkeep import Upkeep as DeviceInfoUpkeep
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.served import Served

_log = logging.getLogger(__name__)


class Telling:
    """Tells what changed, and keeps the files that tell of devices."""

    def __init__(
        self, *, cdi: Upkeep, devinfo: DeviceInfoUpkeep, metrics: Metrics, changed: Callable[[], None]
    ) -> None:
        self.changed = changed
        """To be called when the status may be another one."""
        self._cdi = cdi
        self._devinfo = devinfo
        self._metrics = metrics

    @contextmanager
    def news(self, served: Served) -> Iterator[None]:
        """Tell everybody what the block changes."""
        before = served.inventory.version
        known = {device_id: entry.track for device_id, entry in served.inventory.entries.items()}
        yield
        if served.inventory.version == before:
            return
        for device_id, entry in served.inventory.entries.items():
            track = known.get(device_id)
            if track is None or (track.state, track.reason) != (entry.track.state, entry.track.reason):
                self._transition(served.resource.name, device_id, entry.track.state.value, entry.track.reason)
        self.write_files(served)  # before the kubelet can hand out what is new
        served.plugin.changed.fire()
        served.prober.changed.fire()
        self.changed()

    def write_files(self, served: Served) -> None:
        """Bring the files of a resource up to date."""
        if served.preview:
            return
        settings = None if served.plugin.cdi is None else served.resource.allocation
        self._cdi.settle(served.cdi, served.inventory, settings)
        network = served.resource.source.network is not None
        self._devinfo.settle(served.resource.name, served.inventory, told=network)

    def heard(self, use: Mapping[str, Collection[str]], serving: Collection[str]) -> None:
        """Who has what, by podresources: files of resources that are neither in use nor served go."""
        self._cdi.heard(use.keys(), serving)
        self._devinfo.heard(use, serving)

    def _transition(self, resource: str, device: str, state: str, reason: str) -> None:
        self._metrics.transitions.add(resource, state, reason)
        about = {"resource": resource, "device": device, "state": state, "reason": reason}
        _log.info("Device changed", extra=about)
