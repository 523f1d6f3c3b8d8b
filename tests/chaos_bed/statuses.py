"""The statuses as anybody sees them: followed by watches, the last of each kept."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from apiserver_fixture.client import ApiError, Client
from chaos_bed.samples import Complaint, Summary, Told
from chaos_bed.statements import COUNTS
from e2e_bed.cluster import GROUP, Json

_WATCH_SECONDS = 60
_PAUSE = 0.1
"""Seconds before an attempt to watch again."""


class Statuses:
    """Of one config and its NodeDevicePlugins. Threads follow; they end with the process, or soon after stop()."""

    def __init__(self, client: Client, config: str) -> None:
        self.spec: Json = {}
        """The config's own, as the API server has it."""
        self.summary: Summary | None = None
        self.reports: Mapping[str, Mapping[str, Told]] = {}
        self._client = client
        self._stopped = threading.Event()
        self._follow("DevicePluginConfig", self._take_config, fieldSelector=f"metadata.name={config}")
        self._follow("NodeDevicePlugin", self._take_report, labelSelector=f"deviceplugins.dev/config={config}")

    def stop(self) -> None:
        """Follow no longer."""
        self._stopped.set()

    def _follow(self, kind: str, take: Callable[[Json], None], **query: str) -> None:
        path = self._client.path(GROUP, kind)

        def follow() -> None:
            while not self._stopped.wait(_PAUSE):
                with suppress(OSError, ApiError, ValueError):
                    for event in self._client.watch(path, seconds=_WATCH_SECONDS, **query):
                        if self._stopped.is_set():
                            return
                        if event["type"] in ("ADDED", "MODIFIED"):
                            take(event["object"])

        threading.Thread(target=follow, name=f"follows {kind}", daemon=True).start()

    def _take_config(self, found: Json) -> None:
        self.spec = found["spec"]
        self.summary = summary(found.get("status", {}))

    def _take_report(self, found: Json) -> None:
        self.reports = {**self.reports, found["spec"]["nodeName"]: report(found.get("status", {}))}


def summary(status: Json) -> Summary | None:
    """What a config's status says; None before it says anything."""
    if "devices" not in status:
        return None
    ready = [each["reason"] for each in status["conditions"] if each["type"] == "Ready"]
    return Summary(
        reason=ready[0] if ready else "",
        counts={count: status["devices"].get(count, 0) for count in COUNTS},
        problems=frozenset(
            Complaint(node=each["node"], device=each.get("device", ""), state=each["state"], reason=each["reason"])
            for each in status.get("problems", [])
        ),
    )


def report(status: Json) -> dict[str, Told]:
    """What a NodeDevicePlugin's status says of each device."""
    return {
        device["id"]: Told(
            state=device["state"],
            reason=device["reason"],
            holders=frozenset(
                f"{holder['namespace']}/{holder['pod']}/{holder['container']}"
                for holder in device.get("allocatedTo", [])
            ),
        )
        for resource in status.get("resources", [])
        for device in resource.get("devices", [])
    }
