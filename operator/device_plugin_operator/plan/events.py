"""Which changes of a status deserve an Event: those of the reason people look at, and no other."""

from dataclasses import dataclass

from device_plugin_api import conditions
from device_plugin_api.config import ConfigStatus

NORMAL, WARNING = "Normal", "Warning"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One Event on a config."""

    type: str
    reason: str
    message: str


def transitions(before: ConfigStatus, after: ConfigStatus) -> list[Event]:
    """An Event when Ready has got another reason; not for the mere beginning."""
    old = conditions.find(before.conditions, conditions.READY)
    new = conditions.find(after.conditions, conditions.READY)
    if new is None or new.reason == "Starting" or (old is not None and old.reason == new.reason):
        return []
    degraded = conditions.find(after.conditions, conditions.DEGRADED)
    bad = degraded is not None and degraded.status == conditions.TRUE and new.reason != "RolloutInProgress"
    return [Event(type=WARNING if bad else NORMAL, reason=new.reason, message=new.message)]
