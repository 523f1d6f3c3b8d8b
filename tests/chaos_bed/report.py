"""What a run has shown, for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from chaos_bed.checker import Verdict
from chaos_bed.derive import facts
from chaos_bed.facts import Mode
from chaos_bed.findings import BELIEVED, LIMITS, Finding
from chaos_bed.samples import Look, Report, Said, Sample

_AROUND = 6.0
"""Seconds before a broken promise, and half of them after it, that are shown."""


def table(verdict: Verdict) -> list[str]:
    """A Markdown table."""
    lines = [
        f"{verdict.samples} samples in {verdict.seconds:.0f} s, of which {verdict.counted:.0f} s count",
        "",
        "| statement | looks | not right at once | worst delay | promised |",
        "|---|---|---|---|---|",
    ]
    for kind, limit in LIMITS.items():
        tally = verdict.tallies[kind]
        worst = "–" if tally.worst is None else f"{tally.worst.delay:.1f} s"
        lines.append(f"| {kind} | {tally.checked} | {tally.late} | {worst} | {limit:g} s |")
    return lines


def known(samples: Sequence[Sample]) -> str:
    """For how much of the time the truth could be known."""
    modes = [node.mode for fact in facts(samples, believed_within=BELIEVED) for node in fact.nodes.values()]
    shares = ", ".join(f"{mode.value} {100 * modes.count(mode) / len(modes):.0f} %" for mode in Mode)
    return f"nodes were: {shares}"


def story(finding: Finding, samples: Sequence[Sample]) -> list[str]:
    """A broken promise, and what was seen around it."""
    begin = samples[0].at
    heading = (
        f"{finding.kind}: {finding.about}, {finding.delay:.1f} s late at {finding.at - begin:.1f} s: {finding.said}"
    )
    since = finding.at - finding.delay - _AROUND
    return [heading, *(f"  {line}" for line in _changes(finding, samples, since, finding.at + _AROUND / 2))]


def _changes(finding: Finding, samples: Sequence[Sample], since: float, until: float) -> Iterator[str]:
    before = ""
    for sample in samples:
        if since <= sample.at <= until:
            now = _seen(finding.about, sample)
            if now != before:
                yield f"{sample.at - samples[0].at:7.1f} s  {now}"
            before = now


def _seen(about: str, sample: Sample) -> str:
    node, _, what = about.partition(" ")
    summary = sample.summary
    config = f"{summary.reason} {_conditions(summary.conditions)} {_counts(summary.counts)}"
    if node not in sample.looks:
        places = "; ".join(f"{name}: {_node(look)}" for name, look in sample.looks.items())
        return f"api {sample.api}, {config}; {places}"
    look, report = sample.looks[node], sample.reports.get(node, Report())
    if not _is_device(what, sample, look, report):
        told = f"{_conditions(report.conditions)} {dict(report.registered)} {_counts(report.counts)}"
        return f"api {sample.api}, {_node(look)}; said: {told}, {config}"
    offered = None if look.offered is None else what in look.offered
    held = None if look.held is None else sorted(look.held.get(what, ()))
    truth = f"api {sample.api and look.reaches_api}, agent {look.agent}"
    truth += f", present {what in look.present}, selected {what in sample.wanted.selected}"
    truth += f", cordoned {(node, what) in sample.wanted.cordoned}, offered {offered}, held {held}"
    truth += f", runs {sorted(look.running.get(what, ()))}"
    problems = [each for each in summary.problems if (each.node, each.device) == (node, what)]
    return f"{truth}; said: {report.devices.get(what)}, {summary.reason}, {problems}"


def _is_device(what: str, sample: Sample, look: Look, report: Report) -> bool:
    return what in sample.wanted.selected or what in look.present or what in report.devices


def _conditions(conditions: Mapping[str, Said]) -> str:
    return ", ".join(f"{type_} {said.status}" for type_, said in conditions.items())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {number}" for count, number in counts.items() if number)


def _node(look: Look) -> str:
    offered = "no answer" if look.offered is None else len(look.offered)
    return f"present {sorted(look.present)}, agent {look.agent}, reaches api {look.reaches_api}, offered {offered}"
