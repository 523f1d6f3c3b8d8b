"""Fixtures of this rung."""

from collections.abc import Iterator

import pytest

from apiserver_fixture.client import Client
from e2e_bed.bed import Bed
from e2e_bed.cluster import connect
from e2e_bed.times import Times


@pytest.fixture(scope="session")
def cluster() -> Iterator[Client]:
    with connect() as client:
        yield client


@pytest.fixture
def bed(cluster: Client) -> Iterator[Bed]:
    made = Bed(cluster, {}, Times())
    yield made
    made.end()
