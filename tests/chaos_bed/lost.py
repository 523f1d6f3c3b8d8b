"""What a config says of nodes that nothing can be known of: that has to be Unknown, sooner or later. Pure."""

from collections.abc import Iterator

from chaos_bed.counts import READY, UPDATED
from chaos_bed.facts import Fact, Mode
from chaos_bed.findings import UNKNOWN, Finding
from chaos_bed.samples import Sample


def of_lost_nodes(sample: Sample, now: Fact) -> Iterator[Finding]:
    """One that was lost a moment ago may count as Unknown, and need not."""
    lost = {name: node.lasting for name, node in now.nodes.items() if node.mode is Mode.LOST}
    summary = sample.summary
    complaints = {complaint.node for complaint in summary.problems if not complaint.device}
    degraded = summary.conditions.get("Degraded")
    for name, lasting in lost.items():
        longer = [other for other, since in lost.items() if since >= lasting]
        reports = [sample.reports[other] for other in longer if other in sample.reports]
        looks = [(name, summary.counts["unknown"], sum(len(report.devices) for report in reports))]
        looks += [
            (f"{name} {resource}", summary.counts.get(f"{resource} unknown", 0), total)
            for resource in sorted({each for report in reports for each in report.registered})
            if (total := sum(report.counts.get(f"{resource} total", 0) for report in reports))
        ]
        for about, unknown, devices in looks:
            yield _finding(about, now, unknown >= devices, lasting, f"{unknown} of {devices}")
        for count in (READY, UPDATED):
            number, rest = summary.counts.get(count, 0), len(now.nodes) - len(longer)
            yield _finding(f"{name} in {count}", now, number <= rest, lasting, f"{number}, and {rest} can be known")
        told = name in complaints or summary.truncated
        yield _finding(f"{name} in problems", now, told, lasting, "named" if told else "not named")
        status = degraded.status if degraded is not None else ""
        yield _finding(f"{name} in Degraded", now, status == "True", lasting, status)


def _finding(about: str, now: Fact, right: bool, lasting: float, said: str) -> Finding:
    return Finding(kind=UNKNOWN, about=about, at=now.at, delay=0.0 if right else lasting, said=said)
