"""A clock that tests move."""


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.unix = 1e9
        self.since_start = 100.0

    def now(self) -> float:
        """Unix time in seconds."""
        return self.unix

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.since_start

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.unix += seconds
        self.since_start += seconds
