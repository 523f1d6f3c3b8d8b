"""Measures the agent and prints a table: python -m bench.agent. Needs root, for device nodes."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from bench import process
from bench.agent import bare, calls, subject
from bench.agent.kubelet import Kubelet
from bench.agent.rows import memory, middle, node, percentiles, resting
from bench.figures import ms, row
from device_plugin_api.rules import MAX_SLOTS

_ROUNDS = 20

_SHARES = 4
"""Slots of each device where the kubelet's limit is reached: so many devices alone cannot be simulated."""


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent", description=__doc__)
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS", help="how long to watch it do nothing")
    parser.add_argument("--calls", type=int, default=100_000, metavar="N", help="how many Allocates in the long run")
    parser.add_argument(
        "--socket",
        help="measure Allocate of this plugin instead of our agent; a socket in another container is reached "
        "through /proc/PID/root",
    )
    parser.add_argument("--pid", type=int, help="with --socket: the plugin's process, for memory and idle CPU")
    given = parser.parse_args()
    if given.socket:
        asyncio.run(_other(given.socket, given.pid, given.idle))
    else:
        asyncio.run(_agent(given.idle, given.calls))


async def _agent(idle: float, many: int) -> None:
    await _yardstick(idle)
    await _starts()
    with node() as kubelet:
        async with kubelet.running(), subject.running(kubelet, subject.PATHS) as agent:
            await kubelet.until(1)
            await _plugging(kubelet, agent)
            agent.plug("bench0")
            await kubelet.until(len(kubelet.lists) + 1)
            memory("never scraped", process.usage(agent.pid))
            row("the first scrape of its metrics, the second", f"{ms(agent.scrape())}, {ms(agent.scrape())}")
            await resting("idle, 1 device", agent.pid, idle)
            await _allocate(kubelet.endpoint, "bench0", many, agent.pid)
    await _restarts()
    await _endings()
    for count in (4, 1_000, 10_000):
        with node() as kubelet:
            async with kubelet.running(), subject.running(kubelet, subject.simulated(count)) as agent:
                await _first_list(f"{count} devices", kubelet, agent)
                if count == 10_000:
                    agent.scrape()
                    await resting(f"idle, {count} devices", agent.pid, idle)
    with node() as kubelet:
        most = subject.simulated(MAX_SLOTS // _SHARES, _SHARES)
        async with kubelet.running(), subject.running(kubelet, most) as agent:
            await _first_list(f"the most there may be, {MAX_SLOTS} slots", kubelet, agent)
    with node() as kubelet:
        row("one device more", await subject.refusal(kubelet, subject.simulated(MAX_SLOTS // _SHARES + 1, _SHARES)))


async def _yardstick(idle: float) -> None:
    with tempfile.TemporaryDirectory(prefix="dp-bench-") as root:
        async with bare.running(Path(root)) as server:
            took, _ = await calls.allocate(server.socket, "bench0", 10_000, 1)
            row("this machine: Allocate of a bare gRPC server, 1 connection: p50 / p99", percentiles(took))
            async with calls.watching(server.socket):
                await resting("this machine: a bare gRPC server, one stream open", server.pid, idle)


async def _other(socket: str, pid: int | None, idle: float) -> None:
    async with calls.watching(socket) as response:
        row("devices", str(len(response.devices)))
    if pid is not None:
        await resting("idle", pid, idle)
    await _allocate(socket, next(each.ID for each in response.devices if each.health == "Healthy"), 10_000, pid)


async def _starts() -> None:
    seconds = []
    for _ in range(_ROUNDS // 2):
        with node() as kubelet:
            async with kubelet.running(), subject.running(kubelet, subject.PATHS) as agent:
                await kubelet.until(1)
                seconds.append(kubelet.registered_at[0] - agent.started)
    # The first of all may have had to compile everything.
    row("process start → registered, median / worst", middle(seconds[1:]))


async def _plugging(kubelet: Kubelet, agent: subject.Subject) -> None:
    plugged: list[float] = []
    pulled: list[float] = []
    for number in range(_ROUNDS):
        for move, seconds in ((agent.plug, plugged), (agent.pull, pulled)):
            count = len(kubelet.lists)
            done = move(f"bench{number + 1}")
            at, _ = await kubelet.until(count + 1)
            seconds.append(at - done)
            # The agent keeps lists apart; a second event within that would measure this pause.
            await asyncio.sleep(0.25)
    row("device plugged → list, median / worst", middle(plugged))
    row("device pulled → list, median / worst", middle(pulled))


async def _restarts() -> None:
    seconds = []
    with node() as kubelet:
        async with subject.running(kubelet, subject.PATHS):
            for life in range(_ROUNDS):
                async with kubelet.running() as there:
                    await kubelet.until(life + 1)
                    seconds.append(kubelet.registered_at[-1] - there)
    row("kubelet.sock back → Register, median / worst", middle(seconds[1:]))


async def _endings() -> None:
    seconds = []
    for _ in range(_ROUNDS // 2):
        with node() as kubelet:
            async with kubelet.running(), subject.running(kubelet, subject.PATHS) as agent:
                await kubelet.until(1)
                told = time.monotonic()
                agent.process.terminate()
                await agent.process.wait()
                seconds.append(time.monotonic() - told)
    row("SIGTERM → gone, median / worst", middle(seconds))


async def _first_list(what: str, kubelet: Kubelet, agent: subject.Subject) -> None:
    at, response = await kubelet.until(1)
    row(f"{what}: process start → first list", ms(at - agent.started))
    row(f"{what}: size of the list", f"{response.ByteSize() / 1024:.0f} KiB")


async def _allocate(socket: str, device: str, many: int, pid: int | None) -> None:
    took, rate = await calls.allocate(socket, device, 10_000, 1)
    row("Allocate, 1 connection: p50 / p99", percentiles(took))
    took, rate = await calls.allocate(socket, device, many, 4)
    row(f"Allocate, 4 connections, {many} calls: p50 / p99", percentiles(took))
    row("Allocate, 4 connections", f"{rate:.0f} calls/s")
    if pid is not None:
        memory("after them", process.usage(pid))


if __name__ == "__main__":
    main()
