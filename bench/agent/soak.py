"""Churn without end: python -m bench.agent.soak. A device comes or goes each second, the kubelet restarts each minute.

Prints the agent's memory and descriptors once a minute, and at the end how they changed since the fifth. Needs root.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from pathlib import Path

from bench import process
from bench.agent import calls, subject
from bench.agent.kubelet import Kubelet
from bench.process import Usage

_ROTATION = 20
"""Devices that take turns."""

_SETTLED = 5
"""Minutes after which the allocator has all it will ever take, if nothing leaks."""


def main() -> None:
    """Parse the command line and churn."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=30)
    asyncio.run(_soak(parser.parse_args().minutes))


async def _soak(minutes: int) -> None:
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
                    registered = kubelet.registered_at[-1] - there
                    slowest = await _minute(kubelet, agent)
                    used = process.usage(agent.pid)
                history.append(used)
                figures = f"{used.rss:.1f} | {used.anonymous:.1f} | {used.descriptors} | {used.threads}"
                times = f"{1000 * slowest:.0f} ms | {1000 * registered:.0f} ms"
                print(f"| {minute} | {figures} | {times} |", flush=True)
    settled, last = history[min(_SETTLED, len(history)) - 1], history[-1]
    print(
        f"Since minute {min(_SETTLED, len(history))}: anonymous memory {last.anonymous - settled.anonymous:+.2f} MB, "
        f"descriptors {last.descriptors - settled.descriptors:+d}, threads {last.threads - settled.threads:+d}"
    )


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
