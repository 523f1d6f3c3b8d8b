"""A new configuration goes from node to node, and stops where it makes one worse."""

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, Json

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FIRST, SECOND = WORKERS
BOTH = {"kubernetes.io/os": "linux"}
EVERY = {"maxUnavailable": 1}


def demanding(bed: Bed) -> list[Json]:
    """The same devices, and nobody writes the heartbeat that they are to have."""
    probes = [{"type": "Exists"}, {"type": "HeartbeatFile", "name": "$(DEVICE_ID)", "maxAgeSeconds": 60}]
    health = {"probes": probes, "periodSeconds": 1, "failureThreshold": 1, "successThreshold": 1}
    return [bed.spec(health=health)["resources"][0]]


def revision(bed: Bed, node: str) -> str:
    """What a node is to run."""
    return str(bed.report(node)["spec"]["revision"])


def test_a_node_that_gets_worse_keeps_it_from_the_others_and_the_former_content_is_the_way_back(bed: Bed) -> None:
    for node in WORKERS:
        bed.plug(node, 0)
    bed.apply(bed.spec(BOTH) | {"rollout": EVERY})
    bed.settled()
    old = revision(bed, FIRST)
    agents = {node: bed.agent(node)["metadata"]["uid"] for node in WORKERS}
    bed.change({"resources": demanding(bed)})
    bed.settled("RolloutPaused")
    (ready,) = [each for each in bed.config()["status"]["conditions"] if each["type"] == "Ready"]
    assert FIRST in ready["message"]
    assert "HeartbeatMissing" in ready["message"]
    assert revision(bed, FIRST) != old
    assert revision(bed, SECOND) == old
    bed.kubelet_has(node=FIRST)
    bed.kubelet_has(0, node=SECOND)
    bed.change({"resources": bed.spec()["resources"]})
    bed.settled()
    assert {revision(bed, node) for node in WORKERS} == {old}
    bed.kubelet_has(0, node=FIRST)
    bed.change({"resources": demanding(bed), "rollout": EVERY | {"onRegression": "Continue"}})
    until(lambda: old not in {revision(bed, node) for node in WORKERS}, "it goes on when nobody minds")
    bed.settled("SomeUnhealthy")
    assert {node: bed.agent(node)["metadata"]["uid"] for node in WORKERS} == agents
