"""Devices that exist only here, for trying schedulers, quotas and dashboards without hardware."""

from pathlib import Path

from device_plugin_agent.sources.base import Candidate, Discovery
from device_plugin_agent.sources.identity import id_of_simulated
from device_plugin_api.node import SelectionStep
from device_plugin_api.resource import SimulatedSource


class Simulated:
    """As many devices as the config asks for, dealt out over the NUMA nodes."""

    def __init__(self, resource_name: str, spec: SimulatedSource) -> None:
        candidates = tuple(
            Candidate(
                id=id_of_simulated(resource_name, index),
                numa_node=index % spec.numa_nodes if spec.numa_nodes else None,
                attributes={"simulated": "true"},
            )
            for index in range(spec.count)
        )
        self._discovery = Discovery(
            candidates=candidates, steps=(SelectionStep(step="simulated by the agent", kept=len(candidates)),)
        )

    def discover(self) -> Discovery:
        """All of them, always."""
        return self._discovery

    def watched(self) -> frozenset[Path]:
        """Nothing on the host concerns them."""
        return frozenset()
