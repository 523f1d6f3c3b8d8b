"""The Link probe: each network device that belongs to a device, or that it reaches its network through, has a link."""

from device_plugin_agent.clock import Clock
from device_plugin_agent.health import sysfs
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate, HostView, netdev

_MOST = 64
"""Network devices of one device that are looked at."""


_FRESH = 0.5
"""Seconds that a look at a link is good for: the functions of a card, a hundred maybe, have one."""


class Link:
    """Looks once for all devices that reach their network through the same."""

    def __init__(self, host: HostView, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._seen: dict[str, tuple[float, Observation]] = {}

    def __call__(self, candidate: Candidate) -> Observation:
        """One look."""
        place, now = _place(candidate), self._clock.monotonic()
        known = self._seen.get(place)
        if known is not None and now - known[0] < _FRESH:
            return known[1]
        seen = link(self._host, candidate)
        self._seen[place] = now, seen
        return seen


def link(host: HostView, candidate: Candidate) -> Observation:
    """One look."""
    try:
        found = _network_devices(host, candidate)
    except sysfs.Unreadable as error:
        return _failed(str(error))
    if not found:
        return _failed("it has no network device, or none that the host can see")
    for directory in found[:_MOST]:
        try:
            state = sysfs.read(host, f"{directory}/operstate")
            # Of a driver that tells no state, and of the loopback device.
            up = state == "up" or (state == "unknown" and sysfs.read(host, f"{directory}/carrier") == "1")
        except sysfs.Unreadable as error:
            return _failed(str(error))
        if not up:
            name = directory.rpartition("/")[2]
            # As certain as that a device is gone, so nothing is counted; and it ends a flap as that does.
            return Observation(look=Look.ABSENT, reason="LinkDown", message=f"{name} is {state or 'in no state'}")
    return WORKS


def _network_devices(host: HostView, candidate: Candidate) -> list[str]:
    """Directories of the network devices: of the device itself, or of the one that it is a function of."""
    place = _place(candidate)
    if not place:
        return []
    for parent in (place, f"{place}/device"):
        if _is_network_device(host, parent):
            return [parent]
        try:
            names = sorted(entry.name for entry in sysfs.located(host, f"{parent}/net").iterdir())
        except OSError:
            continue
        ports = [f"{parent}/net/{name}" for name in names if not _stands_for_another(host, f"{parent}/net/{name}")]
        if ports:
            return ports
    return []


def _place(candidate: Candidate) -> str:
    return candidate.uplink or candidate.sysfs


def _is_network_device(host: HostView, directory: str) -> bool:
    return (sysfs.located(host, directory) / "ifindex").is_file()


def _stands_for_another(host: HostView, directory: str) -> bool:
    try:
        return netdev.is_representor(sysfs.read(host, f"{directory}/phys_port_name"))
    except sysfs.Unreadable:  # most drivers have none
        return False


def _failed(why: str) -> Observation:
    return Observation(look=Look.FAILED, reason="ProbeFailed", message=why)
