"""Who owns what: the rules of the ledger, over everything that may happen."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from device_plugin_agent.claims.gone import Departures
from device_plugin_agent.claims.ledger import (
    Claim,
    Claimant,
    Named,
    Page,
    bury,
    contested,
    held,
    rest,
    settle,
    withheld,
)
from device_plugin_agent.entry import ALLOCATION_GRACE

OLD = Claimant(created="2026-01-01T00:00:00Z", config="zebra", uid="old")
YOUNG = Claimant(created="2026-02-02T00:00:00Z", config="alpha", uid="young")
UNDATED = Claimant(config="beta", uid="undated")
CLAIMANTS = (OLD, YOUNG, UNDATED)


def want(device: str, *nodes: str) -> Claim:
    return Claim(resource="example.com/r", device=device, wanted=frozenset(nodes or (f"/dev/{device}",)))


def named(device: str) -> Named:
    return "example.com/r", device


def offered(ledger: dict[str, Page], me: Claimant) -> set[str]:
    """The nodes that this config may offer: the ones it owns and wants, unless it has to let go of them."""
    stopped = withheld(ledger, me)
    page = ledger.get(me.uid)
    if page is None:
        return set()
    return {
        node
        for claim in page.claims
        if claim.named not in stopped and claim.wanted and claim.wanted <= claim.owned
        for node in claim.wanted
    }


def test_the_older_config_comes_first_and_one_without_a_date_last() -> None:
    assert sorted((UNDATED, YOUNG, OLD)) == [OLD, YOUNG, UNDATED]


def test_a_free_device_is_owned_at_once() -> None:
    ledger = settle({}, YOUNG, [want("a")], kept=())
    assert offered(ledger, YOUNG) == {"/dev/a"}


def test_what_a_container_has_by_another_name_is_held_until_it_is_known_to_be_free() -> None:
    ledger = settle({}, YOUNG, [want("serial", "/dev/a")], kept=())
    ledger = settle(ledger, YOUNG, [want("port", "/dev/a"), want("other")], kept=[named("serial")])
    assert held(ledger, YOUNG, [named("serial")]) == {named("port"): named("serial")}
    assert held(ledger, YOUNG, None) == {named("port"): named("serial")}
    assert held(ledger, YOUNG, []) == {}
    assert held(ledger, YOUNG, [named("port")]) == {}


def test_an_owned_device_is_left_to_a_younger_owner_until_it_has_let_go() -> None:
    ledger = settle({}, YOUNG, [want("a")], kept=())
    ledger = settle(ledger, OLD, [want("b", "/dev/a")], kept=())
    assert offered(ledger, OLD) == set()
    ledger = settle(ledger, YOUNG, [want("a")], kept=[named("a")])  # it no longer offers it, a container has it
    assert offered(ledger, YOUNG) == set()
    assert withheld(ledger, OLD) == {named("b"): YOUNG}
    ledger = settle(ledger, YOUNG, [want("a")], kept=())
    ledger = settle(ledger, OLD, [want("b", "/dev/a")], kept=())
    assert offered(ledger, OLD) == {"/dev/a"}


def test_nothing_is_let_go_before_it_is_known_who_uses_what() -> None:
    ledger = settle({}, YOUNG, [want("a")], kept=())
    ledger = settle(ledger, OLD, [want("a")], kept=())
    assert offered(settle(settle(ledger, YOUNG, [], kept=None), OLD, [want("a")], kept=()), OLD) == set()


def test_a_device_is_owned_with_all_its_nodes_or_not_at_all() -> None:
    ledger = settle({}, YOUNG, [want("tty", "/dev/ttyUSB0")], kept=())
    ledger = settle(ledger, OLD, [want("stick", "/dev/ttyUSB0", "/dev/bus/usb/001/002")], kept=())
    assert offered(ledger, OLD) == set()
    third = settle(ledger, UNDATED, [want("bus", "/dev/bus/usb/001/002")], kept=())
    assert offered(third, UNDATED) == set()


def test_both_sides_see_who_contends_and_who_owns() -> None:
    ledger = settle(settle({}, OLD, [want("a"), want("b")], kept=()), YOUNG, [want("x", "/dev/a")], kept=())
    assert contested(ledger, OLD) == {named("a"): ("zebra", ["zebra", "alpha"])}
    assert contested(ledger, YOUNG) == {named("x"): ("zebra", ["zebra", "alpha"])}


def test_the_dead_leave_only_what_containers_still_have() -> None:
    ledger = settle({}, OLD, [want("a"), want("b")], kept=())
    ledger = settle(bury(ledger, "old", [named("a")]), YOUNG, [want("a"), want("b")], kept=())
    assert offered(ledger, YOUNG) == {"/dev/b"}
    assert "old" not in bury(ledger, "old", [])


def test_a_settled_ledger_stays_as_it_is() -> None:
    ledger = settle({}, OLD, [want("a")], kept=())
    assert settle(ledger, OLD, [want("a")], kept=[named("a")]) == ledger


class Node(RuleBasedStateMachine):
    """Configs that want, use and let go of devices in any order, each acting on what it last read."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger: dict[str, Page] = {}
        self.wants: dict[Claimant, tuple[str, ...]] = dict.fromkeys(CLAIMANTS, ())
        self.offers: dict[Claimant, set[str]] = {me: set() for me in CLAIMANTS}
        self.used: dict[Claimant, set[str]] = {me: set() for me in CLAIMANTS}

    @rule(me=st.sampled_from(CLAIMANTS), devices=st.sets(st.sampled_from("abc")))
    def selects(self, me: Claimant, devices: Iterable[str]) -> None:
        self.wants[me] = tuple(sorted(devices))

    @rule(me=st.sampled_from(CLAIMANTS), known=st.booleans())
    def looks(self, me: Claimant, known: bool) -> None:
        wants = [want(device) for device in self.wants[me]]
        for _ in range(2):  # as the supervisor: once before it changes what it offers, once after
            kept = [named(device) for device in self.offers[me] | self.used[me]]
            self.ledger = settle(self.ledger, me, wants, kept if known else None)
            self.offers[me] = {node[-1] for node in offered(self.ledger, me)}

    @rule(me=st.sampled_from(CLAIMANTS), device=st.sampled_from("abc"))
    def hands_out(self, me: Claimant, device: str) -> None:
        if device in self.offers[me]:
            self.used[me].add(device)

    @rule(me=st.sampled_from(CLAIMANTS), device=st.sampled_from("abc"))
    def ends(self, me: Claimant, device: str) -> None:
        self.used[me].discard(device)

    @invariant()
    def nobody_offers_what_another_offers_or_uses(self) -> None:
        for device in "abc":
            claimed = [me for me in CLAIMANTS if device in self.offers[me] | self.used[me]]
            assert len(claimed) <= 1, f"{device}: {claimed}"

    def teardown(self) -> None:
        """All containers ended and everybody had a few looks: each device is with the oldest that wants it."""
        self.used = {me: set() for me in CLAIMANTS}
        for _ in range(3):
            for me in CLAIMANTS:
                self.looks(me, known=True)
        for device in "abc":
            wanting = sorted(me for me in CLAIMANTS if device in self.wants[me])
            assert [me for me in CLAIMANTS if device in self.offers[me]] == wanting[:1]


