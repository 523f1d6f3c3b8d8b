"""Which nodes get the current revision now."""

from collections.abc import Mapping

from device_plugin_operator.facts import NodeObject


def due(nodes: Mapping[str, NodeObject], revision: str) -> frozenset[str]:
    """All that do not have it yet, at once."""
    return frozenset(node for node, found in nodes.items() if found.revision != revision)
