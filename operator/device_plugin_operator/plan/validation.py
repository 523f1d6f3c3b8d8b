"""What makes a spec unusable although the API server took it: an older CRD without our rules, say."""

from collections.abc import Mapping

from device_plugin_api.config import ConfigSpec
from device_plugin_api.names import resource_name_error
from device_plugin_api.source_checks import one_source
from device_plugin_api.sources import SOURCES
from device_plugin_operator.plan import images


def error(spec: ConfigSpec, source_images: Mapping[str, str]) -> str | None:
    """Why agents cannot be given this, or None. Paths and devices are judged on the node, by the agent."""
    names = [resource.name for resource in spec.resources]
    for index, resource in enumerate(spec.resources):
        if wrong := resource_name_error(resource.name):
            return f"spec.resources[{index}].name {resource.name!r} {wrong}"
        if names.count(resource.name) > 1:
            return f"spec.resources[{index}].name {resource.name!r} is there twice"
        if not one_source(resource.source):
            return f"spec.resources[{index}].source must have exactly one member: {', '.join(SOURCES)}"
    most = spec.rollout.max_unavailable
    if isinstance(most, str) and not (most.endswith("%") and most[:-1].isdecimal()):
        return f"spec.rollout.maxUnavailable must be a number of nodes or a percentage, not {most!r}"
    for index, cordon in enumerate(spec.cordoned_devices):
        if cordon.resource not in names:
            return f"spec.cordonedDevices[{index}].resource {cordon.resource!r} is none of this config's"
    return images.error(spec, source_images)
