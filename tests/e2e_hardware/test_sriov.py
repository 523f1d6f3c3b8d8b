"""A machine with 2 × 64 functions and mixed drivers in the place of a node's own, and one without SR-IOV."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS
from recorded import sriov
from recorded.sriov import NAMES, NONE, PORTS, UIO, VFIO, addresses

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CARDS, PLAIN = WORKERS


@pytest.fixture(autouse=True)
def machines(tmp_path: Path) -> Iterator[None]:
    """The second port of the cards has no link."""
    made = sriov.two_ports(tmp_path)
    with recorded.made(CARDS, made.sys, made.dev), recorded.machine(PLAIN, "virtio"):
        yield


def without_link(bed: Bed, resource: str) -> list[str]:
    return sorted(each["id"] for each in bed.reported(CARDS, resource).values() if each["reason"] == "LinkDown")


def test_functions_are_handed_out_by_driver_and_a_port_without_link_is_told(bed: Bed) -> None:
    net, dpdk, uio = (f"{bed.resource}-{kind}" for kind in ("net", "dpdk", "uio"))
    sources = {
        net: {"drivers": ["iavf"]},
        dpdk: {"drivers": ["vfio-pci"], "pfNames": [f"{NAMES[0]}#0-40"]},
        uio: {"drivers": ["uio_pci_generic"]},
    }
    bed.apply({"resources": [{"name": name, "source": {"network": each}} for name, each in sources.items()]})
    bed.settled("SomeUnhealthy")
    up = NONE - len(VFIO) - len(UIO)
    expected = {net: up, dpdk: 41 - VFIO.start, uio: len(UIO)}
    until(lambda: {name: bed.offered(CARDS, name) for name in expected} == expected, "functions are allocatable")
    until(lambda: without_link(bed, net) == sorted(addresses(1)), "functions of a port without link are told")

    bed.pod("dpdk", 2, node=CARDS, resource=dpdk, script="env | grep ^PCIDEVICE | grep -v _INFO; ls /dev/vfio;")
    bed.pod("uio", 1, node=CARDS, resource=uio, script="ls /dev | grep ^uio;")
    bed.running("dpdk", "uio")
    devices = bed.reported(CARDS, dpdk)
    (variable,) = [line for line in bed.told("dpdk") if line.startswith("PCIDEVICE")]
    given = variable.partition("=")[2].split(",")
    groups = sorted(devices[address]["attributes"]["iommuGroup"] for address in given)
    assert sorted(bed.told("dpdk")[-3:]) == [*groups, "vfio"]
    assert bed.told("uio")[-1] in {each["path"].removeprefix("/dev/") for each in bed.reported(CARDS, uio).values()}

    assert bed.reported(PLAIN, net) == {}
    (nothing,) = [each for each in bed.report(PLAIN)["status"]["resources"] if each["name"] == net]
    dropped = [line for step in nothing["candidates"] for line in step.get("dropped", [])]
    assert dropped == ["0000:00:03.0: a physical function (eth0) without SR-IOV"]

    port = f"/sys/{sriov.ROOT}/{PORTS[1]}/net/{NAMES[1]}"
    recorded.says(CARDS, f"{port}/operstate", "up")
    until(lambda: bed.offered(CARDS, net) == up + 64, "functions whose port has a link again are allocatable")
    bed.settled()
