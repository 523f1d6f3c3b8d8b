"""SR-IOV functions of a real driver: handed to pods, made and taken away, bound anew, and with their cable pulled."""

import json
import time
from collections.abc import Iterator

import pytest

from e2e_bed import machine
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import VM, Json, on_node

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]

FUNCTIONS = 4
"""Made when the machine starts; the last is bound to vfio-pci."""

TOLD = 10.0
"""Seconds. Two are the goal on hardware; on an emulated processor that does much else, nothing is that quick."""


def devices(bed: Bed, kind: str) -> dict[str, Json]:
    """Device ID → what the machine's agent reports."""
    return bed.reported(VM, f"{bed.resource}-{kind}")


def states(bed: Bed, kind: str) -> dict[str, tuple[str, str]]:
    """Device ID → state and reason."""
    return {name: (device["state"], device["reason"]) for name, device in devices(bed, kind).items()}


WORKS = ("Healthy", "Works")
MISSING, DOWN, CHANGED = (("Unhealthy", reason) for reason in ("DeviceMissing", "LinkDown", "DriverChanged"))


def become(bed: Bed, kind: str, wanted: dict[str, tuple[str, str]], limit: float = 60) -> None:
    """Wait until the report has these states."""
    seen: dict[str, tuple[str, str]] = {}

    def look() -> bool:
        seen.clear()
        seen.update(states(bed, kind))
        return wanted.items() <= seen.items()

    try:
        until(look, f"{kind} becomes {wanted}", limit)
    except AssertionError as error:
        raise AssertionError(f"{error}; the report has {seen}") from None


@pytest.fixture(autouse=True)
def functions(bed: Bed) -> Iterator[list[str]]:
    """The addresses of the functions. Afterwards they are as before, and nobody has them."""
    addresses = [machine.function(number) for number in range(FUNCTIONS)]
    become(bed, "net", dict.fromkeys(addresses[:-1], WORKS))
    become(bed, "vf", {addresses[-1]: WORKS})
    yield addresses
    for pod in bed.pods():
        bed.client.delete("v1", "Pod", pod, namespace=bed.name)
    until(lambda: not bed.pods(), "the pods are gone")
    present = on_node(VM, f"cat /sys/class/net/{machine.PF}/device/sriov_numvfs").strip()
    if present != str(FUNCTIONS):
        machine.make_functions(FUNCTIONS)
    for address in addresses[:-1]:
        machine.bind(address, "igbvf")
    machine.bind(addresses[-1], "vfio-pci")


def test_a_pod_gets_a_function_of_the_kernels_driver_and_multus_learns_which(bed: Bed, functions: list[str]) -> None:
    until(lambda: bed.offered(VM, f"{bed.resource}-net") == FUNCTIONS - 1, "they are allocatable")
    assert {each["numaNode"] for each in devices(bed, "net").values()} == {1}
    variable = f"PCIDEVICE_EXAMPLE_COM_{bed.env}_NET"
    bed.pod("net", 1, node=VM, resource=f"{bed.resource}-net", script=f"env | grep ^{variable};")
    bed.running("net")
    told = dict(line.split("=", 1) for line in bed.told("net"))
    address = told[variable]
    assert address in functions[:-1]
    assert json.loads(told[f"{variable}_INFO"]) == {address: {"generic": {"deviceID": address}}}
    name = f"{bed.resource}-net".replace("/", "-")
    written = on_node(VM, f"cat /var/run/k8s.cni.cncf.io/devinfo/dp/{name}-{address}-device.json")
    port = devices(bed, "net")[address]["attributes"]["physicalFunction"]
    assert json.loads(written) == {
        "type": "pci",
        "version": "1.1.0",
        "pci": {"pci-address": address, "pf-pci-address": port},
    }


def test_functions_follow_the_cable_of_their_port(bed: Bed, functions: list[str]) -> None:
    try:
        with machine.link_news() as news:
            pulled = time.time()
            machine.link("down")
            become(bed, "net", dict.fromkeys(functions[:-1], DOWN), limit=30)
            told = time.time()
            noticed = news()
        become(bed, "vf", {functions[-1]: DOWN}, limit=30)
        assert devices(bed, "net")[functions[0]]["message"] == f"{machine.PF} is down"
    finally:
        machine.link("up")
    bed.times.seconds("cable pulled → the kernel says so, emulated", noticed - pulled)
    bed.times.seconds("the kernel says so → told, emulated", told - noticed)
    assert told - noticed < TOLD


def test_functions_that_are_taken_away_in_use_are_told_and_so_are_those_made_later(
    bed: Bed, functions: list[str]
) -> None:
    bed.pod("holder", FUNCTIONS - 1, node=VM, resource=f"{bed.resource}-net")
    bed.running("holder")
    agent = bed.agent(VM)["metadata"]["uid"]
    machine.make_functions(0)
    become(bed, "net", dict.fromkeys(functions[:-1], MISSING))
    become(bed, "vf", {functions[-1]: MISSING})
    machine.make_functions(FUNCTIONS)
    # They have no node whose coming could tell of them: it is the kernel's events that do, in a pod without privileges.
    become(bed, "net", dict.fromkeys(functions, WORKS))
    assert bed.agent(VM)["metadata"]["uid"] == agent, "no agent was restarted for it"
    assert [line for line in bed.agent_log(VM) if "ernel events" in line] == [], "the kernel's events are heard"


def test_a_function_that_another_driver_takes_is_told_by_that_and_offered_as_what_it_is_now(
    bed: Bed, functions: list[str]
) -> None:
    machine.bind(functions[0], "vfio-pci")
    become(bed, "net", {functions[0]: CHANGED})
    become(bed, "vf", {functions[0]: WORKS})
    machine.bind(functions[0], "igbvf")
    become(bed, "net", {functions[0]: WORKS})
    become(bed, "vf", {functions[0]: CHANGED})


def test_the_network_card_of_the_host_is_never_offered_and_why_is_told(bed: Bed) -> None:
    name, address = machine.uplink()
    (told,) = [each for each in bed.report(VM)["status"]["resources"] if each["name"] == f"{bed.resource}-host"]
    assert told.get("devices", []) == []
    dropped = [line for step in told["candidates"] for line in step.get("dropped", [])]
    assert f"{address}: the host uses it: it routes through {name}" in dropped
