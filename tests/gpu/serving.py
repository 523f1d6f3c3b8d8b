"""The agent's one resource of this rung, and what is told of it when it is not as expected."""

from typing import Any

import pytest

from contract.agent_bench import Bench
from device_plugin_api.node import Device
from device_plugin_api.nvidia import NvidiaSource
from device_plugin_api.resource import Health, Resource
from device_plugin_api.sources import Source

GPU = "nvidia.com/gpu"

_FIRST_LOOK = 40.0
"""Seconds: where nothing keeps the driver awake its start takes some for each GPU."""


def nvidia(health: Health | None = None, **selector: Any) -> Resource:
    """All whole GPUs."""
    return Resource(name=GPU, source=Source(nvidia=NvidiaSource(**selector)), health=health or Health())


async def offers(bench: Bench, healthy: int, total: int) -> None:
    """Wait until the kubelet has these numbers; a failure says what the agent told meanwhile."""
    try:
        await bench.kubelet.wait_for_counts(GPU, healthy, total, _FIRST_LOOK)
    except TimeoutError as error:
        pytest.fail(f"{healthy}/{total} were expected: {error}; the agent tells:\n{told(bench)}")


def devices(bench: Bench) -> dict[str, Device]:
    """As reported, by ID."""
    return {each.id: each for each in bench.resource_status(GPU).devices}


def told(bench: Bench) -> str:
    """What was reported, for people."""
    if not bench.api.status:
        return "nothing yet"
    status = bench.resource_status(GPU)
    steps = [f"{each.step}: {each.kept} {' '.join(each.dropped)}" for each in status.candidates]
    lines = [f"{each.id} {each.state.value} {each.reason} {each.message} {each.attributes}" for each in status.devices]
    return "\n".join((*steps, *lines))
