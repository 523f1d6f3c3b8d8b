"""Fixtures of this rung; the times seen are told at its end."""

from collections.abc import Iterator

import pytest

from apiserver_fixture.client import Client
from e2e_bed.audit import Audit
from e2e_bed.bed import Bed
from e2e_bed.cluster import WORKERS, connect
from e2e_bed.kubelet_view import KubeletView
from e2e_bed.times import TIMES, pytest_configure, pytest_terminal_summary

__all__ = ["pytest_configure", "pytest_terminal_summary"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session", autouse=True)
def audit() -> Audit:
    """Of the whole session."""
    return Audit()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Client]:
    with connect() as client:
        yield client


@pytest.fixture(scope="session")
def views() -> Iterator[dict[str, KubeletView]]:
    made = {node: KubeletView(node) for node in WORKERS}
    yield made
    for view in made.values():
        view.close()


@pytest.fixture
def bed(cluster: Client, views: dict[str, KubeletView], pytestconfig: pytest.Config) -> Iterator[Bed]:
    made = Bed(cluster, views, pytestconfig.stash[TIMES])
    yield made
    made.end()
