"""An NVMe disk: the host's own is told and never offered, one that vfio-pci has is a device like others."""

from collections.abc import Iterator

import pytest

from e2e_bed import machine
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM, Json, on_node

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]


@pytest.fixture
def disk(bed: Bed) -> Iterator[str]:
    """Its address. Afterwards its own driver has it again."""
    address = machine.disk()
    yield address
    for pod in bed.pods():
        bed.client.delete("v1", "Pod", pod, namespace=bed.name)
    until(lambda: not bed.pods(), "the pods are gone")
    machine.bind(address, "nvme")


def told(bed: Bed, kind: str) -> Json:
    """What the machine's agent reports of a resource."""
    (found,) = [each for each in bed.report(VM)["status"]["resources"] if each["name"] == f"{bed.resource}-{kind}"]
    return dict(found)


def test_a_disk_that_the_host_can_use_is_found_and_not_offered_and_why_is_told(bed: Bed, disk: str) -> None:
    steps = told(bed, "disk")["candidates"]
    kept = {step["step"]: step["kept"] for step in steps}
    assert (kept["class 0108"], kept["driver nvme"], kept["with device nodes"]) == (1, 1, 0)
    (why,) = next(step["dropped"] for step in steps if step["step"] == "with device nodes")
    assert why.startswith(f"{disk}: it has no device node")
    assert "/dev/nvme0" in why
    assert told(bed, "disk").get("devices", []) == []
    assert bed.offered(VM, f"{bed.resource}-disk") == 0


def test_a_disk_that_vfio_pci_takes_is_offered_with_what_it_is(bed: Bed, disk: str) -> None:
    resource = f"{bed.resource}-nvme"
    machine.bind(disk, "vfio-pci")
    until(lambda: bed.reported(VM, resource).get(disk, {}).get("reason") == "Works", "it is told in its resource")
    device = bed.reported(VM, resource)[disk]
    group = on_node(VM, f"basename $(readlink /sys/bus/pci/devices/{disk}/iommu_group)").strip()
    expected = {
        "pciAddress": disk,
        "vendor": "1b36",
        "device": "0010",
        "class": "010802",
        "driver": "vfio-pci",
        "iommuGroup": group,
    }
    assert expected.items() <= device["attributes"].items()
    # It hangs on the root bus, of which the machine's firmware does not say where it is.
    assert on_node(VM, f"cat /sys/bus/pci/devices/{disk}/numa_node").strip() == "-1"
    assert "numaNode" not in device
    until(lambda: bed.offered(VM, resource) == 1, "it is allocatable")
    bed.pod("storage", 1, node=VM, resource=resource, script=f"ls /dev/vfio; : <>/dev/vfio/{group} && echo opened;")
    bed.running("storage")
    assert bed.told("storage")[-3:] == [group, "vfio", "opened"]