TestNode = Node.TestCase


@given(st.floats(0, 1e6), st.floats(0, 100), st.booleans())
def test_a_config_counts_as_gone_once_podresources_was_heard_long_enough_after_it_was_last_seen(
    gone_at: float, later: float, quiet: bool
) -> None:
    departures = Departures()
    departures.heard([named("a")], monotonic=gone_at - 1)
    assert departures.seen(OLD, here=False, quiet=quiet, monotonic=gone_at) is None
    departures.heard([named("b")], monotonic=gone_at + later)
    due = quiet or gone_at + later >= gone_at + ALLOCATION_GRACE
    seen = departures.seen(OLD, here=False, quiet=quiet, monotonic=gone_at + later)
    assert seen == (frozenset([named("b")]) if due else None)


def test_a_config_that_was_seen_in_between_is_gone_anew() -> None:
    departures = Departures()
    departures.seen(OLD, here=False, quiet=False, monotonic=0.0)
    departures.seen(OLD, here=True, quiet=False, monotonic=50.0)
    departures.heard([], monotonic=60.0)
    assert departures.seen(OLD, here=False, quiet=False, monotonic=60.0) is None


def test_a_config_that_nobody_asked_for_in_between_is_gone_anew() -> None:
    departures = Departures()
    departures.asked_for([OLD])
    departures.seen(OLD, here=False, quiet=False, monotonic=0.0)
    departures.asked_for([])
    departures.asked_for([OLD])
    departures.heard([], monotonic=60.0)
    assert departures.seen(OLD, here=False, quiet=False, monotonic=60.0) is None


def test_a_page_is_quiet_from_the_end_of_its_agent_until_the_next_one_writes_it() -> None:
    wants = [want("a")]
    page = settle({}, OLD, wants, None)
    ended = rest(page | {"other": page[OLD.uid]}, OLD.uid)
    assert ended[OLD.uid].quiet
    assert not ended["other"].quiet
    assert settle(ended, OLD, wants, None)[OLD.uid] == page[OLD.uid]
    assert rest({}, OLD.uid) == {}
