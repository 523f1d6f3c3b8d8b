"""The HeartbeatFile probe: whoever watches over a device touches a file often enough."""

import os
import stat

import msgspec

from device_plugin_agent.clock import Clock
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate, HostView
from device_plugin_api.hostpaths import HEARTBEATS
from device_plugin_api.resource import Probe


class Beat(msgspec.Struct, frozen=True):
    """The last sign of life."""

    stamp: float
    """The file's modification time."""
    at: float
    """The monotonic time that it stands for."""
    looked_at: float


def beat(known: Beat | None, stamp: float, *, now: float, monotonic: float) -> Beat:
    """What is known after one more look; `now` is Unix time.

    Only for a new stamp is the clock of the machine asked, and then it can add no more than the time since the last
    look. So a clock that is set makes no device look dead, and a dead device no younger than it is.
    """
    if known is not None and stamp == known.stamp:
        return Beat(stamp, known.at, monotonic)
    age = max(0.0, now - stamp)
    if known is not None:
        age = min(age, monotonic - known.looked_at)
    return Beat(stamp, monotonic - age, monotonic)


class Heartbeat:
    """Looks at the file of each device."""

    def __init__(self, probe: Probe, host: HostView, clock: Clock) -> None:
        self._name = probe.name
        self._most = probe.max_age_seconds or 1
        self._host = host
        self._clock = clock
        self._beats: dict[str, Beat] = {}

    def __call__(self, candidate: Candidate) -> Observation:
        """One look."""
        name = self._name.replace("$(DEVICE_ID)", candidate.id)
        shown = f"{HEARTBEATS}/{name}"
        try:
            seen = os.lstat(self._host.heartbeat_dir / name)
        except FileNotFoundError:
            self._beats.pop(candidate.id, None)
            return _bad(f"{shown} is not there")
        except OSError as error:
            message = f"{shown} cannot be looked at: {error.strerror}"
            return Observation(look=Look.FAILED, reason="ProbeFailed", message=message)
        if not stat.S_ISREG(seen.st_mode):
            return _bad(f"{shown} is no plain file")
        monotonic = self._clock.monotonic()
        known = beat(self._beats.get(candidate.id), seen.st_mtime, now=self._clock.now(), monotonic=monotonic)
        self._beats[candidate.id] = known
        if monotonic - known.at > self._most:
            return _bad(f"{shown} was not touched for more than {self._most} s")
        return WORKS


def _bad(why: str) -> Observation:
    return Observation(look=Look.BAD, reason="HeartbeatMissing", message=why)
