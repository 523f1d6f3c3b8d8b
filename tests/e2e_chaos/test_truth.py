"""Everything fails at once, and no status is wrong for longer than was promised: docs/truth.md."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver_fixture.client import Client
from chaos_bed import report
from chaos_bed.chaos import Chaos
from chaos_bed.checker import check
from chaos_bed.findings import STATE, UNKNOWN
from chaos_bed.oracle import Oracle
from chaos_bed.plan import CALM, Edit, World, plan
from chaos_bed.sampler import Reachability, Sampler
from chaos_bed.statuses import Statuses
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(float(os.environ.get("CHAOS_SECONDS") or 120) * 2 + 300)]


@pytest.fixture
def world(bed: Bed) -> World:
    return World(
        nodes=WORKERS,
        plain=[bed.device(number) for number in range(5)],
        shared=[f"{bed.name}s-{number}" for number in range(2)],
    )


@pytest.fixture
def oracles(bed: Bed, world: World) -> dict[str, Oracle]:
    resources = (bed.resource, f"{bed.resource}-shared")
    return {node: Oracle(node, bed.name, resources, bed.views[node]) for node in world.nodes}


@pytest.fixture
def chaos(bed: Bed, world: World, oracles: dict[str, Oracle]) -> Iterator[Chaos]:
    made = Chaos(bed, world, oracles)
    yield made
    made.mend()


@pytest.fixture
def statuses(bed: Bed, chaos: Chaos, world: World, oracles: dict[str, Oracle]) -> Iterator[Statuses]:
    """Of a config that is at rest, with all its devices."""
    for oracle in oracles.values():
        for device in (*world.plain, *world.shared):
            oracle.plug(device)
    bed.apply(chaos.spec(Edit()))
    everything = len(world.nodes) * len([*world.plain, *world.shared])
    made = Statuses(bed.client, bed.name)
    until(
        lambda: (
            made.summary is not None
            and made.summary.reason == "AllNodesReady"
            and made.summary.counts["healthy"] == everything
            and all(len(oracle.offered() or ()) == everything / len(world.nodes) for oracle in oracles.values())
        ),
        "the config is at rest",
        limit=120,
    )
    yield made
    made.stop()


@pytest.fixture
def sampler(
    bed: Bed,
    world: World,
    oracles: dict[str, Oracle],
    statuses: Statuses,
    chaos: Chaos,
    clients: tuple[Client, Client],
) -> Iterator[Sampler]:
    reachability = Reachability(clients[1])
    yield Sampler(bed.name, world, oracles, statuses, reachability.now, chaos.cut)
    reachability.stop()


def test_no_status_is_wrong_for_longer_than_promised_whatever_fails(
    world: World, chaos: Chaos, sampler: Sampler, seed: int, seconds: float, told: list[str], reports: Path
) -> None:
    told.append(f"CHAOS_SEED={seed} CHAOS_SECONDS={seconds:g}")
    sampler.start()
    begin = time.monotonic()
    with (reports / "chaos.txt").open("w", buffering=1) as log:
        log.write(f"{told[0]}\n")
        for step in plan(world, seed, seconds):
            time.sleep(max(0.0, begin + step.at - time.monotonic()))
            log.write(f"{time.monotonic() - begin:7.1f} s  {step.fault}\n")
            chaos.do(step.fault)
    time.sleep(CALM)
    sampler.stop()

    verdict = check(sampler.samples)
    stories = [line for finding in verdict.violations for line in report.story(finding, sampler.samples)]
    told += ["", *report.table(verdict), "", report.known(sampler.samples)]
    (reports / "truth.txt").write_text("\n".join([*told, "", *stories, ""]))
    assert not verdict.violations, "\n".join(stories)
    last, everything = sampler.samples[-1].summary, len(world.nodes) * len([*world.plain, *world.shared])
    assert (last.reason, last.counts["healthy"], last.problems) == ("AllNodesReady", everything, frozenset())
    # A sampler that hardly ran, or a world in which nothing could be known, would prove nothing.
    assert verdict.counted > seconds / 3
    assert verdict.tallies[STATE].checked > verdict.samples
    assert {kind for kind, tally in verdict.tallies.items() if not tally.checked} <= {UNKNOWN}
