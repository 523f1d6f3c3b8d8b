"""Who leads: the decisions of a Lease election, without I/O.

A leader trusts its lease for less time than the others wait before they take it, so there are never two:
it counts from before it sent its last write that succeeded, they count from when they first saw that write.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds, as client-go's defaults are."""

    duration: float = 15.0
    """A lease that has not changed for so long is free."""
    deadline: float = 10.0
    """A leader that could not renew for so long leads no more."""
    period: float = 2.0
    """Between two attempts."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The Lease as it was seen."""

    version: str
    """Its resourceVersion: the next write must be based on it."""
    holder: str
    """ "" when it was released."""
    duration: float
    """In seconds, as its holder promised."""
    acquired: str = ""
    transitions: int = 0


class Election:
    """One candidate's view. Times are its own monotonic clock's, given by the caller."""

    def __init__(self, identity: str, timing: Timing) -> None:
        self.identity = identity
        self.timing = timing
        self.record: Record | None = None
        self._seen = 0.0
        self._confirmed: float | None = None

    def saw(self, record: Record | None, now: float) -> None:
        """The Lease was read at that time; None: there is none."""
        if self.record is None or record is None or record.version != self.record.version:
            self._seen = now
        self.record = record

    def wrote(self, record: Record, sent: float, now: float) -> None:
        """Our write, sent at `sent`, has succeeded."""
        self.saw(record, now)
        self._confirmed = sent

    def free(self, now: float) -> bool:
        """Whether we may write our name into the Lease, based on the version we know."""
        return self.free_in(now) <= 0

    def free_in(self, now: float) -> float:
        """Seconds until we may write our name into it, should its holder stay silent."""
        if self.record is None or self.record.holder in ("", self.identity):
            return 0.0
        return max(0.0, self._seen + self.record.duration - now)

    def left(self, now: float) -> float:
        """Seconds for which we surely lead; 0.0 when we do not."""
        if self._confirmed is None or (self.record is not None and self.record.holder != self.identity):
            return 0.0
        return max(0.0, self._confirmed + self.timing.deadline - now)

    def leads(self, now: float) -> bool:
        """Whether nobody else can lead now, so that we may write."""
        return self.left(now) > 0

    def lost(self, now: float) -> bool:
        """Whether we led, and do so no more."""
        return self._confirmed is not None and not self.leads(now)
