"""The token bucket in front of the podresources server: pkg/kubelet/apis/grpc/ratelimit.go."""

from kubelet_double.clock import Clock


class RateLimit:
    """`burst` calls at once, refilled at `per_second`."""

    def __init__(self, clock: Clock, per_second: float = 100.0, burst: int = 10) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._seen = clock.monotonic()

    def keep(self, clock: Clock) -> None:
        """Count the time of those who ask, from now on, where that is not the double's."""
        self._clock, self._seen = clock, clock.monotonic()

    def allow(self) -> bool:
        """Take a token, if there is one."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._per_second)
        self._seen = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
