"""Events on configs, few enough that a storm in the fleet is none in etcd."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from device_plugin_api import group
from device_plugin_operator import paths
from device_plugin_operator.client import RequestFailed, Requests
from device_plugin_operator.clock import Clock
from device_plugin_operator.facts import Config
from device_plugin_operator.plan.events import Event

_BURST = 10.0
_PER_SECOND = 1 / 30
_MAX_NOTE = 1024
"""Bytes, by the API server's validation."""

_log = logging.getLogger(__name__)


class Budget:
    """So many at once, then one now and then."""

    def __init__(self, now: float) -> None:
        self._left = _BURST
        self._at = now

    def take(self, now: float) -> bool:
        """Whether there is one left."""
        self._left = min(_BURST, self._left + (now - self._at) * _PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Recorder:
    """Posts Events. One that is lost is lost: the status has it all."""

    def __init__(self, client: Requests, clock: Clock, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._instance = instance
        self._budgets: dict[str, Budget] = {}
        self._count = 0

    def forget(self, name: str) -> None:
        """The config is gone."""
        self._budgets.pop(name, None)

    async def post(self, config: Config, events: Iterable[Event]) -> None:
        """Post them, as far as the config's budget goes."""
        for event in events:
            budget = self._budgets.setdefault(config.name, Budget(self._clock.monotonic()))
            if not budget.take(self._clock.monotonic()):
                continue
            try:
                await self._client.request("POST", paths.EVENTS, body=self._body(config, event))
            except RequestFailed as error:
                _log.warning("Could not post an Event", extra={"config": config.name, "err": str(error)})

    def _body(self, config: Config, event: Event) -> dict[str, object]:
        now = self._clock.now()
        self._count += 1
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{config.name}.{int(now * 1000):x}.{self._count:x}", "namespace": "default"},
            "eventTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"{group.GROUP}/operator",
            "reportingInstance": self._instance,
            "type": event.type,
            "reason": event.reason,
            "action": "Reconcile",
            "note": _shortened(event.message),
            "regarding": {
                "apiVersion": group.API_VERSION,
                "kind": group.CONFIG_KIND,
                "name": config.name,
                "uid": config.uid,
            },
        }


def _shortened(note: str) -> str:
    content = note.encode()
    if len(content) <= _MAX_NOTE:
        return note
    end = "…"
    return content[: _MAX_NOTE - len(end.encode())].decode(errors="ignore") + end
