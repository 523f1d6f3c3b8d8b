"""Where devices come from: one file per kind of source, each behind `Source`.

What `__all__` names is what packages with sources of their own build on (docs/hardware/custom.md).
"""

from device_plugin_agent.sources.base import Candidate, Discovery, Source, Unfit, Watching
from device_plugin_agent.sources.identity import id_of_parts, id_of_path
from device_plugin_agent.sources.registry import HostView, source_for
from device_plugin_agent.sources.selection import Selection
from device_plugin_agent.sources.sysfs_device import attribute
from device_plugin_agent.uevents import Uevent

__all__ = [
    "Candidate",
    "Discovery",
    "HostView",
    "Selection",
    "Source",
    "Uevent",
    "Unfit",
    "Watching",
    "attribute",
    "id_of_parts",
    "id_of_path",
    "source_for",
]
