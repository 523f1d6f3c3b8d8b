"""Configs, nodes' labels and DaemonSets change; the operator can be away."""

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, GROUP, SYSTEM, WORKERS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NODE, OTHER = WORKERS
NOWHERE = {"kubernetes.io/hostname": "nowhere"}


def test_agents_stopped_on_purpose_leave_pods_alone_and_hold_new_ones_back_until_they_return(bed: Bed) -> None:
    bed.plug(NODE, 0, 1)
    bed.apply()
    until(lambda: bed.offered() == 2, "allocatable is 2")
    bed.pod("old", 1)
    bed.running("old")
    check = bed.undisturbed("old")
    bed.change({"nodeSelector": NOWHERE})
    until(lambda: not bed.agents(), "the agents are gone")
    until(lambda: bed.offered() == 0, "allocatable is 0")
    bed.pod("new", 1)
    until(lambda: bed.look("new")["status"].get("conditions"), "the scheduler has looked at the new pod")
    assert bed.look("new")["status"]["phase"] == "Pending"
    check()
    bed.change({"nodeSelector": {"kubernetes.io/hostname": NODE}})
    bed.running("new")
    check()
    assert bed.told("new")[2] != bed.told("old")[2]


def test_another_node_selector_moves_agents_and_reports(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.plug(OTHER, 0, 1)
    bed.apply()
    bed.kubelet_has(0)
    assert bed.reports() == {NODE}
    bed.change({"nodeSelector": {"kubernetes.io/hostname": OTHER}})
    bed.kubelet_has(0, 1, node=OTHER)
    until(lambda: bed.reports() == {OTHER}, "the report moved")
    until(lambda: [pod["spec"].get("nodeName") for pod in bed.agents()] == [OTHER], "the agent moved")
    bed.settled()
    assert bed.config()["status"]["devices"]["total"] == 2


def test_a_resource_is_added_and_removed_without_an_agent_restart(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.plug(NODE, 0, 1, kind="second")
    bed.apply()
    bed.kubelet_has(0)
    bed.settled()
    before = bed.agent()
    second = f"{bed.resource}-second"
    first = bed.spec()["resources"][0]
    added = {"name": second, "source": {"paths": {"include": [f"/dev/{bed.name}second-*"]}}}
    bed.change({"resources": [first, added]})
    until(lambda: len(bed.views[NODE].allocatable(second)) == 2, "the kubelet has the second resource")
    until(
        lambda: set(bed.reported(resource=second)) == {f"{bed.name}second-{each}" for each in (0, 1)},
        "so has the report",
    )
    bed.settled()
    bed.change({"resources": [first]})
    until(lambda: not bed.views[NODE].allocatable(second), "the kubelet has it no more")
    until(lambda: not bed.reported(resource=second), "nor has the report")
    bed.settled()
    bed.kubelet_has(0)
    after = bed.agent()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_deleted_config_takes_agents_reports_and_devices_with_it(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.apply()
    until(lambda: bed.offered() == 1, "allocatable is 1")
    bed.client.delete(GROUP, "DevicePluginConfig", bed.name)
    until(lambda: not bed.agents() and not bed.reports(), "agents and reports are gone")
    assert bed.client.find("apps/v1", "DaemonSet", f"{bed.name}-agent", namespace=AGENTS) is None
    until(lambda: bed.offered() == 0, "allocatable is 0")


def test_a_config_deleted_while_the_operator_is_away_leaves_nothing_stuck(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.apply()
    bed.kubelet_has(0)
    until(bed.reports, "a report")
    deployment = ("apps/v1", "Deployment", "device-plugin-operator")
    bed.client.patch(*deployment, {"spec": {"replicas": 0}}, namespace=SYSTEM)
    try:
        until(lambda: not bed.client.list("v1", "Pod", namespace=SYSTEM), "the operator is gone")
        bed.client.delete(GROUP, "DevicePluginConfig", bed.name)
        until(lambda: not bed.agents() and not bed.reports(), "agents and reports are gone")
        assert bed.client.find(GROUP, "DevicePluginConfig", bed.name) is None
    finally:
        bed.client.patch(*deployment, {"spec": {"replicas": 2}}, namespace=SYSTEM)
        until(
            lambda: bed.client.get(*deployment, namespace=SYSTEM)["status"].get("readyReplicas") == 2,
            "the operator is back",
        )


def test_agents_that_are_replaced_by_others_leave_pods_their_devices_and_know_them_again(bed: Bed) -> None:
    bed.plug(NODE, 0, 1)
    bed.plug(OTHER, 0)
    bed.apply(bed.spec(selector={"kubernetes.io/os": "linux"}))
    bed.settled()
    bed.pod("old", 1, node=NODE)
    bed.running("old")

    def users() -> dict[str, list[str]]:
        return {
            name: [user["pod"] for user in device.get("allocatedTo", [])] for name, device in bed.reported().items()
        }

    until(lambda: ["old"] in users().values(), "the user is known")
    known, check = users(), bed.undisturbed("old")
    before = {pod["metadata"]["uid"] for pod in bed.agents()}
    # An upgrade changes the image: another template, as here, and agents of both kinds side by side for a while.
    bed.change({"agent": {"logLevel": "debug"}})
    until(
        lambda: len(now := {pod["metadata"]["uid"] for pod in bed.agents()}) == 2 and not now & before,
        "all agents are others",
        limit=90,
    )
    bed.settled()
    bed.kubelet_has(0, 1)
    until(lambda: users() == known, "the user is known again")
    check()
    bed.pod("new", 1, node=NODE)
    bed.running("new")
    assert bed.told("new")[2] != bed.told("old")[2]


def test_a_daemonset_edited_by_hand_is_put_back(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.apply()
    bed.kubelet_has(0)
    daemonset = ("apps/v1", "DaemonSet", f"{bed.name}-agent")
    before = bed.client.get(*daemonset, namespace=AGENTS)["spec"]["template"]["spec"]
    edits = {
        "containers": [
            {"name": "agent", "env": [{"name": "LD_PRELOAD", "value": "/x.so"}], "args": ["--log-level=debug"]},
            {"name": "sidecar", "image": "busybox:1.37", "command": ["sleep", "3600"]},
        ],
        "hostIPC": True,
    }
    patch = {"spec": {"template": {"spec": edits}}}
    bed.client.patch(*daemonset, patch, namespace=AGENTS, style="strategic")

    def back() -> bool:
        return bool(bed.client.get(*daemonset, namespace=AGENTS)["spec"]["template"]["spec"] == before)

    until(back, "the template is what it was")
    bed.settled()
