"""What containers get of devices: shares, and nodes that open without being root."""

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, Json, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

NODE = WORKERS[0]
OWNER, GROUP = 3000, 4000
USER = {"runAsUser": 1000, "runAsGroup": GROUP, "runAsNonRoot": True}
BY_CDI: Json = {"cdi": {"uid": OWNER, "gid": GROUP, "fileMode": "0640"}, "permissions": "r"}


def plug_for_root(bed: Bed, *numbers: int) -> None:
    """Devices that only root may open on the node."""
    bed.plug(NODE, *numbers)
    on_node(NODE, "chmod 0600 " + " ".join(f"/dev/{bed.device(number)}" for number in numbers))


def opening(bed: Bed) -> str:
    """A script that says whose the device is, and reads from it."""
    return f'stat -c "%u %g %a" ${bed.env}_PATH; head -c 3 ${bed.env}_PATH | od -An -c;'


def cdi_files() -> set[str]:
    return set(on_node(NODE, "ls /var/run/cdi 2>/dev/null || true").split())


def test_a_container_that_is_not_root_opens_a_device_by_cdi_and_not_without(bed: Bed) -> None:
    plug_for_root(bed, 0)
    bed.apply(bed.spec(allocation=BY_CDI))
    bed.kubelet_has(0)
    bed.pod("reader", 1, script=opening(bed), user=USER)
    bed.running("reader")
    assert bed.told("reader")[-2:] == [f"{OWNER} {GROUP} 640", "  \\0  \\0  \\0"]
    (resource,) = bed.report()["status"]["resources"]
    assert resource["cdi"] is True
    assert on_node(NODE, f"stat -c %a /dev/{bed.device(0)}").strip() == "600", "the host's own node is as it was"
    bed.client.delete("v1", "Pod", "reader", namespace=bed.name)

    bed.change({"resources": bed.spec(allocation={"cdi": {"mode": "Never"}})["resources"]})
    until(lambda: "cdi" not in bed.report()["status"]["resources"][0], "devices are handed out without CDI")
    bed.pod("stranger", 1, script=f"head -c 3 ${bed.env}_PATH 2>&1 || true;", user=USER)
    bed.running("stranger")
    assert "Permission denied" in bed.told("stranger")[-1]


def one_device(bed: Bed, kind: str) -> None:
    """Offer what is of this kind in a directory of the test's own: a single one."""
    bed.apply(bed.spec(source={"paths": {"include": [f"/dev/{bed.name}/*"], "type": kind}}))
    until(lambda: len(bed.views[NODE].allocatable(bed.resource)) == 1, "the kubelet has one device")


def test_a_directory_of_devices_is_one_and_its_nodes_are_where_they_were(bed: Bed) -> None:
    card = f"/dev/{bed.name}/card0"
    on_node(NODE, f"mkdir -p {card}/deep && mknod -m 0666 {card}/in c 1 5 && mknod -m 0666 {card}/deep/out c 1 5")
    one_device(bed, "Directory")
    bed.pod("reader", 1, script=f"cd ${bed.env}_PATH; find . -type c | sort; head -c 1 deep/out | od -An -c;")
    bed.running("reader")
    assert bed.told("reader")[-3:] == ["./deep/out", "./in", "  \\0"]


def test_a_plain_file_is_a_device_that_a_container_can_only_read(bed: Bed) -> None:
    key = f"/dev/{bed.name}/key"
    on_node(NODE, f"mkdir -m 0755 /dev/{bed.name} && echo secret >{key} && mkfifo /dev/{bed.name}/pipe")
    one_device(bed, "File")
    bed.pod("reader", 1, script=f"cat ${bed.env}_PATH; (echo x >${bed.env}_PATH) 2>&1 | grep -o Read-only.*;")
    bed.running("reader")
    assert bed.told("reader")[-2:] == ["secret", "Read-only file system"]

    def reasons() -> list[str]:
        return [str(device["reason"]) for device in bed.reported().values()]

    until(lambda: reasons() == ["Works"], "the file works")
    (resource,) = bed.report()["status"]["resources"]
    assert resource["candidates"][-1]["dropped"] == [f"/dev/{bed.name}/pipe: it is a pipe, not a plain file"]
    undisturbed = bed.undisturbed("reader")
    on_node(NODE, f"rm {key}")
    until(lambda: reasons() == ["DeviceMissing"], "the file is missing")
    on_node(NODE, f"echo again >{key}")
    until(lambda: reasons() == ["Works"], "the file works again")
    undisturbed()


