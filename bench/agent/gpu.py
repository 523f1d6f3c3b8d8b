"""Figures of one agent that offers this machine's own NVIDIA GPUs: python -m bench.agent.gpu. It takes a minute."""

import asyncio
import time
from pathlib import Path

from bench import process
from bench.agent import calls, subject
from bench.agent.kubelet import Kubelet
from bench.agent.rows import memory, middle, node, percentiles, resting
from bench.figures import row

_STARTS = 3
_IDLE = 20.0
_CALLS = 2_000

_GPUS = "resources: [{name: nvidia.com/gpu, source: {nvidia: {}}}]\n"


async def _figures() -> None:
    registered, listed = [], []
    # The first start of all may have to compile everything.
    for number in range(_STARTS + 1):
        with node() as kubelet:
            async with kubelet.running(), subject.running(kubelet, _GPUS, machine=Path("/")) as agent:
                await _healthy(kubelet)
                registered.append(kubelet.registered_at[0] - agent.started)
                listed.append(time.monotonic() - agent.started)
                if number == _STARTS:
                    await _rest(kubelet, agent)
    row("process start → registered, median / worst", middle(registered[1:]))
    row("process start → list with the first GPU, median / worst", middle(listed[1:]))


async def _rest(kubelet: Kubelet, agent: subject.Subject) -> None:
    device = await _healthy(kubelet)
    row("GPUs", str(len(kubelet.lists[-1][1].devices)))
    await resting("idle", agent.pid, _IDLE)
    took, _ = await calls.allocate(kubelet.endpoint, device, _CALLS, 1)
    row("Allocate, 1 connection: p50 / p99", percentiles(took))
    memory("after them", process.usage(agent.pid))


async def _healthy(kubelet: Kubelet) -> str:
    """Wait for a GPU that can be handed out; its ID."""
    seen = 0
    while True:
        seen += 1
        _, response = await kubelet.until(seen)
        for device in response.devices:
            if device.health == "Healthy":
                return str(device.ID)


if __name__ == "__main__":
    asyncio.run(_figures())
