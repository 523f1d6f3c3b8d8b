"""Two configs that select the same devices on one node."""

from collections.abc import Iterator

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, GROUP, WORKERS, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODE = WORKERS[0]


@pytest.fixture
def rival(bed: Bed) -> Iterator[Bed]:
    other = bed.rival()
    yield other
    other.end()


def offered(bed: Bed) -> set[str]:
    """The devices that the kubelet has of a config."""
    return bed.views[NODE].allocatable(bed.resource)


def dropped(bed: Bed) -> list[str]:
    """What its selection left out, and why."""
    resources = bed.report().get("status", {}).get("resources", [])
    return [line for each in resources for step in each.get("candidates", []) for line in step.get("dropped", [])]


def test_a_device_has_one_owner_whatever_happens_to_its_agent_until_it_is_given_up(bed: Bed, rival: Bed) -> None:
    bed.plug(NODE, 0, 1)
    bed.apply()
    bed.kubelet_has(0, 1)
    bed.pod("user", 1, node=NODE)
    bed.running("user")
    used = bed.told("user")[0].partition("=")[2]

    spec = rival.spec()
    spec["resources"][0]["source"] = bed.spec()["resources"][0]["source"]
    rival.apply(spec)
    until(lambda: len(dropped(rival)) == 2, "the rival says what it does not get")
    assert dropped(rival)[0] == f"/dev/{bed.device(0)}: belongs to config {bed.name}"
    rival.settled("NoDevicesFound")
    for each in (bed, rival):
        contested = until(each.contested, f"{each.name} says who contends")
        assert [(said["device"], said["owner"], said["configs"]) for said in contested] == [
            (bed.device(number), bed.name, [bed.name, rival.name]) for number in (0, 1)
        ]

    check = bed.undisturbed("user")
    first = bed.agent_pid()
    on_node(NODE, f"kill -9 {first}")
    until(lambda: bed.agent_pid() not in ("", first), "the agent is back")
    bed.kubelet_has(0, 1)
    assert not offered(rival)

    bed.client.delete("v1", "Pod", bed.agent()["metadata"]["name"], namespace=AGENTS)
    until(lambda: bed.agent_pid() not in ("", first), "another agent is there")
    bed.kubelet_has(0, 1)
    assert not offered(rival)
    check()

    bed.client.delete(GROUP, "DevicePluginConfig", bed.name)
    free = ({bed.device(0), bed.device(1)} - {used}).pop()
    until(lambda: offered(rival) == {free}, "what was free passes on", limit=120)
    check()
    assert {said["device"] for said in rival.contested()} == {used}
    bed.client.delete("v1", "Pod", "user", namespace=bed.name)
    until(lambda: offered(rival) == {bed.device(0), bed.device(1)}, "what was used passes on", limit=120)
    rival.settled()
