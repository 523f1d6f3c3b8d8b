"""Devices reach the kubelet, pods and the status."""

import time

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import CONTROL_PLANE, WORKERS, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

BOTH = {"kubernetes.io/os": "linux"}


def test_every_matching_node_registers_and_no_other(bed: Bed) -> None:
    for node in WORKERS:
        bed.plug(node, 0, 1)
    start = time.monotonic()
    bed.apply(bed.spec(selector=BOTH))  # the control plane's taint is not tolerated
    for node in WORKERS:
        bed.kubelet_has(0, 1, node=node)
    bed.times.seconds("apply → the kubelets' own view on all nodes", time.monotonic() - start)
    until(lambda: all(bed.offered(node) == 2 for node in WORKERS), "allocatable is 2 on both workers")
    bed.times.seconds("apply → Node.allocatable on all nodes", time.monotonic() - start)
    bed.settled()
    assert bed.reports() == set(WORKERS)
    assert {pod["spec"]["nodeName"] for pod in bed.agents()} == set(WORKERS)
    assert bed.offered(CONTROL_PLANE) == 0
    sockets = on_node(WORKERS[0], "ls /var/lib/kubelet/device-plugins").split()
    assert any(name.startswith("dp-") and name.endswith(".sock") for name in sockets)
    status = bed.config()["status"]
    assert status["nodes"] == {"desired": 2, "ready": 2, "updated": 2}
    assert status["devices"]["healthy"] == status["devices"]["total"] == 4


def test_a_pod_gets_a_device_that_it_can_read_and_the_status_names(bed: Bed) -> None:
    bed.plug(WORKERS[0], 0, 1)
    bed.apply()
    bed.kubelet_has(0, 1)
    bed.pod("one", 1, script=f"head -c 3 $${bed.env}_PATH | od -An -c;".replace("$$", "$"))
    bed.running("one")
    told = bed.told("one")
    (device,) = [line.removeprefix(f"{bed.env}_ID=") for line in told if line.startswith(f"{bed.env}_ID=")]
    assert told == [f"{bed.env}_ID={device}", f"{bed.env}_PATH=/dev/{device}", device, "  \\0  \\0  \\0"]
    holder = {"namespace": bed.name, "pod": "one", "container": "c0"}
    until(lambda: bed.reported()[device].get("allocatedTo") == [holder], f"the report names who has {device}")
    assert set(bed.views[WORKERS[0]].holders(bed.resource)) == {device}
    until(lambda: bed.config()["status"]["devices"]["allocated"] == 1, "the config counts one device in use")


def test_two_containers_asking_for_one_and_two_get_three_different_devices(bed: Bed) -> None:
    bed.plug(WORKERS[0], 0, 1, 2)
    bed.apply()
    bed.kubelet_has(0, 1, 2)
    bed.pod("pair", 1, 2)
    bed.running("pair")
    first, second = bed.told("pair", "c0"), bed.told("pair", "c1")
    assert len(first) == 3
    ids = second[0].removeprefix(f"{bed.env}_ID=").split(",")
    assert second[1] == f"{bed.env}_PATH=" + ",".join(f"/dev/{each}" for each in ids)
    assert second[2:] == ids
    assert {*ids, first[2]} == {bed.device(number) for number in range(3)}


def test_a_pod_asking_for_more_than_there_is_stays_pending_with_the_schedulers_reason(bed: Bed) -> None:
    bed.plug(WORKERS[0], 0)
    bed.apply()
    until(lambda: bed.offered() == 1, "allocatable is 1")
    bed.pod("greedy", 2)

    def unschedulable() -> str:
        conditions = bed.look("greedy")["status"].get("conditions", [])
        return next((str(each.get("message")) for each in conditions if each["type"] == "PodScheduled"), "")

    until(lambda: f"Insufficient {bed.resource}" in unschedulable(), "the scheduler says what is short")
    assert bed.look("greedy")["status"]["phase"] == "Pending"


def test_twenty_pods_at_once_have_twenty_different_devices(bed: Bed) -> None:
    bed.plug(WORKERS[0], *range(20))
    bed.apply()
    bed.kubelet_has(*range(20))
    until(lambda: bed.offered() == 20, "allocatable is 20")
    start = time.monotonic()
    names = [f"p{number}" for number in range(20)]
    for name in names:
        bed.pod(name, 1)
    bed.running(*names)
    took = time.monotonic() - start
    bed.times.add("20 pods on 20 devices", f"{20 / took:.1f} pods/s")
    held = bed.views[WORKERS[0]].holders(bed.resource)
    assert len(held) == 20
    assert all(len(holders) == 1 for holders in held.values())
    until(lambda: bed.config()["status"]["devices"]["allocated"] == 20, "the config counts twenty in use")


def test_a_device_pulled_out_is_told_everywhere_and_healthy_again_when_it_is_back(bed: Bed) -> None:
    bed.plug(WORKERS[0], 0, 1, 2)
    bed.apply()
    bed.kubelet_has(0, 1, 2)
    bed.pod("user", 1)
    bed.running("user")
    device = bed.told("user")[2]
    number = int(device.rpartition("-")[2])
    others = {0, 1, 2} - {number}
    check = bed.undisturbed("user")
    until(lambda: bed.offered() == 3, "allocatable is 3")
    # Devices are served before the kubelet's first probe calls their agent ready.
    until(lambda: bed.reason() == "AllNodesReady", "every agent is ready")

    # Timed in the node: a docker exec takes 100 ms itself.
    gone = float(on_node(WORKERS[0], f"rm /dev/{device}; date +%s.%N"))
    bed.kubelet_has(*others)
    bed.times.seconds("device pulled → the kubelet's view", max(0.0, time.time() - gone))

    def problem() -> bool:
        problems = bed.config()["status"].get("problems", [])
        return [(each["device"], each["reason"]) for each in problems] == [(device, "DeviceMissing")]

    until(problem, "the config names the device as missing", every=0.02)
    bed.times.seconds("device pulled → the config's status", time.time() - gone)
    told = bed.reported()[device]
    assert (told["state"], told["reason"]) == ("Unhealthy", "DeviceMissing")
    assert bed.reason() == "SomeUnhealthy"
    until(lambda: bed.offered() == 2, "allocatable falls to 2")
    assert bed.capacity() == 3, "it is used, so it stays listed"
    assert bed.measured("device_plugin_devices", state="Unhealthy") == 1
    assert bed.measured("device_plugin_devices", state="Healthy") == 2
    assert bed.measured("device_plugin_registered") == 1

    until(lambda: bed.pod_says("user") == "Unhealthy", "the pod's own status agrees")
    check()

    bed.plug(WORKERS[0], number)
    bed.kubelet_has(0, 1, 2)
    until(lambda: bed.reported()[device]["state"] == "Healthy", "the device is healthy again")
    bed.settled()
    until(lambda: bed.offered() == 3, "allocatable is 3 again")
    until(lambda: bed.pod_says("user") == "Healthy", "the pod's own status agrees again")
    check()


def test_a_device_plugged_in_is_offered_at_once(bed: Bed) -> None:
    bed.plug(WORKERS[0], 0)
    bed.apply()
    bed.kubelet_has(0)
    made = float(on_node(WORKERS[0], f"mknod -m 0666 /dev/{bed.device(1)} c 1 5; date +%s.%N"))
    bed.kubelet_has(0, 1)
    bed.times.seconds("device plugged → the kubelet's view", max(0.0, time.time() - made))
