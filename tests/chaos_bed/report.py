"""What a run has shown, for people. Pure."""

from collections.abc import Iterator, Sequence

from chaos_bed.checker import Verdict
from chaos_bed.facts import Mode, facts
from chaos_bed.findings import BELIEVED, LIMITS, Finding
from chaos_bed.samples import Look, Sample

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
    node, _, device = about.partition(" ")
    if node not in sample.looks:
        places = "; ".join(f"{name}: {_node(look)}" for name, look in sample.looks.items())
        return f"api {sample.api}, {sample.summary.reason} {dict(sample.summary.counts)}; {places}"
    look = sample.looks[node]
    truth = f"api {sample.api and look.reaches_api}, agent {look.agent}"
    if device:
        offered = None if look.offered is None else device in look.offered
        held = None if look.held is None else sorted(look.held.get(device, ()))
        truth += f", present {device in look.present}, selected {device in sample.wanted.selected}"
        truth += f", cordoned {(node, device) in sample.wanted.cordoned}, offered {offered}, held {held}"
        truth += f", runs {sorted(look.running.get(device, ()))}"
    return f"{truth}; said: {sample.reports.get(node, {}).get(device)}, {sample.summary.reason}"


def _node(look: Look) -> str:
    offered = "no answer" if look.offered is None else len(look.offered)
    return f"present {sorted(look.present)}, agent {look.agent}, reaches api {look.reaches_api}, offered {offered}"
