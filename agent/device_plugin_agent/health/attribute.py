"""The SysfsAttribute probe: a file in sysfs has a wanted value."""

from device_plugin_agent.health import sysfs
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate, HostView
from device_plugin_api import patterns
from device_plugin_api.resource import Probe

_MOST_SHOWN = 64


class Attribute:
    """Reads and compares."""

    def __init__(self, probe: Probe, host: HostView) -> None:
        self._probe = probe
        self._host = host
        self._pattern = patterns.compiled(probe.matches) if probe.matches else None

    def __call__(self, candidate: Candidate) -> Observation:
        """One look."""
        path = self._probe.path
        if not path.startswith("/"):
            if not candidate.sysfs:
                return _failed("the device has no directory in sysfs")
            path = f"{candidate.sysfs}/{path}"
        try:
            value = sysfs.read(self._host, path)
        except sysfs.Unreadable as error:
            return _failed(str(error))
        wrong = self._wrong(value)
        if wrong is None:
            return WORKS
        return Observation(
            look=Look.BAD, reason="AttributeBad", message=f"{self._probe.path} is {_plain(value)}, {wrong}"
        )

    def _wrong(self, value: str) -> str | None:
        """What is wrong with a value, or None."""
        probe = self._probe
        if probe.equals:
            return None if value in probe.equals else f"not {' or '.join(probe.equals)}"
        if self._pattern is not None:
            return None if patterns.fits(self._pattern, value) else f"which does not match {probe.matches}"
        try:
            number = int(value, 0)
        except ValueError:
            return "which is no whole number"
        if probe.min is not None and number < probe.min:
            return f"less than {probe.min}"
        if probe.max is not None and number > probe.max:
            return f"more than {probe.max}"
        return None


def _failed(why: str) -> Observation:
    return Observation(look=Look.FAILED, reason="ProbeFailed", message=why)


def _plain(value: str) -> str:
    text = "".join(character if character.isprintable() else "?" for character in value)
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…")
