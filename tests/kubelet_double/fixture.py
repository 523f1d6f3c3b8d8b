"""pytest plugin: `pytest_plugins = ("kubelet_double.fixture",)` in a test module or the topmost conftest.py.

A conftest.py further down imports the fixtures by name instead: pytest refuses pytest_plugins there.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from kubelet_double.clock import FakeClock
from kubelet_double.double import KubeletDouble


@pytest.fixture
def kubelet_root() -> Iterator[Path]:
    """A kubelet's root directory with a short path: pytest's own tmp_path is too long for sockets."""
    with tempfile.TemporaryDirectory(prefix="kd-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def kubelet_clock() -> FakeClock:
    """The double's time; it stands still until advanced."""
    return FakeClock()


@pytest_asyncio.fixture
async def stopped_kubelet(kubelet_root: Path, kubelet_clock: FakeClock) -> AsyncIterator[KubeletDouble]:
    """A kubelet that was never started."""
    double = KubeletDouble(kubelet_root, clock=kubelet_clock)
    yield double
    await double.stop()


@pytest_asyncio.fixture
async def kubelet(stopped_kubelet: KubeletDouble) -> KubeletDouble:
    """A running kubelet."""
    await stopped_kubelet.start()
    return stopped_kubelet
