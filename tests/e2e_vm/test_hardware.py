"""Real drivers: what is pulled out, or loses its link, on the node that is a virtual machine."""

import pytest

from e2e_bed import machine
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM, on_node

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]


def states(bed: Bed, resource: str) -> dict[str, tuple[str, str]]:
    """Device ID → state and reason, as the machine's agent reports them."""
    devices = bed.reported(VM, f"{bed.resource}-{resource}")
    return {name: (told["state"], told.get("reason", "")) for name, told in devices.items()}


def test_each_adapter_is_known_by_its_serial_number(bed: Bed) -> None:
    until(lambda: len(states(bed, "serial")) == 2, "both adapters are found")
    told = bed.reported(VM, f"{bed.resource}-serial").values()
    assert {device["attributes"]["serial"] for device in told} == {"SERIAL0", "SERIAL1"}
    until(lambda: bed.offered(VM, f"{bed.resource}-serial") == 2, "allocatable is 2")


def test_an_adapter_pulled_out_while_a_pod_talks_to_it_is_told_and_healthy_when_it_is_back(bed: Bed) -> None:
    until(lambda: bed.offered(VM, f"{bed.resource}-serial") == 2, "allocatable is 2")
    port = f'"${bed.env}_SERIAL_PATH"'
    bed.pod("terminal", 1, node=VM, resource=f"{bed.resource}-serial", script=f"exec 3<>{port} && stty -F {port} 9600;")
    bed.running("terminal")
    device = bed.told("terminal")[0].partition("=")[2]
    adapter = bed.reported(VM, f"{bed.resource}-serial")[device]["attributes"]["serial"].lower()

    machine.unplug(adapter)
    try:
        until(lambda: states(bed, "serial")[device] == ("Unhealthy", "DeviceMissing"), "the report says it", limit=10)
        until(lambda: bed.pod_says("terminal") == "Unhealthy", "the pod's own status agrees")
    finally:
        machine.plug(adapter)
    until(lambda: states(bed, "serial")[device] == ("Healthy", ""), "the device is healthy again")
    until(lambda: bed.pod_says("terminal") == "Healthy", "the pod's own status agrees again")


def test_a_device_whose_probe_is_about_a_link_follows_the_cable(bed: Bed) -> None:
    until(lambda: states(bed, "render") == {"renderD128": ("Healthy", "")}, "the render node is healthy")
    machine.link("down")
    try:
        until(lambda: on_node(VM, f"cat /sys/class/net/{machine.PF}/operstate").strip() == "down", "the kernel sees it")
        until(lambda: states(bed, "render")["renderD128"][0] == "Unhealthy", "the report says it", limit=5)
    finally:
        machine.link("up")
    until(lambda: states(bed, "render") == {"renderD128": ("Healthy", "")}, "the render node is healthy again")


def test_a_pod_gets_a_virtual_function_for_user_space_with_its_numa_node(bed: Bed) -> None:
    until(lambda: bed.offered(VM, f"{bed.resource}-vf") == 1, "allocatable is 1")
    (function,) = bed.reported(VM, f"{bed.resource}-vf").values()
    assert function["numaNode"] == 1
    bed.pod(
        "driver", 1, node=VM, resource=f"{bed.resource}-vf", script="ls /dev/vfio; (: <>/dev/vfio/vfio) && echo opened;"
    )
    bed.running("driver")
    group = on_node(VM, "ls /dev/vfio | grep -v vfio").strip()
    assert bed.told("driver")[-3:] == [group, "vfio", "opened"]
