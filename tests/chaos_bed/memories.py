"""What has to be remembered of a node to say what is so there now. Nothing here does I/O or reads a clock."""

from collections.abc import Mapping, Set
from dataclasses import replace

from chaos_bed.facts import HEARD, Device
from chaos_bed.samples import Wanted

_ON_ITS_WAY = 2.0
"""Seconds after a cut in which an edit from before it may still arrive, or be seen by the sampler."""


class Contents:
    """Which contents of the config an agent may run."""

    def __init__(self) -> None:
        self._may_run: list[Wanted] = []
        self._reached = 0.0

    def look(self, wanted: Wanted, *, reachable: bool, runs: bool, clock: float) -> bool | None:
        """Whether it runs what is wanted now. `runs`: it has had its time for that."""
        content = replace(wanted, cordoned=frozenset())  # cordons are no part of what a rollout brings
        if runs:
            self._may_run.clear()
        if reachable:
            self._reached = clock
        if clock - self._reached < _ON_ITS_WAY and content not in self._may_run:
            self._may_run.append(content)
        if runs:
            return True
        return None if reachable or content in self._may_run else False


class Works:
    """Which devices an agent saw work until they went: such a one stays listed as missing."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._missed: frozenset[str] = frozenset()
        self._under: tuple[Wanted, int] | None = None

    def look(self, devices: Mapping[str, Device], wanted: Wanted, agent: int, *, known: bool, clock: float) -> Set[str]:
        """Those that are missed now. `agent`: which process it is; another one may have another memory."""
        if self._under != (wanted, agent):
            self._since, self._missed, self._under = {}, frozenset(), (wanted, agent)
        seen = {id_ for id_, since in self._since.items() if clock - since >= HEARD}
        went = seen if known else frozenset[str]()
        self._missed = frozenset(id_ for id_ in self._missed | went if not devices[id_].present)
        self._since = {id_: self._since.get(id_, clock) for id_, device in devices.items() if known and device.works}
        return self._missed
