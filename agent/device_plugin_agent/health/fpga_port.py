"""The ports of FPGAs: each has no errors, and full power.

Documentation/ABI/testing/sysfs-platform-dfl-port; the older driver has the same attributes.
"""

import os
from collections.abc import Iterator

from device_plugin_agent.health import sysfs
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate, HostView
from device_plugin_agent.sources.fpga_card import is_port

_POWER = {1: "AP1", 2: "AP2", 6: "AP6"}
"""Power states but the normal one, 0."""


class FpgaPort:
    """Looks at every port of a device."""

    def __init__(self, host: HostView) -> None:
        self._host = host

    def __call__(self, candidate: Candidate) -> Observation:
        """One look."""
        try:
            seen = [self._port(directory) for directory in self._ports(candidate.sysfs)]
        except sysfs.Unreadable as error:
            return Observation(look=Look.FAILED, reason="ProbeFailed", message=str(error))
        return next((each for each in seen if each is not WORKS), WORKS)

    def _ports(self, directory: str) -> Iterator[str]:
        if is_port(directory.rpartition("/")[2]):
            yield directory
            return
        try:
            names = sorted(os.listdir(sysfs.located(self._host, directory)))
        except OSError as error:
            raise sysfs.Unreadable(f"{directory} cannot be read: {error.strerror}") from None
        yield from (f"{directory}/{name}" for name in names if is_port(name))

    def _port(self, directory: str) -> Observation:
        name = directory.rpartition("/")[2]
        errors = self._number(f"{directory}/errors/errors")
        if errors:
            first = self._number(f"{directory}/errors/first_error")
            return _bad("PortErrors", f"{name} has errors {errors:#x}, the first was {first:#x}")
        power = self._number(f"{directory}/power_state")
        if power:
            return _bad("Throttled", f"{name} is in power state {_POWER.get(power, power)}")
        return WORKS

    def _number(self, path: str) -> int:
        """An attribute; 0 where hardware or driver have none."""
        if not sysfs.located(self._host, path).exists():
            return 0
        text = sysfs.read(self._host, path)
        try:
            return int(text, 0)
        except ValueError:
            raise sysfs.Unreadable(f"{path} is no number") from None


def _bad(reason: str, why: str) -> Observation:
    return Observation(look=Look.BAD, reason=reason, message=why)
