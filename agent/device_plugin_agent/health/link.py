"""The Link probe: each network device that belongs to a device has a link."""

from device_plugin_agent.health import sysfs
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate, HostView

_MOST = 64
"""Network devices of one device that are looked at."""


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
            return Observation(look=Look.BAD, reason="LinkDown", message=f"{name} is {state or 'in no state'}")
    return WORKS


def _network_devices(host: HostView, candidate: Candidate) -> list[str]:
    """Directories of the network devices: of the device itself, or of the one that it is a function of."""
    if not candidate.sysfs:
        return []
    for parent in (candidate.sysfs, f"{candidate.sysfs}/device"):
        if _is_network_device(host, parent):
            return [parent]
        try:
            names = sorted(entry.name for entry in sysfs.located(host, f"{parent}/net").iterdir())
        except OSError:
            continue
        if names:
            return [f"{parent}/net/{name}" for name in names]
    return []


def _is_network_device(host: HostView, directory: str) -> bool:
    return (sysfs.located(host, directory) / "ifindex").is_file()


def _failed(why: str) -> Observation:
    return Observation(look=Look.FAILED, reason="ProbeFailed", message=why)
