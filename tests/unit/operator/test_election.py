"""The election's decisions: several candidates, a slow and lossy network, and never two leaders."""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from device_plugin_operator.election import Election, Record, Timing

TIMING = Timing()


def lease(holder: str, version: int = 1, duration: float = TIMING.duration) -> Record:
    return Record(version=str(version), holder=holder, duration=duration)


def test_a_lease_that_nobody_has_is_free_at_once() -> None:
    election = Election("me", TIMING)
    election.saw(None, 0)
    assert election.free(0)
    election.saw(lease(""), 5)
    assert election.free(5)
    assert not election.leads(5)


def test_anothers_lease_is_free_when_it_has_not_changed_for_its_duration_since_it_was_seen() -> None:
    election = Election("me", TIMING)
    election.saw(lease("other"), 100)
    assert election.free_in(104) == 11
    election.saw(lease("other", version=2), 110)
    assert not election.free(124.9)
    election.saw(lease("other", version=2), 124.9)
    assert election.free(125)


def test_who_wrote_leads_for_the_deadline_counted_from_before_the_write() -> None:
    election = Election("me", TIMING)
    election.saw(None, 0)
    election.wrote(lease("me"), sent=1, now=4)
    assert election.leads(10.9)
    assert not election.leads(11)


def test_who_sees_another_name_in_the_lease_leads_no_more() -> None:
    election = Election("me", TIMING)
    election.wrote(lease("me"), sent=1, now=1)
    election.saw(lease("other", version=2), 2)
    assert not election.leads(2)
    assert election.lost(2)


def test_who_never_led_has_lost_nothing() -> None:
    election = Election("me", TIMING)
    election.saw(lease("me"), 0)
    assert not election.lost(100)
    election.wrote(lease("me", version=2), sent=100, now=101)
    assert not election.lost(109)
    assert election.lost(110)


def test_an_own_write_whose_answer_was_lost_may_be_repeated() -> None:
    election = Election("me", TIMING)
    election.saw(lease("other"), 0)
    election.saw(lease("me", version=2), 16)
    assert election.free(16)
    assert not election.leads(16)


@dataclass
class Candidate:
    """A process: its clock is the world's plus an offset of its own."""

    election: Election
    offset: float
    sent: list[tuple[float, str | None, Record]] = field(default_factory=list)
    """Writes that the API server has not seen yet: when sent, based on which version, what."""
    answers: list[tuple[float, Record]] = field(default_factory=list)
    """Answers that have not arrived yet: when the write was sent, and the result."""


NAMES = ("a", "b", "c")
WHO = st.sampled_from(NAMES)


class Elections(RuleBasedStateMachine):
    """Requests may be late, in any order, answered never; candidates may be frozen for any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.lease: Record | None = None
        self.version = 0
        self.candidates = {
            name: Candidate(Election(name, TIMING), offset=1000.0 * index) for index, name in enumerate(NAMES)
        }

    @rule(seconds=st.sampled_from((0.5, 2.0, 5.0, 9.5, 10.5, 14.5)))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(who=WHO)
    def looks(self, who: str) -> None:
        candidate = self.candidates[who]
        candidate.election.saw(self.lease, self.now + candidate.offset)

    @rule(who=WHO)
    def sends_a_write(self, who: str) -> None:
        candidate = self.candidates[who]
        now = self.now + candidate.offset
        if candidate.election.free(now):
            known = candidate.election.record
            candidate.sent.append((now, known.version if known else None, lease(who)))

    @rule(who=WHO)
    def does_all_at_once(self, who: str) -> None:
        self.looks(who)
        self.sends_a_write(who)
        self.a_write_reaches_the_api_server(who, -1)
        self.an_answer_arrives(who)

    @rule(who=WHO)
    def releases(self, who: str) -> None:
        candidate = self.candidates[who]
        known = candidate.election.record
        if known is not None and candidate.election.leads(self.now + candidate.offset):
            # It ends: what comes after it is another process.
            self._write(known.version, lease("", duration=1))
            self.candidates[who] = Candidate(Election(who, TIMING), candidate.offset)

    @rule(who=WHO, index=st.integers(0, 5))
    def a_write_reaches_the_api_server(self, who: str, index: int) -> None:
        candidate = self.candidates[who]
        if candidate.sent:
            sent, based_on, record = candidate.sent.pop(index % len(candidate.sent))
            written = self._write(based_on, record)
            if written is not None:
                candidate.answers.append((sent, written))

    @rule(who=WHO)
    def an_answer_arrives(self, who: str) -> None:
        candidate = self.candidates[who]
        if candidate.answers:
            sent, record = candidate.answers.pop(0)
            candidate.election.wrote(record, sent, self.now + candidate.offset)

    @rule(who=WHO)
    def an_answer_is_lost(self, who: str) -> None:
        self.candidates[who].answers[:1] = []

    def _write(self, based_on: str | None, record: Record) -> Record | None:
        """The API server's part: a write that is based on another version is refused."""
        if based_on != (self.lease.version if self.lease else None):
            return None
        self.version += 1
        self.lease = replace(record, version=str(self.version))
        return self.lease

    @invariant()
    def at_most_one_leads(self) -> None:
        leaders = [
            name for name, candidate in self.candidates.items() if candidate.election.leads(self.now + candidate.offset)
        ]
        assert len(leaders) <= 1, leaders


Elections.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestElections = Elections.TestCase
