"""What the kernel knows of a process."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Memory in MB of 10^6 bytes as the kernel counts kB, CPU in seconds, the rest counted."""

    rss: float
    peak: float
    """The most that `rss` ever was."""
    anonymous: float
    cpu: float
    wakeups: int
    threads: int
    descriptors: int


def usage(pid: int) -> Usage:
    """Of all threads together."""
    process = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    fields = (process / "stat").read_text().rpartition(") ")[2].split()
    wakeups = 0
    for thread in (process / "task").iterdir():
        lines = dict(line.split(":", 1) for line in (thread / "status").read_text().splitlines())
        wakeups += int(lines["voluntary_ctxt_switches"])
    return Usage(
        rss=_megabytes(status["VmRSS"]),
        peak=_megabytes(status["VmHWM"]),
        anonymous=_megabytes(status["RssAnon"]),
        cpu=(int(fields[11]) + int(fields[12])) / _TICK,
        wakeups=wakeups,
        threads=int(status["Threads"]),
        descriptors=len(list((process / "fd").iterdir())),
    )


def _megabytes(field: str) -> float:
    return int(field.split()[0]) * 1024 / 1e6
