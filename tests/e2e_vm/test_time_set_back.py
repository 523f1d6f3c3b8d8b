"""A node whose clock is set back: nodes in containers have their machine's, the virtual machine has one of its own."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from e2e_bed import machine
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM, Json, on_node

pytestmark = [pytest.mark.vm, pytest.mark.slow, pytest.mark.timeout(300)]

BACK = 180
"""Seconds. Less than certificates are dated back when they are made, so those of a young cluster are still valid."""


def clock() -> int:
    """The machine's, as Unix time."""
    return int(on_node(VM, "date +%s"))


@pytest.fixture
def set_back(bed: Bed) -> Iterator[None]:
    # A kubelet probes no container whose start lies ahead: what is not ready now would stay so for as long.
    until(lambda: bed.reason() == "AllNodesReady", "the node is ready")
    on_node(VM, f"date -s @{clock() - BACK}")
    yield
    on_node(VM, f"date -s @{int(time.time())}")


def adapter(bed: Bed) -> Json:
    """What is reported of the first adapter."""
    told = bed.reported(VM, f"{bed.resource}-serial").values()
    return {str(each["attributes"]["serial"]): each for each in told}["SERIAL0"]


def since(device: Json) -> float:
    """When its state changed last, as Unix time."""
    return datetime.fromisoformat(device["lastTransitionTime"]).timestamp()


def test_with_the_clock_set_back_a_pulled_device_is_told_and_no_time_lies_ahead(bed: Bed, set_back: None) -> None:
    until(lambda: adapter(bed)["reason"] == "Works", "the adapter works")
    machine.unplug("serial0")
    try:
        until(lambda: adapter(bed)["reason"] == "DeviceMissing", "the report says that it is gone", limit=30)
        assert since(adapter(bed)) <= clock()
    finally:
        machine.plug("serial0")
    until(lambda: adapter(bed)["reason"] == "Works", "the report says that it is back")
    assert since(adapter(bed)) <= clock()
    until(lambda: bed.offered(VM, f"{bed.resource}-serial") == 2, "allocatable is 2")
    until(lambda: bed.reason() == "AllNodesReady", "the node is as good as before")
