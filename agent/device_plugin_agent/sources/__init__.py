"""Where devices come from: one file per kind of source, each behind `Source`."""

from device_plugin_agent.sources.base import Candidate, Discovery, Source, Unfit, Watching
from device_plugin_agent.sources.registry import HostView, source_for

__all__ = ["Candidate", "Discovery", "HostView", "Source", "Unfit", "Watching", "source_for"]
