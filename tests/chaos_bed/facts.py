"""What is so at one sample, and where it can be known by those who make the statements."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

BEAT = 0.2
"""Seconds between two samples. A longer gap counts as one beat: in it the sampler itself did not run, nor, on a
machine that stands still, did anybody else."""

LONG = 25.0
"""Seconds after which a lost node's devices may be told as Unknown: a return from that takes a ready pod."""

HEARD = 5.0
"""Seconds after which an edit of the config has reached every node that could be reached."""


class Mode(Enum):
    """What can be known of a node."""

    KNOWN = "known"
    LOST = "lost"
    """No agent runs there, or it does not reach the API server."""
    BACK = "back"
    """It was lost, and may not be heard or believed again yet."""
    CUT = "cut"
    """The API server itself does not answer."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device of one node."""

    resource: str
    """Empty when no config ever wanted it."""
    present: bool
    selected: bool
    cordoned: bool
    replicas: int
    offered: bool | None
    """By the kubelet; None while it does not answer."""
    held: frozenset[str] | None
    running: frozenset[str]
    missed: bool = False
    """Whether it worked until it went, and nothing has happened since that could make its agent forget it."""

    @property
    def works(self) -> bool:
        """Whether it can be handed out as far as it and the config go."""
        return self.present and self.selected and not self.cordoned

    @property
    def withheld(self) -> bool:
        """Whether it may be told as cordoned: of what is gone nobody can tell whether the config would want it."""
        return self.cordoned and (self.selected or not self.present)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node."""

    mode: Mode
    lasting: float
    """Seconds that it has been in this mode, as the samples count them."""
    steady: float
    """Seconds that it is known, its agent one process and its kubelet answering."""
    updated: bool | None
    """Whether its agent runs the config as it is now; None where that cannot be told."""
    agent: bool
    reaches_api: bool
    devices: Mapping[str, Device]
    informed: bool
    """Whether it has heard of the config as it is now, or has as long for that as everybody."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """All that is true at one sample."""

    at: float
    wall: float
    """Unix time."""
    clock: float
    """Seconds since the first sample, gaps counted as beats."""
    beat: float
    """Of these: since the sample before."""
    blind: bool
    """Whether that was so long ago that a device may have come and gone meanwhile."""
    nodes: Mapping[str, Node]
