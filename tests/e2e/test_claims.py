"""Two configs that select the same devices on one node."""

import json
from collections.abc import Iterator

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import GROUP, WORKERS, on_node, reboot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODE, OTHER = WORKERS


@pytest.fixture
def rival(bed: Bed) -> Iterator[Bed]:
    other = bed.rival()
    yield other
    other.end()


def offered(bed: Bed) -> set[str]:
    """The devices that the kubelet has of a config."""
    return bed.views[NODE].allocatable(bed.resource)


def dropped(bed: Bed, node: str = NODE) -> list[str]:
    """What its selection left out, and why."""
    resources = bed.report(node).get("status", {}).get("resources", [])
    return [line for each in resources for step in each.get("candidates", []) for line in step.get("dropped", [])]


def contended(bed: Bed) -> list[tuple[str, str, list[str]]]:
    """The devices that other configs select too, who owns each and who selects it."""
    return [(said["device"], said["owner"], said["configs"]) for said in bed.contested()]


def never_offered(bed: Bed, node: str = NODE) -> None:
    """No device of a config was healthy at any moment of its agent's life: the agent logs each change."""
    changes = [line for line in map(json.loads, bed.agent_log(node)) if line["msg"] == "Device changed"]
    assert [line for line in changes if line["state"] == "Healthy"] == []


def same_devices(bed: Bed, rival: Bed, node: str = NODE) -> None:
    """Two devices, both configs, and the rival has learnt that they are not for it."""
    selector = {"kubernetes.io/hostname": node}
    bed.plug(node, 0, 1)
    bed.apply(bed.spec(selector))
    bed.kubelet_has(0, 1, node=node)
    spec = rival.spec(selector)
    spec["resources"][0]["source"] = bed.spec()["resources"][0]["source"]
    rival.apply(spec)
    lost = [f"/dev/{bed.device(number)}: belongs to config {bed.name}" for number in (0, 1)]
    until(lambda: dropped(rival, node) == lost, "the rival says what it does not get")


def test_a_device_has_one_owner_whatever_happens_to_its_agent_until_it_is_given_up(bed: Bed, rival: Bed) -> None:
    same_devices(bed, rival)
    bed.pod("user", 1, node=NODE)
    bed.running("user")
    used = bed.told("user")[0].partition("=")[2]
    rival.settled("NoDevicesFound")
    contention = [(bed.device(number), bed.name, [bed.name, rival.name]) for number in (0, 1)]
    until(lambda: [contended(each) for each in (bed, rival)] == [contention] * 2, "both say who contends")

    check = bed.undisturbed("user")
    first = bed.agent_pid()
    on_node(NODE, f"kill -9 {first}")
    until(lambda: bed.agent_pid() not in ("", first), "the agent is back")
    bed.kubelet_has(0, 1)

    old = bed.agent()["metadata"]["uid"]
    bed.change({"agent": {"logLevel": "debug"}})
    until(lambda: bed.agent()["metadata"]["uid"] != old, "the agent is rolled")
    until(lambda: bed.agent()["status"]["containerStatuses"][0]["ready"], "it is ready")
    bed.kubelet_has(0, 1)
    never_offered(rival)
    check()

    bed.client.delete(GROUP, "DevicePluginConfig", bed.name)
    free = ({bed.device(0), bed.device(1)} - {used}).pop()
    until(lambda: offered(rival) == {free}, "what was free passes on", limit=120)
    check()
    until(lambda: [device for device, *_ in contended(rival)] == [used], "only what is used is contested")
    bed.client.delete("v1", "Pod", "user", namespace=bed.name)
    until(lambda: offered(rival) == {bed.device(0), bed.device(1)}, "what was used passes on", limit=120)
    rival.settled()


def test_a_device_is_its_owners_after_a_reboot_whoever_is_up_first(bed: Bed, rival: Bed) -> None:
    same_devices(bed, rival, OTHER)
    bed.pod("user", 1, node=OTHER)
    bed.running("user")
    never_offered(rival, OTHER)

    def ready_containers() -> set[str]:
        statuses = [each.agent(OTHER)["status"]["containerStatuses"][0] for each in (bed, rival)]
        return {str(status["containerID"]) for status in statuses if status["ready"]}

    before = ready_containers()
    reboot(OTHER)
    bed.plug(OTHER, 0, 1)
    bed.views[OTHER].again()
    until(lambda: len(ready_containers() - before) == 2, "both agents were started and are ready", limit=120)
    bed.kubelet_has(0, 1, node=OTHER)
    until(lambda: len(dropped(rival, OTHER)) == 2, "the rival says what it does not get")
    never_offered(rival, OTHER)
    bed.pod("next", 1, node=OTHER)
    bed.running("next")
