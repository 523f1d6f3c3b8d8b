"""The statuses as anybody sees them: followed by watches, the last of each kept."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from apiserver_fixture.client import ApiError, Client
from chaos_bed.counts import COUNTS
from chaos_bed.samples import Complaint, Report, Said, Summary, Told
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
        self.reports: Mapping[str, Report] = {}
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
    counts = _counts(status["devices"])
    for resource in status.get("resources", []):
        counts |= _of_resource(resource, resource["devices"])
        counts[f"{resource['name']} nodes"] = resource["nodes"]
    counts |= {f"nodes {count}": number for count, number in status.get("nodes", {}).items()}
    return Summary(
        counts=counts,
        conditions=_conditions(status),
        problems=frozenset(
            Complaint(
                node=each["node"],
                device=each.get("device", ""),
                state=each["state"],
                reason=each["reason"],
                since=_unix(each["since"]),
            )
            for each in status.get("problems", [])
        ),
        truncated=status.get("problemsTruncated", False),
    )


def report(status: Json) -> Report:
    """What a NodeDevicePlugin's status says."""
    resources = status.get("resources", [])
    counts = _counts(status.get("counts", {}))
    for resource in resources:
        counts |= _of_resource(resource, resource.get("counts", {}))
    return Report(
        devices={device["id"]: _told(device) for resource in resources for device in resource.get("devices", [])},
        counts=counts,
        registered={resource["name"]: resource.get("registered", False) for resource in resources},
        conditions=_conditions(status),
    )


def _told(device: Json) -> Told:
    holders = device.get("allocatedTo", [])
    return Told(
        state=device["state"],
        reason=device["reason"],
        holders=frozenset(f"{holder['namespace']}/{holder['pod']}/{holder['container']}" for holder in holders),
        since=_unix(device["lastTransitionTime"]),
    )


def _of_resource(resource: Json, devices: Json) -> dict[str, int]:
    name, slots = resource["name"], resource.get("slots", {})
    return {f"{name} {count}": number for count, number in _counts(devices).items()} | {
        f"{name} slots": slots.get("total", 0),
        f"{name} slots in use": slots.get("used", 0),
    }


def _counts(devices: Json) -> dict[str, int]:
    return {count: devices.get(count, 0) for count in COUNTS}


def _conditions(status: Json) -> dict[str, Said]:
    return {each["type"]: Said(status=each["status"], reason=each["reason"]) for each in status.get("conditions", [])}


def _unix(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
