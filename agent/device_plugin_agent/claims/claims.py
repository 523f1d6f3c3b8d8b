"""What this agent may offer, as far as the other configs of the node are concerned."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from device_plugin_agent.claims import ledger
from device_plugin_agent.claims.ledger import YOUNGEST, Claim, Claimant, Ledger, Named
from device_plugin_agent.claims.store import Busy, ClaimsUnavailable, Store

_log = logging.getLogger(__name__)


class Claims:
    """One agent's dealings with the ledger. Nothing is offered that it does not own there."""

    def __init__(self, store: Store, me: Claimant) -> None:
        self.me = me
        self.busy = False
        """Whether another agent kept us from settling: it is worth trying again in a moment."""
        self.known = False
        """Whether the ledger was seen."""
        self._store = store
        self._ledger: Ledger = {}
        self._trouble: str | None = None

    @property
    def directory(self) -> Path:
        """Where a change by another agent shows."""
        return self._store.directory

    def dated(self, created: str | None) -> None:
        """Since when the config exists: the older one comes first."""
        self.me = Claimant(created=created or YOUNGEST, config=self.me.config, uid=self.me.uid)

    def settle(self, wants: Sequence[Claim], kept: Collection[Named] | None) -> dict[Named, str]:
        """Claim what is wanted and let go of what is not `kept`; what must not be offered, and why."""
        self.busy = False
        try:
            self._ledger = self._store.change(lambda known: ledger.settle(known, self.me, wants, kept))
            self.known = True
            self._told(None)
        except Busy:
            self.busy = True
            self._trouble = "another agent is changing the claims of this node"
        except ClaimsUnavailable as error:
            if error.known is not None:
                self._ledger, self.known = error.known, True
            self._told(str(error))
        stopped = ledger.withheld(self._ledger, self.me)
        page = self._ledger.get(self.me.uid)
        owned = {claim.named: claim.owned for claim in page.claims} if page is not None else {}
        withheld: dict[Named, str] = {}
        for want in wants:
            if want.named in stopped:
                withheld[want.named] = f"belongs to config {stopped[want.named].config}"
            elif not want.wanted <= owned.get(want.named, frozenset()):
                withheld[want.named] = f"not claimed yet: {self._trouble}"
        return withheld

    def missed(self, found: Collection[str]) -> dict[Named, frozenset[str]]:
        """What is ours and the nodes of each, but for what has any of the nodes that were found."""
        page = self._ledger.get(self.me.uid)
        claims = page.claims if page is not None else ()
        return {claim.named: claim.owned for claim in claims if claim.owned and claim.owned.isdisjoint(found)}

    def held(self, used: Collection[Named] | None) -> dict[Named, str]:
        """What must not be offered since a container has it by another name, and why. `used`: what containers have."""
        held = ledger.held(self._ledger, self.me, used)
        return {
            named: f"still with a container as {device} of {resource}" for named, (resource, device) in held.items()
        }

    def contested(self) -> Mapping[Named, tuple[str, Sequence[str]]]:
        """What others want or own as well: the name of the config that owns it, if any does, and all the others'."""
        return ledger.contested(self._ledger, self.me)

    def in_the_way(self) -> set[Claimant]:
        """Because of whom something is not offered."""
        return set(ledger.withheld(self._ledger, self.me).values())

    def lives(self, uid: str) -> bool:
        """Whether an agent of that config runs on this node."""
        return self._store.lives(uid)

    def quiet(self, uid: str) -> bool:
        """Whether podresources names all that the last agent of that config handed out."""
        page = self._ledger.get(uid)
        return page is not None and page.quiet

    def close(self, *, quiet: bool) -> None:
        """No longer count as living; what is owned stays owned. `quiet`: podresources names all that was handed out."""
        self._store.close()
        if not quiet or self._store.lives(self.me.uid):
            return
        try:
            self._store.change(lambda known: ledger.rest(known, self.me.uid))
        except (Busy, ClaimsUnavailable) as error:
            _log.info("Could not say that nothing is pending", extra={"err": str(error)})
        self._store.close()

    def leave(self, in_use: Collection[Named]) -> None:
        """Let go of everything that is not in use: this config is gone from the node."""
        self._store.close()
        if not self._store.lives(self.me.uid):
            self.bury(self.me.uid, in_use)
            self._store.close()

    def bury(self, uid: str, in_use: Collection[Named]) -> None:
        """Let go what a config owned that is gone from this node. When the ledger cannot be changed: another time."""
        try:
            self._ledger = self._store.change(lambda known: ledger.bury(known, uid, in_use))
        except (Busy, ClaimsUnavailable) as error:
            _log.info("Could not bury claims", extra={"of": uid, "err": str(error)})
        if uid not in self._ledger:
            self._store.forget(uid)

    def _told(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            _log.warning("Claims are unavailable", extra={"err": trouble})
        self._trouble = trouble
