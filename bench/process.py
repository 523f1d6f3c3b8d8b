"""What the kernel knows of a process."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Memory in MB of 10^6 bytes as the kernel counts kB, CPU in seconds, the rest counted.

    CPU is that of the threads that live, as the scheduler counts it: by the clock's ticks, what runs for a fraction of
    one counts as a whole tick or as nothing.
    """

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
    wakeups = nanoseconds = 0
    for thread in (process / "task").iterdir():
        lines = dict(line.split(":", 1) for line in (thread / "status").read_text().splitlines())
        wakeups += int(lines["voluntary_ctxt_switches"])
        nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return Usage(
        rss=_megabytes(status["VmRSS"]),
        peak=_megabytes(status["VmHWM"]),
        anonymous=_megabytes(status["RssAnon"]),
        cpu=nanoseconds / 1e9,
        wakeups=wakeups,
        threads=int(status["Threads"]),
        descriptors=len(list((process / "fd").iterdir())),
    )


def _megabytes(field: str) -> float:
    return int(field.split()[0]) * 1024 / 1e6
