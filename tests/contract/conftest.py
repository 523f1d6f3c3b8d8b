"""Fixtures of this rung."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.agent_bench import Bench
from kubelet_double.double import KubeletDouble
from kubelet_double.fixture import kubelet, kubelet_clock, kubelet_root, stopped_kubelet

__all__ = ["bench", "kubelet", "kubelet_clock", "kubelet_root", "stopped_bench", "stopped_kubelet"]


@pytest.fixture
def bench(tmp_path: Path, kubelet: KubeletDouble) -> Iterator[Bench]:
    """A node with a running kubelet, which no test may upset."""
    yield Bench(tmp_path, kubelet)
    assert kubelet.violations == []


@pytest.fixture
def stopped_bench(tmp_path: Path, stopped_kubelet: KubeletDouble) -> Iterator[Bench]:
    """A node whose kubelet was never started, and which no test may upset."""
    yield Bench(tmp_path, stopped_kubelet)
    assert stopped_kubelet.violations == []
