"""Devices that go together: pods get all of a group, and one that lacks a member is shown and not offered."""

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, Json

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

(NODE, *_) = WORKERS


def rigs(bed: Bed) -> Json:
    """A camera and a light with one number are a rig, with a speaker or without."""
    members = [
        {"name": name, "paths": {"include": [f"/dev/{bed.name}{name}-*"]}, "optional": name == "speaker"}
        for name in ("camera", "light", "speaker")
    ]
    steady = {"successThreshold": 1, "failureThreshold": 1}
    return bed.spec(source={"groups": {"members": members, "pairBy": "Number"}}, health=steady)


def by_camera(bed: Bed) -> dict[str, Json]:
    """The path of a rig's camera → what its agent says of the rig."""
    return {told["path"]: told for told in bed.reported(NODE).values()}


def node(bed: Bed, member: str, number: int) -> str:
    """A member's device node."""
    return f"/dev/{bed.name}{member}-{number}"


def has(bed: Bed, pod: str) -> set[str]:
    """The device nodes of this test that a pod has."""
    return {f"/dev/{line}" for line in bed.told(pod) if line.startswith(bed.name)}


def test_a_pod_has_all_members_of_its_group_and_an_incomplete_group_is_shown_and_not_offered(bed: Bed) -> None:
    bed.plug(NODE, 0, 1, 2, kind="camera")
    bed.plug(NODE, 0, 1, kind="light")
    bed.plug(NODE, 0, kind="speaker")
    bed.apply(rigs(bed))
    until(lambda: bed.offered() == 2, "the two rigs that are complete are allocatable")
    bed.settled()
    assert by_camera(bed).keys() == {node(bed, "camera", number) for number in (0, 1)}
    (told,) = bed.report()["status"]["resources"]
    *_, last = told["candidates"]
    assert (last["step"], last["kept"]) == ("complete", 2)
    assert [line.partition(": ")[2] for line in last["dropped"]] == ["light missing"]

    bed.pod("first", 1, node=NODE)
    bed.pod("second", 1, node=NODE)
    bed.running("first", "second")
    with_speaker, without = sorted((has(bed, pod) for pod in ("first", "second")), key=len, reverse=True)
    assert with_speaker == {node(bed, member, 0) for member in ("camera", "light", "speaker")}
    assert without == {node(bed, member, 1) for member in ("camera", "light")}
    (one,) = (pod for pod in ("first", "second") if has(bed, pod) == with_speaker)
    paths = {f"{bed.env}_{member.upper()}_PATH={node(bed, member, 0)}" for member in ("camera", "light", "speaker")}
    assert paths <= set(bed.told(one))

    bed.pod("third", 1, node=NODE)
    until(lambda: bed.look("third")["status"].get("conditions"), "the scheduler has looked at a third pod")
    assert bed.look("third")["status"]["phase"] == "Pending", "what the third rig has is no rig"
    bed.plug(NODE, 2, kind="light")
    bed.running("third")
    assert has(bed, "third") == {node(bed, member, 2) for member in ("camera", "light")}


def test_a_member_that_is_pulled_is_told_and_its_group_is_not_offered_but_for_an_optional_one(bed: Bed) -> None:
    bed.plug(NODE, 0, 1, kind="camera")
    bed.plug(NODE, 0, 1, kind="light")
    bed.plug(NODE, 0, 1, kind="speaker")
    bed.apply(rigs(bed))
    until(lambda: bed.offered() == 2, "both rigs are allocatable")
    bed.settled()
    first, second = (node(bed, "camera", number) for number in (0, 1))
    ids = {camera: told["id"] for camera, told in by_camera(bed).items()}

    bed.pull(NODE, 0, kind="light")
    bed.pull(NODE, 1, kind="speaker")
    lacks = f"{first}: light missing"
    until(lambda: by_camera(bed)[first]["message"] == lacks, "the rig without a light is told")
    until(lambda: "speaker" not in by_camera(bed)[second]["attributes"], "the other's speaker is gone")
    assert (by_camera(bed)[first]["state"], by_camera(bed)[first]["reason"]) == ("Unhealthy", "GroupIncomplete")
    assert by_camera(bed)[second]["state"] == "Healthy"
    until(lambda: bed.reason() == "SomeUnhealthy", "the config tells it too")
    (problem,) = bed.config()["status"]["problems"]
    assert (problem["device"], problem["reason"], problem["message"]) == (ids[first], "GroupIncomplete", lacks)
    until(lambda: bed.views[NODE].allocatable(bed.resource) == {ids[second]}, "the kubelet has the other rig alone")
    until(lambda: bed.offered() == 1, "so has the scheduler")
    bed.pod("user", 1, node=NODE)
    bed.running("user")
    assert has(bed, "user") == {node(bed, member, 1) for member in ("camera", "light")}

    bed.plug(NODE, 0, kind="light")
    until(lambda: bed.offered() == 2, "with its light the rig is allocatable again")
    assert {camera: told["id"] for camera, told in by_camera(bed).items()} == ids
