"""Fixtures of this rung. An agent takes half a minute to start on the emulated processor, so one serves all tests.

The times seen are told at the end.
"""

from collections.abc import Iterator

import pytest

from apiserver_fixture.client import Client
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM_LABEL, VM_TOLERATION, connect
from e2e_bed.machine import PF, uplink
from e2e_bed.times import TIMES, pytest_configure, pytest_terminal_summary

__all__ = ["pytest_configure", "pytest_terminal_summary"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Client]:
    with connect() as client:
        yield client


@pytest.fixture(scope="session")
def bed(cluster: Client, pytestconfig: pytest.Config) -> Iterator[Bed]:
    """A config for all that the machine has, served by its agent."""
    made = Bed(cluster, {}, pytestconfig.stash[TIMES])
    steady = {"successThreshold": 1, "failureThreshold": 1}
    fast = {**steady, "periodSeconds": 1}
    # Of these only events tell, in /dev and the kernel's own: else nobody looks for an hour. Links are polled anyway.
    told = {**steady, "periodSeconds": 3600}
    link = {"type": "SysfsAttribute", "path": f"/sys/class/net/{PF}/operstate", "equals": ["up"]}
    made.apply(
        {
            "nodeSelector": VM_LABEL,
            "tolerations": [VM_TOLERATION],
            "resources": [
                {"name": f"{made.resource}-serial", "source": {"usb": {"vendorID": "0403", "subsystems": ["tty"]}}},
                {"name": f"{made.resource}-vf", "source": {"network": {"drivers": ["vfio-pci"]}}, "health": told},
                {"name": f"{made.resource}-net", "source": {"network": {"drivers": ["igbvf"]}}, "health": told},
                {"name": f"{made.resource}-disk", "source": {"pci": {"classes": ["0108"], "drivers": ["nvme"]}}},
                {
                    "name": f"{made.resource}-nvme",
                    "source": {"pci": {"classes": ["0108"], "drivers": ["vfio-pci"]}},
                    "health": told,
                },
                {"name": f"{made.resource}-host", "source": {"network": {"pciAddresses": [uplink()[1]]}}},
                {
                    "name": f"{made.resource}-linked",
                    "source": {"paths": {"include": ["/dev/rtc0"]}},
                    "health": {"probes": [{"type": "Exists"}, link], **fast},
                },
            ],
        }
    )
    until(lambda: made.reason() == "AllNodesReady", "the machine's agent serves", limit=180)
    yield made
    made.end()
