"""From what was seen to a device's state: thresholds, recovery, and never a state without a reason. Pure."""

from enum import Enum

import msgspec
from msgspec.structs import replace

from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Health

RECOVERY_PERIOD = 1.0
"""Seconds between two looks that count towards a change, and between looks at a device on its way back."""


class Look(Enum):
    """What one look at a device saw."""

    GOOD = "good"
    BAD = "bad"
    ABSENT = "absent"
    """Gone, or cut off: so certain that one look is enough."""
    FAILED = "failed"
    """The look itself failed: nothing is known about the device."""
    BLIND = "blind"
    """Nobody can look at it now, so certain that one look is enough: it is Unknown for as long as that lasts."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One look, and why."""

    look: Look
    reason: str
    message: str = ""


WORKS = Observation(look=Look.GOOD, reason="Works")


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """A device's state and how it came to it."""

    state: DeviceState
    reason: str
    message: str = ""
    since: float
    """Unix time of the last change of `state`, in seconds."""
    good: int = 0
    """Good looks in a row while not Healthy."""
    missed: int = 0
    """Looks in a row that were not good."""
    counted_at: float = float("-inf")
    """Monotonic time of the last look that counted: events may make looks come thick and fast."""

    @property
    def settled(self) -> bool:
        """Whether the device is not on its way back."""
        return not self.good

    @property
    def undisturbed(self) -> bool:
        """Whether it is Healthy and was so at the last look."""
        return self.state is DeviceState.HEALTHY and not self.missed


def step(track: Track | None, seen: Observation, health: Health, *, now: float, monotonic: float) -> Track:
    """The state after one more look. `now` is Unix time, `monotonic` never set back; both in seconds."""
    if track is None:
        if seen.look is Look.GOOD:
            return Track(state=DeviceState.HEALTHY, reason=seen.reason, since=now)
        track = Track(state=DeviceState.UNKNOWN, reason="NotLookedAt", since=now)
    match seen.look:
        case Look.GOOD:
            return _good(track, seen, health, now, monotonic)
        case Look.ABSENT:
            return _enter(track, DeviceState.UNHEALTHY, seen, now)
        case Look.BLIND:
            return _enter(track, DeviceState.UNKNOWN, seen, now)
        case Look.BAD | Look.FAILED:
            return _missed(track, seen, health, now, monotonic)


def _good(track: Track, seen: Observation, health: Health, now: float, monotonic: float) -> Track:
    if track.state is DeviceState.HEALTHY:
        return replace(track, missed=0)
    if track.good and monotonic - track.counted_at < RECOVERY_PERIOD:
        return track
    counted = replace(track, good=track.good + 1, missed=0, counted_at=monotonic)
    if counted.good >= health.success_threshold:
        return _enter(track, DeviceState.HEALTHY, seen, now)
    message = f"seen working {counted.good} of {health.success_threshold} times"
    return replace(counted, reason="Recovering", message=message)


def _missed(track: Track, seen: Observation, health: Health, now: float, monotonic: float) -> Track:
    if track.missed and monotonic - track.counted_at < RECOVERY_PERIOD:
        return track
    missed = track.missed + 1
    if missed >= health.failure_threshold or track.state is DeviceState.UNHEALTHY:
        return _enter(track, DeviceState.UNHEALTHY, seen, now)  # and not counted on: a fault that lasts is no news
    if seen.look is Look.FAILED or track.state is DeviceState.UNKNOWN:
        entered = _enter(track, DeviceState.UNKNOWN, seen, now)
    else:
        entered = track
    return replace(entered, missed=missed, good=0, counted_at=monotonic)


def _enter(track: Track, state: DeviceState, seen: Observation, now: float) -> Track:
    since = track.since if track.state is state else now
    return Track(state=state, reason=seen.reason, message=seen.message, since=since)
