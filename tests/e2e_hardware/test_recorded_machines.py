"""Machines that were recorded, in the place of the nodes' own: real kubelets hand their devices to real pods."""

from collections.abc import Iterator

import pytest

from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

CARDS, ADAPTERS = WORKERS


@pytest.fixture(autouse=True)
def machines() -> Iterator[None]:
    """A network card with a function for user space and a graphics card; and one with USB serial adapters."""
    with (
        recorded.machine(CARDS, "sriov-igb-vfio-nvme-dri"),
        recorded.machine(ADAPTERS, "sriov-igb-numa-usb"),
    ):
        yield


def test_each_machine_offers_what_it_has(bed: Bed) -> None:
    vfio, render, serial = (f"{bed.resource}-{kind}" for kind in ("vfio", "render", "serial"))
    bed.apply(
        {
            "resources": [
                {"name": vfio, "source": {"pci": {"drivers": ["vfio-pci"]}}},
                {"name": render, "source": {"pci": {"classes": ["03"]}}},
                {"name": serial, "source": {"usb": {"vendorID": "0403", "subsystems": ["tty"]}}},
            ]
        }
    )
    bed.settled()
    # On a cluster that another run used, its devices are given up half a minute after its config is gone.
    until(lambda: len(bed.reported(CARDS, vfio)) == len(bed.reported(CARDS, render)) == 1, "the cards are told")
    until(lambda: len(bed.reported(ADAPTERS, serial)) == 2, "the adapters are told")
    (function,) = bed.reported(CARDS, vfio).values()
    assert (function["state"], function["attributes"]["iommuGroup"]) == ("Healthy", "16")
    assert not bed.reported(CARDS, serial)
    until(lambda: bed.offered(CARDS, vfio) == 1, "the function is allocatable")
    until(lambda: bed.offered(ADAPTERS, serial) == 2, "the adapters are allocatable")

    bed.pod("driver", 1, node=CARDS, resource=vfio, script="ls /dev/vfio;")
    bed.pod("terminal", 2, node=ADAPTERS, resource=serial, script="ls /dev | grep ttyUSB;")
    bed.running("driver")
    bed.running("terminal")
    assert bed.told("driver")[-2:] == ["16", "vfio"]
    assert bed.told("terminal")[-2:] == ["ttyUSB0", "ttyUSB1"]

    (path,) = [each["path"] for each in bed.reported(ADAPTERS, serial).values() if each["path"].endswith("USB0")]
    recorded.gone(ADAPTERS, path)
    until(
        lambda: (
            [each["reason"] for each in bed.reported(ADAPTERS, serial).values() if each["path"] == path]
            == ["DeviceMissing"]
        ),
        "an adapter without its node is told",
    )
