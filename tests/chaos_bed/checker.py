"""Holds statements against facts: how late each was at worst, and which broke a promise. Pure.

A statement is as late as the youngest facts that it fits are old, but no later than since it is wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from chaos_bed.ages import Sums, age, age_of_sum, sums
from chaos_bed.facts import Fact, Mode, facts
from chaos_bed.findings import BELIEVED, COUNT, LIMITS, PROBLEM, RUNS, STATE, STATUS, UNKNOWN, USE, Finding
from chaos_bed.kubelets import of_kubelets
from chaos_bed.samples import Sample, Summary
from chaos_bed.statements import COUNTS, complaint_fits, count_fits, runs_fit, state_fits, status_fits, use_fits


@dataclass(frozen=True, kw_only=True)
class Tally:
    """All looks at statements of one kind."""

    checked: int = 0
    late: int = 0
    """Of these: not right at that moment."""
    worst: Finding | None = None

    def plus(self, finding: Finding) -> "Tally":
        """One more."""
        worse = self.worst is None or finding.delay > self.worst.delay
        return Tally(
            checked=self.checked + 1,
            late=self.late + (finding.delay > 0),
            worst=finding if worse else self.worst,
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a run has shown."""

    samples: int
    seconds: float
    counted: float
    """Of these seconds: those in which the sampler kept its beat."""
    tallies: Mapping[str, Tally]
    violations: tuple[Finding, ...]
    """The worst look at each statement that broke its promise, in the order of time."""


def check(samples: Sequence[Sample]) -> Verdict:
    """Everything about a run."""
    known = facts(samples, believed_within=BELIEVED)
    tallies = dict.fromkeys(LIMITS, Tally())
    broken: dict[tuple[str, str], Finding] = {}
    for finding in _findings(samples, known):
        tallies[finding.kind] = tallies[finding.kind].plus(finding)
        before = broken.get((finding.kind, finding.about))
        if finding.broken and (before is None or finding.delay > before.delay):
            broken[finding.kind, finding.about] = finding
    return Verdict(
        samples=len(samples),
        seconds=samples[-1].at - samples[0].at,
        counted=known[-1].clock,
        tallies=tallies,
        violations=tuple(sorted(broken.values(), key=lambda finding: finding.at)),
    )


def _findings(samples: Sequence[Sample], known: Sequence[Fact]) -> Iterator[Finding]:
    since: dict[tuple[str, str], float] = {}
    counted = [sums(fact) for fact in known]
    for number, sample in enumerate(samples):
        now, before = known[number], since
        since = {}
        for finding in _of_sample(sample, known[: number + 1], counted[: number + 1]):
            if finding.delay > 0:
                key = (finding.kind, finding.about)
                # What is wrong at a first look may have been so since right after the look before.
                since[key] = before.get(key, now.clock - now.beat)
                finding = replace(finding, delay=min(finding.delay, now.clock - since[key]))
            yield finding


def _of_sample(sample: Sample, past: Sequence[Fact], counted: Sequence[Sums]) -> Iterator[Finding]:
    """Each with the age of what it says."""
    yield from _of_nodes(sample, past)
    yield from _of_lost_nodes(sample, past[-1])
    if sample.api:
        yield from _of_the_config(sample.summary, past, counted)
    yield from of_kubelets(past[-1])


def _of_nodes(sample: Sample, past: Sequence[Fact]) -> Iterator[Finding]:
    at = past[-1].at
    for name, node in past[-1].nodes.items():
        if node.mode is not Mode.KNOWN:
            continue
        for device in node.devices:
            told = sample.reports.get(name, {}).get(device)
            said = "not listed" if told is None else f"{told.state} {told.reason} {sorted(told.holders)}"
            late = {STATE: age(past, name, partial(state_fits, device, told))}
            late[RUNS] = age(past, name, partial(runs_fit, device, told))
            if told is not None:
                late[USE] = age(past, name, partial(use_fits, device, told))
            for kind, delay in late.items():
                yield Finding(kind=kind, about=f"{name} {device}", at=at, delay=delay, said=said)


def _of_lost_nodes(sample: Sample, now: Fact) -> Iterator[Finding]:
    """Whether their devices count as Unknown. Those of a node that was lost a moment ago may, and need not."""
    lost = {name: node.lasting for name, node in now.nodes.items() if node.mode is Mode.LOST}
    unknown = sample.summary.counts["unknown"]
    for name, lasting in lost.items():
        earlier = sum(len(sample.reports.get(other, ())) for other, since in lost.items() if since >= lasting)
        delay = 0.0 if unknown >= earlier else lasting
        yield Finding(kind=UNKNOWN, about=name, at=now.at, delay=delay, said=f"{unknown} of {earlier}")


def _of_the_config(summary: Summary, past: Sequence[Fact], counted: Sequence[Sums]) -> Iterator[Finding]:
    at = past[-1].at
    for complaint in summary.problems:
        about = f"{complaint.node} {complaint.device}".rstrip()
        delay = age(past, complaint.node, partial(complaint_fits, complaint))
        yield Finding(kind=PROBLEM, about=about, at=at, delay=delay, said=f"{complaint.state} {complaint.reason}")
    for count in COUNTS:
        number = summary.counts[count]
        delay = age_of_sum(counted, partial(count_fits, count, number))
        yield Finding(kind=COUNT, about=count, at=at, delay=delay, said=str(number))
    delay = age_of_sum(counted, partial(status_fits, summary.reason))
    yield Finding(kind=STATUS, about="Ready", at=at, delay=delay, said=summary.reason)
