"""Kubelets, agents and the API server fail; pods and the truth survive."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, CONTROL_PLANE, WORKERS, on_node, reachable

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODE = WORKERS[0]
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


def with_a_pod(bed: Bed) -> str:
    """Two devices, and a pod that has one of them; its ID."""
    bed.plug(NODE, 0, 1)
    bed.apply()
    bed.kubelet_has(0, 1)
    until(lambda: bed.offered() == 2, "allocatable is 2")
    bed.pod("user", 1)
    bed.running("user")
    device = bed.told("user")[2]
    until(lambda: "allocatedTo" in bed.reported()[device], "the report names the pod")
    return device


def same_as_before(bed: Bed, device: str) -> None:
    """The kubelet has both devices, and the pod has the one it had."""
    bed.kubelet_has(0, 1)
    assert bed.views[NODE].holders(bed.resource) == {device: [f"{bed.name}/user/c0"]}
    until(lambda: "allocatedTo" in bed.reported()[device], "the report names the pod again")
    bed.settled()


def controllers_lead(bed: Bed) -> None:
    """Wait until Kubernetes' own controllers have their leases back: without a server they give up and start anew."""
    names = ("kube-controller-manager", "kube-scheduler")

    def renewed() -> list[str]:
        leases = [bed.client.get("coordination.k8s.io/v1", "Lease", name, namespace="kube-system") for name in names]
        return [str(lease["spec"]["renewTime"]) for lease in leases]

    before = until(renewed, "the leases can be read")
    until(
        lambda: all(new != old for new, old in zip(renewed(), before, strict=True)),
        "the controllers renew their leases",
        limit=150,
        every=0.5,
    )


def test_a_deleted_agent_pod_comes_back_to_the_same_pods_and_ids(bed: Bed) -> None:
    device = with_a_pod(bed)
    check = bed.undisturbed("user")
    old = bed.agent()["metadata"]
    bed.client.delete("v1", "Pod", old["name"], namespace=AGENTS)
    until(lambda: bed.agents() and bed.agent()["metadata"]["uid"] != old["uid"], "another agent pod")
    until(lambda: bed.agent()["status"]["containerStatuses"][0]["ready"], "it is ready")
    same_as_before(bed, device)
    check()


def test_a_killed_agent_comes_back_to_the_same_pods_and_ids_and_leaves_no_socket_behind(bed: Bed) -> None:
    device = with_a_pod(bed)
    check = bed.undisturbed("user")
    before = set(on_node(NODE, "ls /var/lib/kubelet/device-plugins").split())
    on_node(NODE, f"kill -9 {bed.agent_pid()}")
    until(
        lambda: (
            bed.agent()["status"]["containerStatuses"][0]["restartCount"] == 1
            and bed.agent()["status"]["containerStatuses"][0]["ready"]
        ),
        "the agent was restarted and is ready",
    )
    same_as_before(bed, device)
    check()
    after = set(on_node(NODE, "ls /var/lib/kubelet/device-plugins").split())
    assert len(after) == len(before), f"{before} became {after}"


def test_a_restarted_kubelet_has_everything_back_before_anybody_notices(bed: Bed) -> None:
    device = with_a_pod(bed)
    check = bed.undisturbed("user")
    on_node(NODE, "systemctl restart kubelet")
    shown: set[int] = set()

    def watched() -> bool:
        shown.add(bed.offered())
        return registered_at() > socket_at()

    def socket_at() -> float:
        # %.Z: ctime with its fraction; the socket is made once by each kubelet process.
        return float(on_node(NODE, "stat -c %.Z /var/lib/kubelet/device-plugins/kubelet.sock"))

    def registered_at() -> float:
        lines = [line for line in bed.agent_log() if '"msg": "Registered"' in line]
        return float(lines[-1].partition('"ts": ')[2].partition(",")[0])

    until(watched, "the agent registered with the new kubelet", every=0.2)
    bed.times.seconds("kubelet.sock back → registered", registered_at() - socket_at())
    tick = time.monotonic() + 11  # the kubelet writes its node status every 10 s

    def a_tick_later() -> bool:
        shown.add(bed.offered())
        return time.monotonic() > tick

    until(a_tick_later, "one status of the node later", every=0.1)
    bed.times.add("Node.allocatable was 0 after a kubelet restart", "once" if 0 in shown else "never")
    same_as_before(bed, device)
    check()


