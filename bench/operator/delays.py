"""How long it takes until a config's status includes what changed on a node."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    """A device went or came back: when, when the API server had it, and the resourceVersion of that."""

    version: int
    at: float
    stored: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A config's status at some time: how many of the changes it includes."""

    included: int
    at: float


def delays(changes: Sequence[Change], seen: Sequence[Seen]) -> list[float]:
    """Seconds for each change, sorted.

    The operator hears of the changes in the order of their versions: a status that includes so many of them includes
    the first so many.
    """
    waiting = sorted(changes, key=lambda change: change.version)
    found: list[float] = []
    for status in seen:
        found += [status.at - change.at for change in waiting[len(found) : status.included]]
    return sorted(found)
