"""What can be seen of a device. Probes look and tell; what follows from it is the tracker's business."""

from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.sources import Candidate


def exists(candidate: Candidate | None, known_as: str) -> Observation:
    """The Exists probe: discovery itself is the look. `known_as` is the device's path, or its ID without one."""
    if candidate is None:
        return Observation(look=Look.ABSENT, reason="DeviceMissing", message=f"{known_as} is gone from the node")
    if candidate.failure is not None:
        return Observation(look=Look.FAILED, reason="ProbeFailed", message=f"{known_as} {candidate.failure}")
    return WORKS