@contextmanager
def frozen(bed: Bed) -> Iterator[None]:
    """The agent's process stands still, and so does each that the kubelet starts in its place."""
    go_on = f"/run/{bed.name}-goes-on"
    each = f"pgrep -f '[-]-config-name={bed.name}' | xargs -r kill"
    stop = f"for _ in $(seq 1200); do [ ! -e {go_on} ] || break; {each} -STOP; sleep 0.1; done; {each} -CONT"
    on_node(NODE, f"({stop}) >/dev/null 2>&1 &")
    try:
        yield
    finally:
        on_node(NODE, f"touch {go_on}")
        until(lambda: "T" not in states(bed), "its process goes on")
        on_node(NODE, f"rm {go_on}")


def states(bed: Bed) -> str:
    """What the agent's processes do, a letter each: T stands still."""
    return on_node(NODE, f"for p in $(pgrep -f '[-]-config-name={bed.name}'); do cut -d ' ' -f 3 /proc/$p/stat; done")


def test_the_devices_of_an_agent_that_hangs_are_unknown_within_45_s_and_since_when_and_known_again_when_it_goes_on(
    bed: Bed,
) -> None:
    device = with_a_pod(bed)
    bed.settled()
    check = bed.undisturbed("user")

    def counts() -> tuple[int, int]:
        devices = bed.config()["status"]["devices"]
        return devices["healthy"], devices["unknown"]

    begun = time.time()
    with frozen(bed):
        until(lambda: counts() == (0, 2), "both devices are unknown", limit=80)
        took = time.time() - begun
        (problem,) = bed.config()["status"]["problems"]
        assert bed.reason() == "AgentsUnavailable"
    bed.times.seconds("agent hangs → its devices are unknown", took)
    assert (problem["node"], problem["state"]) == (NODE, "Unknown")
    assert begun - 1 <= datetime.fromisoformat(problem["since"]).timestamp() <= begun + took
    assert took <= 45
    until(lambda: counts() == (2, 0), "both are known again", limit=90)
    same_as_before(bed, device)
    check()


def test_without_an_api_server_devices_are_served_and_the_status_catches_up(bed: Bed) -> None:
    device = with_a_pod(bed)
    on_node(CONTROL_PLANE, f"mv {MANIFEST} /root/")
    try:
        until(lambda: not reachable(bed.client), "the API server is gone", every=0.2)
        gone = time.monotonic()
        pid = bed.agent_pid()
        on_node(NODE, f"kill -9 {pid}")
        until(lambda: bed.agent_pid() not in ("", pid), "the agent's container was restarted", every=0.5)
        bed.kubelet_has(0, 1)
        bed.plug(NODE, 2)
        bed.kubelet_has(0, 1, 2)
        assert bed.views[NODE].holders(bed.resource) == {device: [f"{bed.name}/user/c0"]}
        # The outage lasts a minute, whatever was shown before it is over.
        until(lambda: time.monotonic() - gone > 60, "a minute has passed", limit=70, every=0.5)
        bed.kubelet_has(0, 1, 2)
    finally:
        on_node(CONTROL_PLANE, f"mv /root/kube-apiserver.yaml {MANIFEST}")
        until(lambda: reachable(bed.client), "the API server is back", limit=120, every=0.5)
        controllers_lead(bed)
    until(lambda: len(bed.reported()) == 3, "the report names the third device")
    until(lambda: bed.reason() == "AllNodesReady", "the config is ready again", limit=90)
    until(lambda: bed.config()["status"]["devices"]["total"] == 3, "the config counts the third device")
    assert bed.look("user")["status"]["phase"] == "Running"
