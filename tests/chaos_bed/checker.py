"""Holds statements against facts: how late each was at worst, and which broke a promise. Pure.

A statement is as late as the youngest facts that it fits are old, but no later than since it is wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from chaos_bed.ages import Sums, sums
from chaos_bed.derive import facts
from chaos_bed.facts import Fact
from chaos_bed.findings import BELIEVED, LIMITS, Finding
from chaos_bed.kubelets import of_kubelets
from chaos_bed.looks import of_nodes, of_the_config
from chaos_bed.lost import of_lost_nodes
from chaos_bed.samples import Sample
from chaos_bed.stamps import Stamps


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
    stamps = Stamps()
    for number, sample in enumerate(samples):
        now, before = known[number], since
        since = {}
        for finding in _of_sample(sample, known[: number + 1], counted[: number + 1], stamps):
            if finding.delay > 0:
                key = (finding.kind, finding.about)
                # What is wrong at a first look may have been so since right after the look before.
                since[key] = before.get(key, now.clock - now.beat)
                finding = replace(finding, delay=min(finding.delay, now.clock - since[key]))
            yield finding


def _of_sample(sample: Sample, past: Sequence[Fact], counted: Sequence[Sums], stamps: Stamps) -> Iterator[Finding]:
    """Each with the age of what it says."""
    yield from of_nodes(sample, past, counted)
    yield from stamps.look(sample, past)
    yield from of_lost_nodes(sample, past[-1])
    if sample.api:
        yield from of_the_config(sample.summary, past, counted)
    yield from of_kubelets(past[-1])
