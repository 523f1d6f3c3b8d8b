"""Since when something is said to be so, held against facts. Nothing here does I/O or reads a clock.

A time is wrong when it lies ahead, when it moved though the state did not, or when it lies before a moment in which
the state surely was another one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chaos_bed.ages import NEVER
from chaos_bed.facts import Device, Fact, Mode
from chaos_bed.findings import PROBLEM_SINCE, SINCE, Finding
from chaos_bed.samples import Sample

_STATES = ("Healthy", "Unhealthy", "Cordoned")

_COARSE = 1.0
"""Seconds that a time is rounded down by, at most."""

_SEEN = 3.0
"""Seconds for which another state has to last until it surely was told."""

_SKEW = 1.0
"""Seconds between a change and the sample that shows it."""

_BACK = 6.0
"""Seconds from a cause to a change of state: until a device that is back is handed out again."""


class _Claim(NamedTuple):
    kind: str
    node: str
    device: str
    state: str
    since: float


class Stamps:
    """What was said, and what was so, until now."""

    def __init__(self) -> None:
        self._against: dict[tuple[str, str, str], float] = {}
        """Node, device and state → the clock when facts began to exclude that state."""
        self._excluded: dict[tuple[str, str, str], float] = {}
        """The same → the last Unix time at which they had done so for long."""
        self._before: dict[tuple[str, str, str], _Claim] = {}
        """Kind, node and device → what was said at the look before."""
        self._moved: dict[tuple[str, str, str], float] = {}
        """The same → a time that is there without a cause."""

    def look(self, sample: Sample, past: Sequence[Fact]) -> Iterator[Finding]:
        """One more sample; `past` are all facts until then."""
        now = past[-1]
        self._learn(now)
        before, self._before = self._before, {}
        for claim in _claims(sample):
            if claim.device not in now.nodes[claim.node].devices:
                continue
            teller = claim[:3]
            self._before[teller] = claim
            former = before.get(teller)
            if former is not None and former.state == claim.state and former.since != claim.since:
                self._moved.pop(teller, None)
                if not _has_cause(claim, past):
                    self._moved[teller] = claim.since
            node = now.nodes[claim.node]
            # What is wrong altogether is another finding.
            if node.mode is Mode.KNOWN and _may_be(claim.state, node.devices[claim.device]):
                wrong = self._wrong(claim, now)
                said = f"{claim.state} for {now.wall - claim.since:.1f} s"
                about = f"{claim.node} {claim.device}"
                yield Finding(kind=claim.kind, about=about, at=now.at, delay=NEVER if wrong else 0.0, said=said)

    def _learn(self, now: Fact) -> None:
        for name, node in now.nodes.items():
            for id_, device in node.devices.items():
                for state in _STATES:
                    key = name, id_, state
                    if node.mode is not Mode.KNOWN or now.blind or _may_be(state, device):
                        self._against.pop(key, None)
                    elif now.clock - self._against.setdefault(key, now.clock) >= _SEEN:
                        self._excluded[key] = now.wall

    def _wrong(self, claim: _Claim, now: Fact) -> bool:
        if claim.since > now.wall + _SKEW or self._moved.get(claim[:3]) == claim.since:
            return True
        excluded = self._excluded.get(claim[1:4])
        return excluded is not None and claim.since + _COARSE + _SKEW < excluded


def _claims(sample: Sample) -> Iterator[_Claim]:
    for name, report in sample.reports.items():
        for id_, told in report.devices.items():
            if told.since is not None:
                yield _Claim(SINCE, name, id_, told.state, told.since)
    if sample.api:
        for complaint in sample.summary.problems:
            if complaint.device and complaint.since is not None and complaint.state == "Unhealthy":
                yield _Claim(PROBLEM_SINCE, complaint.node, complaint.device, complaint.state, complaint.since)


def _has_cause(claim: _Claim, past: Sequence[Fact]) -> bool:
    """Whether the device may have been in another state just before that time."""
    for fact in reversed(past):
        if fact.wall < claim.since - _BACK:
            return False
        node = fact.nodes[claim.node]
        unsure = fact.blind or node.mode is Mode.BACK or not node.reaches_api
        near = fact.wall <= claim.since + _COARSE + _SKEW
        if near and (unsure or not _must_be(claim.state, node.devices[claim.device])):
            return True
    return True  # before the first sample nothing is known


def _may_be(state: str, device: Device) -> bool:
    match state:
        case "Healthy":
            return device.works
        case "Cordoned":
            return device.withheld
        case "Unhealthy":
            return not (device.present and device.withheld) and not (device.works and device.offered is True)
        case _:
            return True


def _must_be(state: str, device: Device) -> bool:
    """Whether it is in this state as soon as its agent knows all."""
    match state:
        case "Healthy":
            return device.works
        case "Cordoned":
            return device.selected and device.cordoned
        case "Unhealthy":
            return not device.works and not device.withheld
        case _:
            return False
