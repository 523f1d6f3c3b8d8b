"""From a resource's `source` to the code that serves it, which is loaded by those agents alone that need it."""

from device_plugin_agent.clock import Clock
from device_plugin_agent.sources.base import Source
from device_plugin_agent.sources.fence import Fenced
from device_plugin_agent.sources.host import HostView
from device_plugin_api.resource import Resource
from device_plugin_api.sources import SOURCES
from device_plugin_api.sources import Source as SourceSpec

__all__ = ["HostView", "UnknownSource", "source_for"]


class UnknownSource(ValueError):
    """The resource names a source that this agent does not know, as a newer operator may."""


def source_for(resource: Resource, host: HostView, clock: Clock) -> Fenced:
    """The source of a resource, fenced in; raises ValueError, worded for people, when there is none."""
    spec = resource.source
    name = next((name for name in SOURCES if getattr(spec, name) is not None), "")
    return Fenced(_source(resource, host, clock), name if spec.custom is None else spec.custom.name)


def _source(resource: Resource, host: HostView, clock: Clock) -> Source:
    spec = resource.source
    if spec.network is not None:
        from device_plugin_agent.sources.network import Network

        return Network(spec.network, host)
    if spec.fpga is not None:
        from device_plugin_agent.sources.fpga import Fpga

        return Fpga(spec.fpga, host)
    if spec.nvidia is not None:
        from device_plugin_agent.sources.nvidia.source import Nvidia

        return Nvidia(spec.nvidia, resource.health, host, clock)
    if spec.groups is not None:
        from device_plugin_agent.sources.groups import Groups

        return Groups(resource.name, spec.groups, lambda member: _devices(member, host))
    if spec.custom is not None:
        from device_plugin_agent.sources.custom import Custom

        return Custom(spec.custom, host)
    if spec.simulated is not None:
        from device_plugin_agent.sources.simulated import Simulated

        return Simulated(resource.name, spec.simulated, clock)
    return _devices(spec, host)


def _devices(spec: SourceSpec, host: HostView) -> Source:
    """The sources that a group may have for members."""
    if spec.paths is not None:
        from device_plugin_agent.sources.paths import Paths

        return Paths(spec.paths, host)
    if spec.usb is not None:
        from device_plugin_agent.sources.usb import Usb

        return Usb(spec.usb, host)
    if spec.pci is not None:
        from device_plugin_agent.sources.pci import Pci

        return Pci(spec.pci, host)
    raise UnknownSource(f"this agent knows the sources {', '.join(SOURCES)}, and none of them is given")
