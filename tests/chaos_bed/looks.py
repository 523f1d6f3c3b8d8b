"""Each statement of one sample, and how old it is. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from chaos_bed.ages import Sums, age, age_of_count, age_of_sum
from chaos_bed.counts import COUNTS, DESIRED, NONE, READY, UPDATED, Bounds, within
from chaos_bed.facts import Fact, Mode
from chaos_bed.findings import (
    CONDITION,
    COUNT,
    NODE_CONDITION,
    NODE_COUNT,
    NODES,
    PROBLEM,
    RESOURCE,
    RUNS,
    STATE,
    STATUS,
    UNTOLD,
    USE,
    Finding,
)
from chaos_bed.samples import Report, Said, Sample, Summary
from chaos_bed.statements import complaint_fits, runs_fit, silence_fits, state_fits, use_fits
from chaos_bed.words import ABOUT, TYPES, condition_fits, node_condition_fits, registered_fits, status_fits

_OF_NODES = (DESIRED, READY, UPDATED)


def of_nodes(sample: Sample, past: Sequence[Fact], counted: Sequence[Sums]) -> Iterator[Finding]:
    """What NodeDevicePlugins say."""
    for name, node in past[-1].nodes.items():
        if node.mode is Mode.KNOWN:
            report = sample.reports.get(name, Report())
            yield from _of_devices(name, report, past)
            yield from _of_counts(name, report, past[-1], counted)
            yield from _of_conditions(name, report, past)


def _of_devices(name: str, report: Report, past: Sequence[Fact]) -> Iterator[Finding]:
    at = past[-1].at
    for device in past[-1].nodes[name].devices:
        told = report.devices.get(device)
        said = "not listed" if told is None else f"{told.state} {told.reason} {sorted(told.holders)}"
        late = {STATE: age(past, name, partial(state_fits, device, told))}
        late[RUNS] = age(past, name, partial(runs_fit, device, told))
        if told is not None:
            late[USE] = age(past, name, partial(use_fits, device, told))
        for kind, delay in late.items():
            yield Finding(kind=kind, about=f"{name} {device}", at=at, delay=delay, said=said)


def _of_counts(name: str, report: Report, now: Fact, counted: Sequence[Sums]) -> Iterator[Finding]:
    for count in sorted({*counted[-1].nodes[name], *report.counts}):
        if count not in _OF_NODES and not count.endswith(" nodes"):
            number = report.counts.get(count, 0)
            delay = age_of_count(counted, name, count, number)
            yield Finding(kind=NODE_COUNT, about=f"{name} {count}", at=now.at, delay=delay, said=str(number))


def _of_conditions(name: str, report: Report, past: Sequence[Fact]) -> Iterator[Finding]:
    at = past[-1].at
    for resource, registered in report.registered.items():
        delay = age(past, name, partial(registered_fits, resource, registered, report))
        word = "registered" if registered else "not registered"
        yield Finding(kind=NODE_CONDITION, about=f"{name} {resource}", at=at, delay=delay, said=word)
    for type_, said in report.conditions.items():
        delay = age(past, name, partial(node_condition_fits, type_, said, report))
        about = f"{name} {type_}"
        yield Finding(kind=NODE_CONDITION, about=about, at=at, delay=delay, said=f"{said.status} {said.reason}")


def of_the_config(summary: Summary, past: Sequence[Fact], counted: Sequence[Sums]) -> Iterator[Finding]:
    """What a DevicePluginConfig says."""
    yield from _of_problems(summary, past)
    yield from _of_sums(summary, past[-1], counted)
    at = past[-1].at
    delay = age_of_sum(counted, ABOUT, partial(status_fits, summary.reason))
    yield Finding(kind=STATUS, about="Ready", at=at, delay=delay, said=summary.reason)
    for type_ in TYPES:
        said = summary.conditions.get(type_, Said(status=""))
        delay = age_of_sum(counted, ABOUT, partial(condition_fits, type_, said, summary.reason))
        told = f"{said.status} with {summary.reason}"
        yield Finding(kind=CONDITION, about=type_, at=at, delay=delay, said=told)


def _of_problems(summary: Summary, past: Sequence[Fact]) -> Iterator[Finding]:
    at = past[-1].at
    for complaint in summary.problems:
        about = f"{complaint.node} {complaint.device}".rstrip()
        delay = age(past, complaint.node, partial(complaint_fits, complaint))
        yield Finding(kind=PROBLEM, about=about, at=at, delay=delay, said=f"{complaint.state} {complaint.reason}")
    if summary.truncated:
        return
    named = {(complaint.node, complaint.device) for complaint in summary.problems}
    for name, node in past[-1].nodes.items():
        for device in node.devices:
            if node.mode is Mode.KNOWN and (name, device) not in named:
                delay = age(past, name, partial(silence_fits, device))
                yield Finding(kind=UNTOLD, about=f"{name} {device}", at=at, delay=delay, said="no problem")


def _of_sums(summary: Summary, now: Fact, counted: Sequence[Sums]) -> Iterator[Finding]:
    known = {count for node in counted[-1].nodes.values() for count in node}
    for count in sorted({*known, *summary.counts}):
        kind = COUNT if count in COUNTS else NODES if count in _OF_NODES else RESOURCE
        number = summary.counts.get(count, 0)
        delay = age_of_sum(counted, (count,), partial(_count_fits, count, number))
        yield Finding(kind=kind, about=count, at=now.at, delay=delay, said=str(number))


def _count_fits(count: str, number: int, counts: Mapping[str, Bounds]) -> bool:
    return within(number, counts.get(count, NONE))
