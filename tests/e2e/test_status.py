"""What a config says of itself: previews, names that others have, and who waits for it."""

from collections.abc import Iterator

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import GROUP, WORKERS, Json, kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NODE, OTHER = WORKERS


@pytest.fixture
def younger(bed: Bed) -> Iterator[Bed]:
    other = bed.rival()
    yield other
    other.end()


def process(bed: Bed, node: str = NODE) -> tuple[str, int]:
    """Which agent it is, and how often it was restarted."""
    agent = bed.agent(node)
    return agent["metadata"]["uid"], agent["status"]["containerStatuses"][0]["restartCount"]


def problem(bed: Bed, reason: str) -> Json:
    """The one problem of that reason."""
    (found,) = [each for each in bed.config()["status"].get("problems", []) if each["reason"] == reason]
    return dict(found)


def test_a_config_in_preview_tells_what_it_would_offer_and_offers_it_without_a_restart_when_told_to(bed: Bed) -> None:
    bed.plug(NODE, 0, 1)
    bed.apply({"mode": "Preview"} | bed.spec())
    bed.settled("Preview")
    assert {name: device["state"] for name, device in bed.reported().items()} == {
        bed.device(0): "Healthy",
        bed.device(1): "Healthy",
    }
    assert bed.config()["status"]["nodes"] == {"desired": 1, "ready": 1, "updated": 1}
    before = process(bed)
    bed.pull(NODE, 1)
    until(lambda: bed.reported()[bed.device(1)]["reason"] == "DeviceMissing", "what happens to them is told")
    bed.plug(NODE, 1)
    assert bed.views[NODE].allocatable(bed.resource) == set()
    assert bed.resource not in bed.client.get("v1", "Node", NODE)["status"]["capacity"]
    bed.change({"mode": "Serve"})
    bed.kubelet_has(0, 1)
    bed.settled()
    assert process(bed) == before


def test_of_two_configs_with_one_name_the_older_serves_and_the_younger_elsewhere_until_the_older_goes(
    bed: Bed, younger: Bed
) -> None:
    bed.plug(NODE, 0)
    bed.apply()
    bed.kubelet_has(0)
    bed.settled()
    for node in WORKERS:
        bed.plug(node, 0, kind="theirs")
        younger.plug(node, 0)
    theirs = {"name": bed.resource, "source": {"paths": {"include": [f"/dev/{bed.name}theirs-*"]}}}
    own = younger.spec()["resources"][0]
    younger.apply({"nodeSelector": {"kubernetes.io/os": "linux"}, "resources": [theirs, own]})
    younger.settled("ResourceNameConflict")
    told = problem(younger, "ResourceNameConflict")
    assert (told["node"], told["resource"]) == (NODE, bed.resource)
    assert bed.name in told["message"]
    for node in WORKERS:
        younger.kubelet_has(0, node=node)
    until(lambda: bed.views[OTHER].allocatable(bed.resource) == {f"{bed.name}theirs-0"}, "its other node is served")
    bed.kubelet_has(0)
    before = process(younger)
    bed.client.delete(GROUP, "DevicePluginConfig", bed.name)
    until(lambda: bed.views[NODE].allocatable(bed.resource) == {f"{bed.name}theirs-0"}, "the name has passed on")
    younger.settled()
    assert process(younger) == before


def test_kubectl_waits_until_the_spec_of_now_is_served(bed: Bed) -> None:
    def wait() -> None:
        kubectl("wait", "--for=condition=Ready", "--timeout=90s", f"dpc/{bed.name}", limit=100)

    bed.plug(NODE, 0)
    bed.plug(NODE, 0, kind="second")
    bed.apply()
    wait()
    assert bed.views[NODE].allocatable(bed.resource) == {bed.device(0)}
    second = f"{bed.resource}-second"
    added = {"name": second, "source": {"paths": {"include": [f"/dev/{bed.name}second-*"]}}}
    bed.change({"resources": [bed.spec()["resources"][0], added]})
    wait()
    assert bed.views[NODE].allocatable(second) == {f"{bed.name}second-0"}
