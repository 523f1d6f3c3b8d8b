"""Kubelets, agents and the API server fail; pods and the truth survive."""

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, CONTROL_PLANE, WORKERS, on_node, reachable
from e2e_bed.frozen import frozen

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODE = WORKERS[0]
MANIFESTS = "/etc/kubernetes/manifests"
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
"""Without a server they would end and be started anew, ever more slowly: for up to a minute after it is back."""

STATE = "/var/lib/deviceplugins.dev"

TICK = 3.0
"""Seconds. By hack/kubelets.sh the kubelet writes its node's status every second."""


def with_a_pod(bed: Bed, **resource: Any) -> str:
    """Two devices, and a pod that has one of them; its ID. `resource` is more to say in the config."""
    bed.plug(NODE, 0, 1)
    bed.apply(bed.spec(**resource))
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


def restarted(bed: Bed) -> None:
    """Wait until the agent's container was started a second time and is ready."""

    def ready() -> bool:
        (container,) = bed.agent()["status"]["containerStatuses"]
        return bool(container["restartCount"] == 1 and container["ready"])

    until(ready, "the agent was restarted and is ready")


def registered_at(bed: Bed) -> float:
    """When the agent's process last registered, as Unix time; IndexError before that."""
    lines = [line for line in bed.agent_log() if '"msg": "Registered"' in line]
    return float(json.loads(lines[-1])["ts"])


def offered_until(bed: Bed, registered: Callable[[], bool]) -> dict[float, int]:
    """What Node.allocatable said until one status of the node after the agent has registered, by Unix time."""
    shown: dict[float, int] = {}

    def look(whether: Callable[[], bool]) -> bool:
        shown[time.time()] = bed.offered()
        return whether()

    until(lambda: look(registered), "the agent registered", every=0.1)
    tick = time.monotonic() + TICK
    until(lambda: look(lambda: time.monotonic() > tick), "one status of the node later", every=0.1)
    return shown


def take_away(*names: str) -> None:
    """End these parts of the control plane."""
    on_node(CONTROL_PLANE, "; ".join(f"mv {MANIFESTS}/{name}.yaml /root/" for name in names))


def put_back(*names: str) -> None:
    """Have the kubelet start them; those that are there are left alone."""
    on_node(CONTROL_PLANE, "; ".join(f"mv /root/{name}.yaml {MANIFESTS}/ 2>/dev/null || true" for name in names))


def control_plane_is_back(bed: Bed) -> None:
    """Start everything and wait until it works, as later tests need it."""
    put_back("kube-apiserver")
    until(lambda: reachable(bed.client), "the API server is back", limit=120, every=0.5)
    for name in CONTROLLERS:
        # Whoever held it has ended: nobody has to wait until it runs out.
        bed.client.delete("coordination.k8s.io/v1", "Lease", name, namespace="kube-system", missing_ok=True)
    put_back(*CONTROLLERS)
    for name in CONTROLLERS:
        until(partial(leads, bed, name), f"{name} works", limit=120, every=0.5)


def leads(bed: Bed, name: str) -> bool:
    """Whether somebody does that work."""
    lease = bed.client.get("coordination.k8s.io/v1", "Lease", name, namespace="kube-system")
    return bool(lease["spec"]["holderIdentity"])


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
    restarted(bed)
    same_as_before(bed, device)
    check()
    after = set(on_node(NODE, "ls /var/lib/kubelet/device-plugins").split())
    assert len(after) == len(before), f"{before} became {after}"


def test_a_restarted_kubelet_has_everything_back_before_anybody_notices(bed: Bed) -> None:
    device = with_a_pod(bed)
    check = bed.undisturbed("user")
    on_node(NODE, "systemctl restart kubelet")

    def socket_at() -> float:
        # %.Z: ctime with its fraction; the socket is made once by each kubelet process.
        return float(on_node(NODE, "stat -c %.Z /var/lib/kubelet/device-plugins/kubelet.sock"))

    shown = offered_until(bed, lambda: registered_at(bed) > socket_at())
    bed.times.seconds("kubelet.sock back → registered", registered_at(bed) - socket_at())
    bed.times.add("Node.allocatable was 0 after a kubelet restart", "once" if 0 in shown.values() else "never")
    same_as_before(bed, device)
    check()


