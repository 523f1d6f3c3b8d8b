"""Whether the agent's loops turn: what its liveness means."""

from device_plugin_agent.clock import Clock
from device_plugin_agent.http import Answer

_LATE = 30.0
"""Seconds that a loop may be late before the agent counts as hung: everything that a loop waits for ends sooner."""


class Pulse:
    """Each loop tells when it turned.

    Those that wait for an API server have no part in it: each of their waits ends by itself, and to start the agent
    anew would not help. A driver that hangs makes none late: who asks one waits for a bounded time.
    """

    def __init__(self, clock: Clock, *expected: str) -> None:
        """`expected`: the loops that are late, too, when they never turn."""
        self._clock = clock
        self._due = dict.fromkeys(expected, clock.monotonic())

    def turned(self, loop: str, wait: float | None) -> None:
        """The loop of that name turned, and will again within `wait` seconds; None: when there is work for it."""
        if wait is None:
            self.ended(loop)
        else:
            self._due[loop] = self._clock.monotonic() + wait

    def ended(self, loop: str) -> None:
        """Nobody waits for it any more."""
        self._due.pop(loop, None)

    def alive(self) -> Answer:
        """Whether all of them turned in time."""
        now = self._clock.monotonic()
        late = [f"{loop} is {now - due:.0f} s late" for loop, due in sorted(self._due.items()) if now - due > _LATE]
        return Answer(False, "; ".join(late)) if late else Answer(True, f"turning: {', '.join(sorted(self._due))}")
