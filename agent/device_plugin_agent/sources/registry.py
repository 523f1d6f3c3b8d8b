"""From a resource's `source` to the code that serves it."""

from device_plugin_agent.clock import Clock
from device_plugin_agent.sources.base import Source
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.paths import Paths
from device_plugin_agent.sources.simulated import Simulated
from device_plugin_api.resource import Resource

__all__ = ["HostView", "UnknownSource", "source_for"]


class UnknownSource(ValueError):
    """The resource names a source that this agent does not know, as a newer operator may."""


def source_for(resource: Resource, host: HostView, clock: Clock) -> Source:
    """The source of a resource; raises UnknownSource."""
    spec = resource.source
    if spec.paths is not None:
        return Paths(spec.paths, host)
    if spec.simulated is not None:
        return Simulated(resource.name, spec.simulated, clock)
    raise UnknownSource(f"{resource.name}: this agent knows the sources paths and simulated, and neither is given")
