"""Whether the kubelet has what it was told. Pure but for its memory of since when it has not."""

from collections.abc import Mapping

Slots = Mapping[str, frozenset[str]]
"""Resource → the slots that can be handed out."""

SETTLE = 15.0
"""Seconds that a difference may last: a list is on its way, the kubelet is busy or has just started."""

_MOST_NAMED = 3


class Agreement:
    """What is offered, against what podresources' GetAllocatableResources says that the kubelet has."""

    def __init__(self) -> None:
        self.compared = False
        """Whether the kubelet was ever asked with success."""
        self.difference = ""
        """What it has otherwise, for people, once that has lasted; empty while the two agree."""
        self._since: dict[str, float] = {}

    @property
    def pending(self) -> bool:
        """Whether there is a difference, lasting or not."""
        return bool(self._since)

    def compare(self, offered: Slots, has: Slots, *, monotonic: float) -> None:
        """Take in what is offered as registered resources, and what the kubelet has of everything."""
        self.compared = True
        others = {name for name, slots in offered.items() if slots != has.get(name, frozenset())}
        self._since = {name: self._since.get(name, monotonic) for name in sorted(others)}
        self.difference = "; ".join(
            _told(name, offered[name], has.get(name, frozenset()))
            for name, since in self._since.items()
            if monotonic - since >= SETTLE
        )


def _told(name: str, offered: frozenset[str], has: frozenset[str]) -> str:
    parts = [f"{name}: the kubelet has {len(has & offered)} of {len(offered)}"]
    for word, slots in (("misses", offered - has), ("has besides", has - offered)):
        if slots:
            more = f" and {len(slots) - _MOST_NAMED} more" if len(slots) > _MOST_NAMED else ""
            parts.append(f"{word} {', '.join(sorted(slots)[:_MOST_NAMED])}{more}")
    return ", ".join(parts)