def test_a_container_starts_again_with_its_device_while_no_agent_is_there(bed: Bed) -> None:
    plug_for_root(bed, 0)
    bed.apply(bed.spec(allocation=BY_CDI))
    bed.kubelet_has(0)
    seconds = 1_000_000 + int(bed.name.rpartition("-")[2], 16)  # tells this container's process from all others
    bed.pod("reader", 1, script=f"{opening(bed)} echo told; exec sleep {seconds};", user=USER)
    bed.running("reader")
    before = bed.told("reader")

    bed.change({"nodeSelector": {"kubernetes.io/hostname": "nowhere"}})
    until(lambda: not bed.agents() and not bed.agent_pid(), "the agent is gone")
    on_node(NODE, f"kill -9 $(pgrep -f '[s]leep {seconds}')")

    def restarted() -> bool:
        (container,) = bed.look("reader")["status"]["containerStatuses"]
        return bool(container["restartCount"] == 1 and container["ready"])

    until(restarted, "the container was started again")
    assert bed.told("reader") == before


def test_cdi_files_go_when_the_resource_does_and_no_container_has_its_devices(bed: Bed) -> None:
    plug_for_root(bed, 0)
    before = cdi_files()
    bed.apply(bed.spec(allocation=BY_CDI))
    bed.kubelet_has(0)
    until(lambda: len(cdi_files() - before) == 1, "a file was written")
    (file,) = cdi_files() - before
    bed.change(
        {"resources": bed.spec(allocation={"cdi": {"mode": "Always"}}, source={"simulated": {"count": 1}})["resources"]}
    )
    until(lambda: file not in cdi_files(), "the file is gone", limit=90)


def test_a_shared_device_has_several_users_and_is_counted_once(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.apply(bed.spec(sharing={"replicas": 3, "maxPerContainer": 1}))
    until(lambda: bed.offered() == 3, "allocatable is 3")
    bed.pod("a", 1)
    bed.pod("b", 1)
    bed.running("a", "b")
    assert bed.told("a")[-1] == bed.told("b")[-1] == bed.device(0)
    until(lambda: len(bed.reported()[bed.device(0)].get("allocatedTo", [])) == 2, "the report names both")
    assert bed.reported()[bed.device(0)]["slots"] == {"total": 3, "used": 2}

    def summary() -> Json:
        (resource,) = bed.config()["status"]["resources"]
        return {"devices": resource["devices"]["total"], "slots": resource["slots"]}

    wanted = {"devices": 1, "slots": {"total": 3, "used": 2}}
    until(lambda: summary() == wanted, "the config counts one device and three slots")


def test_a_pod_that_asks_for_more_than_one_container_may_have_fails_with_the_reason(bed: Bed) -> None:
    bed.plug(NODE, 0)
    bed.apply(bed.spec(sharing={"replicas": 3, "maxPerContainer": 1}))
    until(lambda: bed.offered() == 3, "allocatable is 3")
    bed.pod("greedy", 2)
    until(lambda: bed.look("greedy")["status"]["phase"] == "Failed", "the pod fails")
    status = bed.look("greedy")["status"]
    assert status["reason"] == "UnexpectedAdmissionError"
    assert "a container asks for 2, and sharing.maxPerContainer is 1" in status["message"]