def written(bed: Bed) -> str:
    """A script that shows what the agent wrote on its node: sums of its CDI files and saved spec, then the ledger."""
    uid = bed.config()["metadata"]["uid"]
    return f"sha256sum {STATE}/{uid}/* $(grep -l {bed.name} /var/run/cdi/*); echo +; cat {STATE}/claims/ledger.json"


def own(bed: Bed, shown: str) -> tuple[str, Any]:
    """Of that, the sums, and what the config owns: the other pages of the ledger are other agents'."""
    sums, ledger = shown.split("+\n")
    return sums, json.loads(ledger)[bed.config()["metadata"]["uid"]]["claims"]


def test_an_agent_told_to_end_is_gone_within_2_s_and_all_that_it_wrote_is_there_for_the_next(bed: Bed) -> None:
    device = with_a_pod(bed, allocation={"cdi": {"mode": "Always"}})
    bed.settled()
    check = bed.undisturbed("user")
    pid, see = bed.agent_pid(), written(bed)
    # In one go: after it the next process may write.
    told = on_node(
        NODE,
        f"{see}; echo =; date +%s.%N; kill -TERM {pid}; while [ -e /proc/{pid} ]; do sleep 0.01; done; "
        f"date +%s.%N; echo =; {see}",
    )
    before, times, after = told.split("=\n")
    begun, ended = map(float, times.split())
    bed.times.seconds("SIGTERM → the agent is gone", ended - begun)
    assert ended - begun < 2
    assert own(bed, after) == own(bed, before)
    assert "/var/run/cdi/" in before
    assert "desired.json" in before
    assert device in before

    shown = offered_until(bed, lambda: registered_at(bed) > ended)
    (*_, last) = shown.values()
    assert last == 2, "no longer than the next process needs, and a status of the node"
    fewer = [at for at, count in shown.items() if count < 2]
    bed.times.add("SIGTERM → last seen with too few allocatable", f"{fewer[-1] - begun:.1f} s" if fewer else "never")
    restarted(bed)
    same_as_before(bed, device)
    check()
    (container,) = bed.agent()["status"]["containerStatuses"]
    assert container["lastState"]["terminated"]["exitCode"] == 0
    assert own(bed, on_node(NODE, see)) == own(bed, before)


def test_an_agent_that_hangs_is_started_anew_and_its_devices_are_unknown_within_45_s_and_known_when_it_goes_on(
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
        until(lambda: bed.restarts() > 0, "the kubelet starts its container anew", every=0.5)
        bed.times.seconds("agent hangs → its container is started anew", time.time() - begun)
    bed.times.seconds("agent hangs → its devices are unknown", took)
    assert (problem["node"], problem["state"]) == (NODE, "Unknown")
    assert begun - 1 <= datetime.fromisoformat(problem["since"]).timestamp() <= begun + took
    assert took <= 45
    until(lambda: counts() == (2, 0), "both are known again", limit=90)
    same_as_before(bed, device)
    check()


def test_without_an_api_server_devices_are_served_and_the_status_catches_up(bed: Bed) -> None:
    device = with_a_pod(bed)
    try:
        take_away(*CONTROLLERS, "kube-apiserver")
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
        control_plane_is_back(bed)
    until(lambda: len(bed.reported()) == 3, "the report names the third device")
    until(lambda: bed.reason() == "AllNodesReady", "the config is ready again", limit=90)
    until(lambda: bed.config()["status"]["devices"]["total"] == 3, "the config counts the third device")
    assert bed.look("user")["status"]["phase"] == "Running"
