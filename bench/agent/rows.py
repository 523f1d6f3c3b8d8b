"""Rows that more than one of the agent's benches prints."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import process
from bench.agent.kubelet import Kubelet
from bench.figures import ms, percentile, row
from device_plugin_agent.entry import ALLOCATION_GRACE


async def resting(what: str, pid: int, seconds: float) -> None:
    """What a process takes while nothing happens, once it has settled."""
    await asyncio.sleep(ALLOCATION_GRACE)
    before, started = process.usage(pid), time.monotonic()
    await asyncio.sleep(seconds)
    after, elapsed = process.usage(pid), time.monotonic() - started
    memory(what, after)
    row(f"{what}: CPU over {elapsed:.0f} s", f"{100 * (after.cpu - before.cpu) / elapsed:.2f} %")
    row(f"{what}: wake-ups", f"{(after.wakeups - before.wakeups) / elapsed:.1f} /s")


def memory(what: str, used: process.Usage) -> None:
    """Memory, and what else it holds."""
    row(f"{what}: memory, RSS / anonymous", f"{used.rss:.1f} / {used.anonymous:.1f} MB")
    row(f"{what}: threads, file descriptors", f"{used.threads}, {used.descriptors}")


@contextmanager
def node() -> Iterator[Kubelet]:
    """A kubelet with a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="dp-bench-") as root:
        yield Kubelet(Path(root))


def middle(seconds: list[float]) -> str:
    """Median and worst."""
    return f"{ms(statistics.median(seconds))} / {ms(max(seconds))}"


def percentiles(seconds: list[float]) -> str:
    """Of sorted times, the 50th and the 99th."""
    return " / ".join(f"{1000 * percentile(seconds, percent):.2f} ms" for percent in (50, 99))
