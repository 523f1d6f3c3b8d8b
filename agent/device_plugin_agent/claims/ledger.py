"""Who owns which device of this node, and who comes next. Pure: what is in the file, and what follows from it.

The older config comes first. It does not take a device away: a younger owner sees in the ledger that it is wanted,
stops offering it, and lets go once no container has it. So at no moment do two configs offer one device.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec import Struct, structs

Named = tuple[str, str]
"""A device by the kubelet's words: resource name, device ID."""

YOUNGEST = "~"
"""Behind every timestamp: a config whose age is not known comes last."""


class Claimant(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A config on this node. Sorted: who comes first."""

    created: str = YOUNGEST
    """RFC 3339 in UTC."""
    config: str
    uid: str


class Claim(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device that a config wants, owns, or both, by its device nodes as the host names them.

    The nodes are what makes two devices of two configs the same one.
    """

    resource: str
    device: str
    wanted: frozenset[str] = frozenset()
    owned: frozenset[str] = frozenset()

    @property
    def named(self) -> Named:
        """What the kubelet calls it."""
        return self.resource, self.device


class Page(Struct, frozen=True, kw_only=True):
    """Everything that one config wants or owns."""

    config: str
    created: str
    claims: tuple[Claim, ...] = ()
    quiet: bool = False
    """Whether its agent has ended when podresources named everything that it had handed out."""

    def claimant(self, uid: str) -> Claimant:
        """Whose page it is."""
        return Claimant(created=self.created, config=self.config, uid=uid)


Ledger = Mapping[str, Page]
"""The UID of a config → its page."""


def settle(ledger: Ledger, me: Claimant, wants: Iterable[Claim], kept: Collection[Named] | None) -> dict[str, Page]:
    """The ledger after it was my turn.

    I own what I want and nobody else owns, unless somebody who comes before me wants it; and what I owned before, as
    long as it is in `kept`: offered, or still with a container. None: not known yet, so nothing is let go.
    """
    before = {claim.named: claim.owned for claim in _claims(ledger, me.uid)}
    keeps = {named: nodes for named, nodes in before.items() if kept is None or named in kept}
    stopped = _stopped(ledger, me)
    page: dict[Named, Claim] = {}
    for want in wants:
        owned = keeps.get(want.named, frozenset()) if want.wanted & stopped.keys() else want.wanted
        page[want.named] = structs.replace(want, owned=owned)
    for (resource, device), owned in keeps.items():
        if owned and (resource, device) not in page:
            page[resource, device] = Claim(resource=resource, device=device, owned=owned)
    settled = dict(ledger)
    settled.pop(me.uid, None)
    if page:
        claims = tuple(page[named] for named in sorted(page))
        settled[me.uid] = Page(config=me.config, created=me.created, claims=claims)
    return settled


def withheld(ledger: Ledger, me: Claimant) -> dict[Named, Claimant]:
    """What I want and must not offer, and because of whom."""
    stopped = _stopped(ledger, me)
    return {
        claim.named: min(stopped[node] for node in claim.wanted & stopped.keys())
        for claim in _claims(ledger, me.uid)
        if claim.wanted & stopped.keys()
    }


def held(ledger: Ledger, me: Claimant, used: Collection[Named] | None) -> dict[Named, Named]:
    """What I want and must not offer, since a container has it by another name: that name.

    A device is known by its port once another one shows the same serial number, and resources are renamed. `used`:
    what containers have; None: not known yet, so they may have anything.
    """
    mine = _claims(ledger, me.uid)
    away = {
        node: claim.named
        for claim in mine
        if not claim.wanted and (used is None or claim.named in used)
        for node in claim.owned
    }
    return {claim.named: away[min(claim.wanted & away.keys())] for claim in mine if claim.wanted & away.keys()}


def contested(ledger: Ledger, me: Claimant) -> dict[Named, tuple[str, list[str]]]:
    """The devices that I and others want or own: the config that owns it ("": nobody yet), and all, in their order."""
    others: dict[str, set[Claimant]] = {}
    owners: dict[str, str] = {}
    for uid, page in ledger.items():
        for claim in page.claims:
            owners |= dict.fromkeys(claim.owned, page.config)
            if uid != me.uid:
                for node in claim.wanted | claim.owned:
                    others.setdefault(node, set()).add(page.claimant(uid))
    found = {}
    for claim in _claims(ledger, me.uid):
        rivals = {other for node in claim.wanted for other in others.get(node, ())}
        if rivals:
            owner = next((owners[node] for node in sorted(claim.wanted) if node in owners), "")
            found[claim.named] = owner, [claimant.config for claimant in sorted({me, *rivals})]
    return found


def rest(ledger: Ledger, uid: str) -> dict[str, Page]:
    """The ledger when the agent of a config has ended quietly; the next process of it makes its page anew."""
    return {other: structs.replace(page, quiet=page.quiet or other == uid) for other, page in ledger.items()}


def bury(ledger: Ledger, uid: str, in_use: Collection[Named]) -> dict[str, Page]:
    """The ledger without a config that is gone from this node, but for what containers still have of it."""
    rest = tuple(
        structs.replace(claim, wanted=frozenset())
        for claim in _claims(ledger, uid)
        if claim.owned and claim.named in in_use
    )
    buried = {other: page for other, page in ledger.items() if other != uid}
    if rest:
        buried[uid] = structs.replace(ledger[uid], claims=rest)
    return buried


def _stopped(ledger: Ledger, me: Claimant) -> dict[str, Claimant]:
    """The nodes that are not for me now, and because of whom: owners first, then those who come before me."""
    first: dict[str, Claimant] = {}
    waiting: dict[str, Claimant] = {}
    for uid, page in ledger.items():
        if uid == me.uid:
            continue
        other = page.claimant(uid)
        for claim in page.claims:
            first |= dict.fromkeys(claim.owned, other)
            if other < me:
                waiting |= dict.fromkeys(claim.wanted, other)
    return waiting | first


def _claims(ledger: Ledger, uid: str) -> tuple[Claim, ...]:
    page = ledger.get(uid)
    return page.claims if page is not None else ()
