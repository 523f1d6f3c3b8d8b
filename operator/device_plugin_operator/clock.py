"""Time, so that tests can bring their own."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never set back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never set back."""
        return time.monotonic()


def timestamp(unix: float) -> str:
    """RFC 3339 in UTC, to the second, as metav1.Time is written."""
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix_time(stamp: str) -> float | None:
    """The way back from `timestamp`; None when it is no time."""
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None
