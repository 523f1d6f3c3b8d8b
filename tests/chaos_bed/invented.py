"""Runs that never were, for tests of the checker: two nodes with two devices each, and any change to that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chaos_bed.checker import check
from chaos_bed.counts import COUNTS
from chaos_bed.facts import BEAT
from chaos_bed.samples import Complaint, Look, Report, Said, Sample, Summary, Told, Wanted

NODE, OTHER = "one", "two"
RESOURCE = "ex/cam"
USER = frozenset({"ns/pod/c0"})
DEVICES = frozenset({"cam-0", "cam-1"})
USED = {"cam-0": USER}
BEGIN = 1_000_000.0
"""Unix time of the first sample."""

Change = Callable[[Sample], Sample]


def report(devices: Mapping[str, Told], replicas: int = 1) -> Report:
    """All of it as the devices are told."""
    states = [told.state.lower() for told in devices.values()]
    counts = {count: states.count(count) for count in COUNTS} | {
        "total": len(states),
        "allocated": sum(bool(told.holders) for told in devices.values()),
    }
    slots = {
        f"{RESOURCE} slots": len(states) * replicas,
        f"{RESOURCE} slots in use": sum(len(told.holders) for told in devices.values()),
    }
    return Report(
        devices=devices,
        counts=counts | {f"{RESOURCE} {count}": number for count, number in counts.items()} | slots,
        registered={RESOURCE: True},
        conditions=dict.fromkeys(("ConfigAccepted", "KubeletAgrees", "Registered"), Said(status="True")),
    )


def conditions(reason: str) -> dict[str, Said]:
    """As docs/architecture.md has them."""
    holds = {
        "Ready": reason in ("AllNodesReady", "SomeUnhealthy"),
        "Progressing": reason in ("Starting", "RolloutInProgress"),
        "Degraded": reason in ("SomeUnhealthy", "KubeletDisagrees", "AgentsUnavailable"),
    }
    return {type_: Said(status=str(status), reason=reason) for type_, status in holds.items()}


def _counts(**devices: int) -> dict[str, int]:
    return devices | {f"{RESOURCE} {count}": number for count, number in devices.items()}


GOOD = Sample(
    at=0.0,
    looks={
        NODE: Look(present=DEVICES, offered=DEVICES, held=USED, running=USED),
        OTHER: Look(present=DEVICES, offered=DEVICES, held={}),
    },
    wanted=Wanted(selected=DEVICES, resources=dict.fromkeys((*DEVICES, "cam-2"), RESOURCE)),
    reports={
        NODE: report({"cam-0": Told(state="Healthy", holders=USER), "cam-1": Told(state="Healthy")}),
        OTHER: report(dict.fromkeys(DEVICES, Told(state="Healthy"))),
    },
    summary=Summary(
        counts=_counts(total=4, healthy=4, unhealthy=0, unknown=0, cordoned=0, allocated=1)
        | {f"{RESOURCE} slots": 4, f"{RESOURCE} slots in use": 1, f"{RESOURCE} nodes": 2}
        | {"nodes desired": 2, "nodes ready": 2, "nodes updated": 2},
        conditions=conditions("AllNodesReady"),
    ),
)


def run(*spans: tuple[float, Sample], beat: float = BEAT) -> list[Sample]:
    """Each of these for so many seconds, one after the other."""
    samples: list[Sample] = []
    for seconds, sample in spans:
        for _ in range(round(seconds / beat)):
            at = len(samples) * beat
            samples.append(replace(sample, at=at, wall=BEGIN + at))
    return samples


def broken(samples: Sequence[Sample]) -> set[tuple[str, str]]:
    """Kind and subject of each promise that was broken."""
    return {(each.kind, each.about) for each in check(samples).violations}


def broken_by(sample: Sample) -> set[tuple[str, str]]:
    """The same when that comes after a good while, and lasts."""
    return broken(run((20, GOOD), (4, sample)))


def broken_in_passing_by(sample: Sample) -> set[tuple[str, str]]:
    """The same when that is over in time."""
    return broken(run((20, GOOD), (2.6, sample), (5, GOOD)))


def kinds(samples: Sequence[Sample]) -> set[str]:
    """The kinds alone."""
    return {kind for kind, _ in broken(samples)}


def is_(node: str = NODE, **truth: Any) -> Change:
    """The truth about a node is another one."""

    def change(sample: Sample) -> Sample:
        return replace(sample, looks={**sample.looks, node: replace(sample.looks[node], **truth)})

    return change


def says(device: str, told: Told | None, node: str = NODE) -> Change:
    """A NodeDevicePlugin says something else of a device, or does not list it."""

    def change(sample: Sample) -> Sample:
        others = {name: each for name, each in sample.reports[node].devices.items() if name != device}
        devices = others if told is None else {**others, device: told}
        return replace(sample, reports={**sample.reports, node: report(devices)})

    return change


def reports(node: str = NODE, **other: Any) -> Change:
    """A NodeDevicePlugin says something else altogether."""

    def change(sample: Sample) -> Sample:
        return replace(sample, reports={**sample.reports, node: replace(sample.reports[node], **other)})

    return change


def counts(numbers: Mapping[str, int], node: str = NODE) -> Change:
    """A NodeDevicePlugin counts something otherwise."""

    def change(sample: Sample) -> Sample:
        return reports(node, counts={**sample.reports[node].counts, **numbers})(sample)

    return change


def sums(reason: str = "", problems: frozenset[Complaint] = frozenset(), **devices: int) -> Change:
    """A config counts devices otherwise, in all and of the resource, or has another word for it."""

    def change(sample: Sample) -> Sample:
        known = sample.summary
        summary = Summary(
            counts={**known.counts, **_counts(**devices)},
            conditions=conditions(reason or known.reason),
            problems=problems,
        )
        return replace(sample, summary=summary)

    return change


def tells(numbers: Mapping[str, int] | None = None, **other: Any) -> Change:
    """A config says something else."""

    def change(sample: Sample) -> Sample:
        known = sample.summary
        return replace(sample, summary=replace(known, counts={**known.counts, **(numbers or {})}, **other))

    return change


def wants(**other: Any) -> Change:
    """The config is another one."""
    return lambda sample: replace(sample, wanted=replace(sample.wanted, **other))


def but(*changes: Change) -> Sample:
    """All is well, but for this."""
    sample = GOOD
    for change in changes:
        sample = change(sample)
    return sample


MISSING = Told(state="Unhealthy", reason="DeviceMissing")
GONE_1 = (is_(present=frozenset({"cam-0"}), offered=frozenset({"cam-0"})),)
"""cam-1 is pulled, and the kubelet knows."""

GONE_1_PROBLEM = Complaint(node=NODE, device="cam-1", state="Unhealthy", reason="DeviceMissing")
GONE_1_AND_TOLD = (
    *GONE_1,
    says("cam-1", MISSING),
    sums("SomeUnhealthy", frozenset({GONE_1_PROBLEM}), healthy=3, unhealthy=1),
)
DEAD = (is_(agent=0, offered=frozenset()),)

LOST = Complaint(node=NODE, device="", state="Unknown", reason="AgentNotReady")
UNKNOWN_1 = (
    sums("AgentsUnavailable", frozenset({LOST}), healthy=2, unknown=2),
    tells({"nodes ready": 1, "nodes updated": 1, f"{RESOURCE} nodes": 1}),
)
"""Of one node nothing is known, and the config says so."""
