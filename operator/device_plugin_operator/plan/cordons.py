"""Which devices of a node are cordoned: told at once to every node, whatever revision it runs."""

from collections.abc import Sequence
from typing import Any

from device_plugin_api.config import ConfigSpec
from device_plugin_api.node import CordonedDevice
from device_plugin_operator.plan import revision


def on(node: str, spec: ConfigSpec) -> tuple[CordonedDevice, ...]:
    """Sorted: the order in a config means nothing."""
    return tuple(
        CordonedDevice(resource=cordon.resource, device=cordon.device, reason=cordon.reason)
        for cordon in sorted(spec.cordoned_devices, key=lambda cordon: (cordon.resource, cordon.device))
        if cordon.node == node
    )


def written(cordons: Sequence[CordonedDevice]) -> list[Any]:
    """As they go into a NodeDevicePlugin. An empty list is written too: it removes what was there."""
    return [revision.canonical(cordon) for cordon in cordons]
