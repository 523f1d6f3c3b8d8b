"""Real drivers: what is pulled out, or loses its link, on the node that is a virtual machine."""

import pytest

from e2e_bed import machine
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM, Json, on_node

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]


def devices(bed: Bed, resource: str) -> dict[str, Json]:
    """Device ID → what the machine's agent reports."""
    return bed.reported(VM, f"{bed.resource}-{resource}")


def test_each_adapter_is_known_by_its_serial_number(bed: Bed) -> None:
    until(lambda: len(devices(bed, "serial")) == 2, "both adapters are found")
    assert {told["attributes"]["serial"] for told in devices(bed, "serial").values()} == {"SERIAL0", "SERIAL1"}


def test_an_adapter_pulled_out_while_a_pod_talks_to_it_is_told_and_healthy_when_it_is_back(bed: Bed) -> None:
    until(lambda: bed.offered(VM, f"{bed.resource}-serial") == 2, "allocatable is 2")
    port = f'"${bed.env}_SERIAL_PATH"'
    # Descriptor 3 stays open.
    bed.pod("terminal", 1, node=VM, resource=f"{bed.resource}-serial", script=f"exec 3<>{port} && stty -F {port} 9600;")
    bed.running("terminal")
    told = bed.told("terminal")
    (device,) = [line.partition("=")[2] for line in told if line.startswith(f"{bed.env}_SERIAL_ID=")]
    adapter = devices(bed, "serial")[device]["attributes"]["serial"].lower()

    def state() -> tuple[str, str]:
        now = devices(bed, "serial")[device]
        return now["state"], now["reason"]

    machine.unplug(adapter)
    try:
        until(lambda: state() == ("Unhealthy", "DeviceMissing"), "the report says that it is gone", limit=30)
        until(lambda: bed.pod_says("terminal") == "Unhealthy", "the pod's own status agrees")
    finally:
        machine.plug(adapter)
    until(lambda: state() == ("Healthy", "Works"), "the report says that it is back")
    until(lambda: bed.pod_says("terminal") == "Healthy", "the pod's own status agrees again")


def test_a_device_with_a_probe_for_the_state_of_a_link_follows_the_cable(bed: Bed) -> None:
    def state() -> str:
        (linked,) = devices(bed, "linked").values()
        return str(linked["state"])

    until(lambda: state() == "Healthy", "it is healthy")
    machine.link("down")
    try:
        until(lambda: on_node(VM, f"cat /sys/class/net/{machine.PF}/operstate").strip() == "down", "the kernel sees it")
        until(lambda: state() == "Unhealthy", "the report says it", limit=30)
    finally:
        machine.link("up")
    until(lambda: state() == "Healthy", "it is healthy again")


def test_a_pod_gets_a_virtual_function_for_user_space_with_its_numa_node(bed: Bed) -> None:
    def healthy() -> list[Json]:
        return [each for each in devices(bed, "vf").values() if each["state"] == "Healthy"]

    # The test before this one had the cable out, which allocatable tells 10 s late.
    until(lambda: len(healthy()) == 1, "the function follows its cable")
    until(lambda: bed.offered(VM, f"{bed.resource}-vf") == 1, "allocatable is 1")
    assert [each["numaNode"] for each in healthy()] == [1]
    bed.pod(
        "driver", 1, node=VM, resource=f"{bed.resource}-vf", script="ls /dev/vfio; : <>/dev/vfio/vfio && echo opened;"
    )
    bed.running("driver")
    group = on_node(VM, "ls /dev/vfio | grep -v vfio").strip()
    assert bed.told("driver")[-3:] == [group, "vfio", "opened"]
