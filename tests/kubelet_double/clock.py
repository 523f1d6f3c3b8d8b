"""Time for the double: the machine's, or one that only a test moves."""

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def monotonic(self) -> float:
        """Seconds since some moment; never set back."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()


class FakeClock:
    """Stands still until a test advances it; tells those who asked when it moves."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._listeners: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        """Seconds, as far as the test has advanced them."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._now += seconds
        for listener in tuple(self._listeners):
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each move."""
        self._listeners.append(listener)
