"""Whether something happened no more often than it may."""

from collections.abc import Sequence

PERIOD, AT_ONCE = 0.1, 3


def paced(times: Sequence[float]) -> bool:
    """Whether between any two of them there were no more than a few, and one a period besides."""
    return all(
        count <= AT_ONCE + 1 + (later - earlier) / PERIOD
        for first, earlier in enumerate(times)
        for count, later in enumerate(times[first:], 1)
    )
