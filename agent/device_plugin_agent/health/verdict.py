"""From the tracks of a device's probes to the state that is shown: the worst, damped while it flaps. Pure."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from device_plugin_agent.health.tracker import Track
from device_plugin_api.node import DeviceState

FLAP_TURNS, FLAP_WINDOW = 6, 60.0
"""So many turns (three failures, and the ways back) in so many seconds are flapping."""

FLAP_QUIET = 30.0
"""Seconds without a turn that end it."""

FLAP_FAULT = 5.0
"""Seconds without a turn after which a fault is told by its own reason again: what keeps the device down now."""

_SHOWN_COUNTS = (1000, 500, 200, 100, 50, 20, 10, FLAP_TURNS)
"""The count is shown in steps: each change of the message is a write to the API server."""


class Flaps(msgspec.Struct, frozen=True, kw_only=True):
    """How restless a device has been of late."""

    turns: tuple[float, ...] = ()
    """Monotonic times of the last turns, at most FLAP_TURNS."""
    count: int = 0
    """Turns since it was last steady."""
    flapping: bool = False


STEADY = Flaps()


def worst(tracks: Iterable[Track]) -> Track:
    """The worst; of equally bad ones the first. A fault that lasts is worse than one that is passing."""
    return min(tracks, key=_rank)


def _rank(track: Track) -> int:
    match track.state:
        case DeviceState.UNHEALTHY:
            return 0 if track.settled else 1
        case DeviceState.HEALTHY:
            return 3
        case _:
            return 2


def restless(flaps: Flaps, before: Track | None, after: Track, monotonic: float) -> Flaps:
    """Count a turn: a device failed, or came back, or its way back broke off."""
    if flaps.turns and monotonic - flaps.turns[-1] >= FLAP_QUIET:
        flaps = STEADY
    if before is None or not _turned(before, after):
        return flaps
    recent = (*(turn for turn in flaps.turns if monotonic - turn < FLAP_WINDOW), monotonic)[-FLAP_TURNS:]
    return Flaps(turns=recent, count=flaps.count + 1, flapping=flaps.flapping or len(recent) == FLAP_TURNS)


def _turned(before: Track, after: Track) -> bool:
    failed, back = before.state is not DeviceState.HEALTHY, after.state is DeviceState.HEALTHY
    return failed == back or (failed and not before.settled and after.settled)


def shown(before: Track, found: Track, flaps: Flaps, cordon: str | None, *, now: float, monotonic: float) -> Track:
    """What everybody is told. `cordon` is why the device is not handed out, None when it is; `now` is Unix time."""
    if flaps.flapping and not _lasts(found, flaps, monotonic):
        found = Track(state=DeviceState.UNHEALTHY, reason="Flapping", message=_flapping(flaps), since=now)
    if cordon is not None:
        fault = "" if found.state is DeviceState.HEALTHY else f"; besides, {found.reason}: {found.message}".rstrip(": ")
        found = Track(state=DeviceState.CORDONED, reason="Cordoned", message=cordon + fault, since=now)
    return replace(found, since=before.since if before.state is found.state else now)


def _lasts(found: Track, flaps: Flaps, monotonic: float) -> bool:
    fault = found.state is DeviceState.UNHEALTHY and found.settled
    return fault and monotonic - flaps.turns[-1] >= FLAP_FAULT


def _flapping(flaps: Flaps) -> str:
    count = next((count for count in _SHOWN_COUNTS if flaps.count >= count), flaps.count)
    return f"failed or came back at least {count} times in a row; it counts again after {FLAP_QUIET:.0f} s without that"
