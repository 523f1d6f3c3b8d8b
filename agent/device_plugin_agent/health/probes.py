"""What can be seen of a device. Probes look and tell; what follows from it is the tracker's business."""

from collections.abc import Callable

from device_plugin_agent.clock import Clock
from device_plugin_agent.health.attribute import Attribute
from device_plugin_agent.health.heartbeat import Heartbeat
from device_plugin_agent.health.link import Link
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate, HostView, Unfit
from device_plugin_api.resource import Health, Probe

EXISTS = Probe(type="Exists")
LINK = Probe(type="Link")
FPGA_PORT = Probe(type="FpgaPort")
"""No probe that a configuration can name: FPGAs are always looked at so."""

LINK_PERIOD = 1.0
"""Seconds between two looks at a link: the kernel sends no event when a carrier goes."""

Polled = Callable[[Candidate], Observation]
"""Looks once. It may block, and must not raise."""


def exists(candidate: Candidate | None, known_as: str, unfit: Unfit | None = None) -> Observation:
    """The Exists probe: discovery itself is the look. `known_as` is the device's path, or its ID without one."""
    if candidate is None and unfit is not None:
        return Observation(look=Look.ABSENT, reason=unfit.reason, message=f"{known_as}: {unfit.why}")
    if candidate is None:
        return Observation(look=Look.ABSENT, reason="DeviceMissing", message=f"{known_as} is gone from the node")
    if candidate.trouble is not None:
        look = Look.ABSENT if candidate.trouble.seen else Look.BLIND
        return Observation(look=look, reason=candidate.trouble.reason, message=f"{known_as}: {candidate.trouble.why}")
    if candidate.failure is not None:
        return Observation(look=Look.FAILED, reason="ProbeFailed", message=f"{known_as} {candidate.failure}")
    return WORKS


def polled(health: Health, host: HostView, clock: Clock) -> dict[Probe, Polled]:
    """The probes that have to be asked, in order. Raises ValueError for one that cannot be."""
    return {probe: _made(probe, host, clock) for probe in health.probes if probe.type != EXISTS.type}


def period_of(probe: Probe, health: Health) -> float:
    """Seconds between two looks."""
    return LINK_PERIOD if probe.type == LINK.type else float(health.period_seconds)


def _made(probe: Probe, host: HostView, clock: Clock) -> Polled:
    match probe.type:
        case "SysfsAttribute":
            return Attribute(probe, host)
        case "HeartbeatFile":
            return Heartbeat(probe, host, clock)
        case "Link":
            return Link(host, clock)
        case FPGA_PORT.type:
            from device_plugin_agent.health.fpga_port import FpgaPort

            return FpgaPort(host)
        case _:
            raise ValueError(f"this agent knows no probe {probe.type}")
