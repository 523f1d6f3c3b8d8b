"""Churn without end: python -m bench.agent.soak. A device comes or goes each second, the kubelet restarts each minute.

Prints the agent's memory and descriptors once a minute; an error at the end when they grew in the second half.
Needs root.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from pathlib import Path

from bench import process
from bench.agent import calls, subject
from bench.agent.kubelet import Kubelet
from bench.process import Usage

_ROTATION = 20
"""Devices that take turns."""

_LEVEL = 1.0
"""MB by which anonymous memory may differ: the allocator takes and gives back so much at a time."""

_OPEN = 2
"""Descriptors and threads that may come and go: an Allocate may be under way."""


def main() -> None:
    """Parse the command line and churn."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    history = asyncio.run(_soak(parser.parse_args().minutes))
    half, last = history[(len(history) - 1) // 2], history[-1]
    memory, descriptors = last.anonymous - half.anonymous, last.descriptors - half.descriptors
    threads = last.threads - half.threads
    told = f"In the second half: anonymous memory {memory:+.2f} MB, descriptors {descriptors:+d}, threads {threads:+d}"
    if memory > _LEVEL or descriptors > _OPEN or threads > _OPEN:
        sys.exit(f"{told}: that is no level")
    print(told)


async def _soak(minutes: int) -> list[Usage]:
    print("| minute | RSS MB | anonymous MB | descriptors | threads | slowest pull → list | registered after |")
    print("|---|---|---|---|---|---|---|")
    history: list[Usage] = []
    with tempfile.TemporaryDirectory(prefix="dp-soak-") as root:
        kubelet = Kubelet(Path(root))
        async with subject.running(kubelet, subject.PATHS) as agent:
            agent.plug("bench0")
            for minute in range(1, minutes + 1):
                count = len(kubelet.lists)
                async with kubelet.running() as there:
                    await kubelet.until(count + 1)
                    kubelet.held = {"bench0": f"pod-{minute}"}
                    registered = kubelet.registered_at[-1] - there
                    slowest = await _minute(kubelet, agent)
                    agent.scrape()
                    used = process.usage(agent.pid)
                history.append(used)
                figures = f"{used.rss:.1f} | {used.anonymous:.1f} | {used.descriptors} | {used.threads}"
                times = f"{1000 * slowest:.0f} ms | {1000 * registered:.0f} ms"
                print(f"| {minute} | {figures} | {times} |", flush=True)
    return history


async def _minute(kubelet: Kubelet, agent: subject.Subject) -> float:
    """Sixty changes, each followed by an Allocate; the slowest from a pull to the kubelet's list, in seconds."""
    slowest = 0.0
    end = time.monotonic() + 60
    for number in itertools.count():
        begin = time.monotonic()
        if begin >= end:
            return slowest
        count = len(kubelet.lists)
        # A device that came and went each second would count as flapping, and the kubelet be told no more.
        name = f"bench{1 + number % _ROTATION}"
        if (agent.dev / name).exists():
            pulled = agent.pull(name)
            at, _ = await kubelet.until(count + 1)
            slowest = max(slowest, at - pulled)
        else:
            agent.plug(name)
            await kubelet.until(count + 1)
        await calls.allocate(kubelet.endpoint, "bench0", 1, 1)
        await asyncio.sleep(max(0.0, begin + 1 - time.monotonic()))
    raise AssertionError("it counts for ever")


if __name__ == "__main__":
    main()
