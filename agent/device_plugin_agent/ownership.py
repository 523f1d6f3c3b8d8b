"""What this agent may offer beside the other configs of the node: its claims, made of what it serves."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from device_plugin_agent.claims.claims import Claims
from device_plugin_agent.claims.ledger import Claim, Named
from device_plugin_agent.served import Served, serving
from device_plugin_api.node import MAX_CONTESTED, MAX_RIVALS, ContestedDevice

_TRY_AGAIN = 0.1
"""Seconds after which claims are settled that another agent kept us from settling."""


class Ownership:
    """Claims what is selected, and lets go of what nobody needs any more; `served` is read anew each time."""

    def __init__(
        self, claims: Claims, served: Mapping[str, Served], *, changed: Callable[[], None], again: Callable[[], None]
    ) -> None:
        self.use_known = asyncio.Event()
        """Whether podresources has told who has what."""
        self._claims = claims
        self._served = served
        self._changed = changed
        self._again = again
        self._configured = False
        self._taken_over = False
        self._kept: frozenset[Named] = frozenset()
        self._used: frozenset[Named] = frozenset()

    @property
    def directory(self) -> Path:
        """Where a change by another agent shows."""
        return self._claims.directory

    def configured(self, created: str | None) -> None:
        """What is served is what the config says; since when that exists tells whose turn comes first."""
        self._claims.dated(created)
        self._configured = True

    def claim(self) -> dict[Named, str]:
        """Claim what is selected and let go of what is no longer here; what must not be offered, and why."""
        wants = [
            Claim(resource=name, device=found.id, wanted=found.marks)
            for name, served in serving(self._served).items()
            if not served.draining
            for found in served.discovery.candidates
            if found.marks
        ]
        self._kept = self._in_inventory()
        before = self._claims.contested()
        withheld = self._claims.settle(wants, self._kept if self.use_known.is_set() and self._taken_over else None)
        if self._claims.contested() != before:
            self._changed()
        if self._claims.busy:
            asyncio.get_running_loop().call_later(_TRY_AGAIN, self._again)
        return withheld

    def held(self) -> dict[Named, str]:
        """What must not be offered since a container has it by another name, and why."""
        return self._claims.held(self._in_use() if self.use_known.is_set() else None)

    def take_over(self) -> dict[Named, frozenset[str]]:
        """What was ours when the last agent process ended and was not found now, and the nodes that each had.

        Asked once, when that can be known.
        """
        if self._taken_over or not self._configured or not self._claims.known:
            return {}
        self._taken_over = True
        candidates = (found for served in self._served.values() for found in served.discovery.candidates)
        return self._claims.missed({mark for found in candidates for mark in found.marks})

    def let_go(self) -> None:
        """Let go of what has left the inventories since the last claim."""
        if self._kept - self._in_inventory():
            self.claim()

    def heard(self) -> bool:
        """Podresources told who has what: whether something may be offered now that was held back for a container."""
        first = not self.use_known.is_set()
        self.use_known.set()
        if first:
            self.claim()
        else:
            self.let_go()
        before, self._used = self._used, self._in_use()
        return first or bool(before - self._used)

    def contested(self) -> tuple[ContestedDevice, ...]:
        """What other configs of this node want or own as well."""
        return tuple(
            ContestedDevice(resource=resource, device=device, owner=owner, configs=tuple(configs[:MAX_RIVALS]))
            for (resource, device), (owner, configs) in sorted(self._claims.contested().items())[:MAX_CONTESTED]
        )

    def _in_inventory(self) -> frozenset[Named]:
        return frozenset(
            (name, device) for name, served in serving(self._served).items() for device in served.inventory.entries
        )

    def _in_use(self) -> frozenset[Named]:
        return frozenset(
            (name, device)
            for name, served in self._served.items()
            for device, entry in served.inventory.entries.items()
            if entry.taken
        )
