"""How often something may happen that others have to work for."""


class Pace:
    """Lets a few through at once, and after them one an interval."""

    def __init__(self, interval: float, *, at_once: int) -> None:
        """`interval` in seconds, of the caller's monotonic clock."""
        self._interval = interval
        self._slack = (at_once - 1) * interval
        self._due = float("-inf")
        """When the next would come if all that came had been an interval apart."""

    def wait(self, monotonic: float) -> float:
        """Seconds until the next one may be; it counts as done then."""
        at = max(monotonic, self._due - self._slack)
        self._due = max(self._due, at) + self._interval
        return at - monotonic
