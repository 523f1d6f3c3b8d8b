"""Devices that do not work, or shall not be used: probes, cordons, and a look before the start, on a real kubelet."""

import time

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, Json, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

NODE = WORKERS[0]


def test_a_container_is_not_started_on_a_device_that_died_and_is_when_it_is_back(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.apply(bed.spec(allocation={"preStart": {"verifyHealthy": True}}, health={"successThreshold": 1}))
    bed.kubelet_has(0)
    seconds = 2_000_000 + int(bed.name.rpartition("-")[2], 16)  # tells this container's process from all others
    bed.pod("user", 1, script=f"echo told; exec sleep {seconds};")
    bed.running("user")

    def container() -> Json:
        (status,) = bed.look("user")["status"]["containerStatuses"]
        return dict(status)

    bed.pull(NODE, 0)
    bed.kubelet_has()
    on_node(NODE, f"kill -9 $(pgrep -f '[s]leep {seconds}')")
    refusal = f"device {bed.device(0)} is Unhealthy: /dev/{bed.device(0)} is gone from the node"
    until(lambda: refusal in container()["state"].get("waiting", {}).get("message", ""), "the start is refused")
    bed.plug(NODE, 0)
    until(lambda: container()["ready"], "it starts with the device that is back", limit=90)


def test_a_cordoned_device_is_kept_from_new_pods_and_left_to_the_one_that_has_it(bed: Bed) -> None:
    bed.plug(NODE, 0, 1)
    bed.apply()
    bed.kubelet_has(0, 1)
    bed.pod("user", 1)
    bed.running("user")
    check = bed.undisturbed("user")
    used = bed.told("user")[2]
    number = int(used.rpartition("-")[2])
    cordon = {"node": NODE, "resource": bed.resource, "device": used, "reason": "lens broken"}
    started = time.monotonic()
    bed.change({"cordonedDevices": [cordon]})
    bed.kubelet_has(1 - number)
    took = time.monotonic() - started
    bed.times.seconds("device cordoned → the kubelet's view", took)
    assert took < 3
    assert bed.report()["spec"]["cordonedDevices"][0]["device"] == used
    until(lambda: bed.reported()[used]["state"] == "Cordoned", "the report says so")
    assert bed.reported()[used]["message"] == "lens broken"
    until(lambda: bed.config()["status"]["devices"].get("cordoned") == 1, "the config counts it")
    check()
    bed.change({"cordonedDevices": []})
    bed.kubelet_has(0, 1)
    check()


def test_a_device_is_healthy_while_its_heartbeat_is_there(bed: Bed) -> None:
    beat = f"/run/deviceplugins.dev/{bed.device(0)}"
    bed.plug(NODE, 0)
    probes = [{"type": "Exists"}, {"type": "HeartbeatFile", "name": "$(DEVICE_ID)", "maxAgeSeconds": 3600}]
    bed.apply(bed.spec(health={"probes": probes, "periodSeconds": 1, "failureThreshold": 1, "successThreshold": 1}))
    until(lambda: bed.reported()[bed.device(0)]["reason"] == "HeartbeatMissing", "its heartbeat is missed")
    try:
        on_node(NODE, f"touch {beat}")
        bed.kubelet_has(0)
        on_node(NODE, f"rm {beat}")
        bed.kubelet_has()
    finally:
        on_node(NODE, f"rm -f {beat}")
