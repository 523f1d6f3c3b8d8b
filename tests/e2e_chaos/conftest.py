"""Fixtures of this rung."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver_fixture.client import Client
from e2e_bed.bed import Bed
from e2e_bed.cluster import WORKERS, connect
from e2e_bed.kubelet_view import KubeletView
from e2e_bed.times import Times

_REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_REPORT] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[_REPORT]:
        terminalreporter.section("the truth")
        for line in config.stash[_REPORT]:
            terminalreporter.write_line(line)


@pytest.fixture
def told(pytestconfig: pytest.Config) -> list[str]:
    """Lines that are shown at the end."""
    return pytestconfig.stash[_REPORT]


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**6))


@pytest.fixture
def seconds() -> float:
    return float(os.environ.get("CHAOS_SECONDS") or 120)


@pytest.fixture
def clients() -> Iterator[tuple[Client, Client]]:
    """Two, because one request at a time is all that one does."""
    with connect() as one, connect() as other:
        yield one, other


@pytest.fixture
def bed(clients: tuple[Client, Client]) -> Iterator[Bed]:
    views = {node: KubeletView(node) for node in WORKERS}
    made = Bed(clients[0], views, Times(), f"chaos-{secrets.token_hex(3)}")
    yield made
    made.end()
    for view in views.values():
        view.close()


@pytest.fixture
def reports() -> Path:
    """Where a run's whole story is kept."""
    place = Path("build/reports")
    place.mkdir(parents=True, exist_ok=True)
    return place
