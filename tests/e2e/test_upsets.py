"""What a node may throw at an agent, on a real kubelet, and nothing comes of it."""

import re
import time

import pytest

from apiserver_fixture.client import ApiError
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import GROUP, WORKERS, kubectl, on_node
from e2e_bed.frozen import frozen, nudge

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODE = WORKERS[0]
PLUGINS = "/var/lib/kubelet/device-plugins"

PREFERRED, ALLOCATE = "getPreferredAllocation", "allocate"
"""What the kubelet's source calls the two calls by which a container gets devices, in their order."""

TURNS = 5

HOSTILE = ("a space", "a$(reboot)", "a;reboot", "a'quote", "ünïcode", "a\nline", "x" * 200)
"""Ends of file names."""


def with_a_pod(bed: Bed, devices: int) -> None:
    """So many devices, and a pod that has one of them."""
    bed.plug(NODE, *range(devices))
    bed.apply()
    bed.kubelet_has(*range(devices))
    until(lambda: bed.offered() == devices, f"allocatable is {devices}")
    bed.pod("user", 1)
    bed.running("user")


def registrations(bed: Bed) -> int:
    """How often the kubelet was asked to take this test's resource."""
    journal = on_node(NODE, f"journalctl -u kubelet --no-pager | grep 'Got registration' | grep {bed.resource} || true")
    return len(journal.splitlines())


def never_restarted(bed: Bed) -> bool:
    """Whether the agent is still its first process."""
    return bed.restarts() == 0


def goes_on(bed: Bed, mine: str) -> None:
    """Another pod gets a device, the first one still has its own, none has two users, and the agent never ended."""
    bed.pod("after", 1, node=NODE)
    bed.running("after")
    held = bed.views[NODE].holders(bed.resource)
    assert held[mine] == [f"{bed.name}/user/c0"]
    assert all(len(holders) == 1 for holders in held.values())
    bed.settled()
    assert never_restarted(bed)


def waiting_call() -> str:
    """The call to an agent that the kubelet has no answer to, by the stacks of its goroutines."""
    stacks = kubectl("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/debug/pprof/goroutine?debug=1")
    found = re.search(rf"devicemanager\.\(\*endpointImpl\)\.({PREFERRED}|{ALLOCATE})\+", stacks)
    return "" if found is None else found[1]


def pod_in_allocate(bed: Bed) -> str:
    """A pod for which the kubelet waits in Allocate, of a frozen agent: that has to answer the call before it."""

    def answered() -> bool:
        nudge(bed)
        return waiting_call() != PREFERRED

    for turn in range(TURNS):
        name = f"waiting{turn}"
        bed.pod(name, 1, node=NODE)
        until(lambda: waiting_call() == PREFERRED, "the kubelet asks which device it had better take")
        until(answered, "the agent has said which")
        if waiting_call() == ALLOCATE:
            return name
    raise AssertionError(f"{TURNS} times both calls were answered at once")


def refusal(bed: Bed) -> str:
    """Why the agent is not registered, as its report says."""
    conditions = bed.report()["status"]["conditions"]
    return next(str(each.get("message", "")) for each in conditions if each["type"] == "Registered")


def test_a_kubelet_restarted_50_times_while_pods_come_has_everything_back(bed: Bed) -> None:
    with_a_pod(bed, 8)
    check = bed.undisturbed("user")
    (mine,) = bed.views[NODE].holders(bed.resource)
    admitted = []
    for turn in range(50):
        if turn % 10 == 0:
            admitted.append(f"p{turn}")
            bed.pod(admitted[-1], 1, node=NODE)
        # Every second one in the middle of what the one before began.
        on_node(NODE, "systemctl restart kubelet")
        if turn % 2:
            bed.kubelet_has(*range(8))

    def phases() -> set[str]:
        return {bed.look(name)["status"]["phase"] for name in admitted}

    # A kubelet that has no devices yet fails the pods that it looks at then: its own way, whoever the plugin is.
    until(lambda: phases() <= {"Running", "Failed"}, "the kubelet has decided about every pod", limit=90)
    until(lambda: bed.offered() == 8, "allocatable is 8 again")
    goes_on(bed, mine)
    check()


def test_a_kubelet_restarted_while_an_allocate_waits_has_everything_back(bed: Bed) -> None:
    with_a_pod(bed, 2 + TURNS)
    check = bed.undisturbed("user")
    (mine,) = bed.views[NODE].holders(bed.resource)
    with frozen(bed):
        waiting = pod_in_allocate(bed)
        assert bed.look(waiting)["status"]["phase"] == "Pending"
        on_node(NODE, "systemctl restart kubelet")
        until(lambda: mine in bed.views[NODE].holders(bed.resource), "the next kubelet answers")
    bed.kubelet_has(*range(2 + TURNS))
    # One that looked at it before the agent went on fails it: the kubelet's own way, whoever the plugin is.
    until(lambda: bed.look(waiting)["status"]["phase"] in ("Running", "Failed"), "it has decided about the pod")
    until(lambda: bed.offered() == 2 + TURNS, "all are allocatable again")
    goes_on(bed, mine)
    check()


def test_a_dead_socket_and_a_plain_file_in_its_place_are_told_and_the_next_kubelet_has_everything_back(
    bed: Bed,
) -> None:
    with_a_pod(bed, 3)
    check = bed.undisturbed("user")

    def refused() -> float:
        return bed.measured("device_plugin_registration_failures_total")

    on_node(NODE, "systemctl stop kubelet")
    try:
        on_node(NODE, f"test -S {PLUGINS}/kubelet.sock")
        until(lambda: "the kubelet refused it" in refusal(bed), "the report says that registration is refused")
        with pytest.raises(ApiError, match="the kubelet refused it") as unready:
            bed.agent_says("/readyz")
        assert unready.value.status == 503
        on_node(NODE, f"cd {PLUGINS} && mv kubelet.sock aside && : > kubelet.sock")
        before = refused()
        # The first of them may have begun at the socket.
        until(lambda: refused() >= before + 2, "the agent tried to register at the plain file")
        until(lambda: "the kubelet refused it" in refusal(bed), "the report says that this is refused too")
    finally:
        # A kubelet removes a socket, and cannot start with anything else in its place.
        on_node(NODE, f"cd {PLUGINS} && mv aside kubelet.sock; systemctl start kubelet")
    bed.kubelet_has(0, 1, 2)
    until(lambda: refusal(bed) == "", "the report says that it is registered")
    until(lambda: bed.agent_says("/readyz"), "the agent is ready")
    until(lambda: bed.offered() == 3, "allocatable is 3 again")
    bed.settled()
    check()
    assert never_restarted(bed)


def test_a_wiped_plugin_directory_costs_nothing_while_the_kubelet_lives_and_heals_with_its_restart(bed: Bed) -> None:
    with_a_pod(bed, 3)
    check = bed.undisturbed("user")
    before = registrations(bed)
    on_node(NODE, f"cd {PLUGINS} && mv kubelet.sock aside && : > kubelet.sock")
    noticed = time.monotonic() + 2  # the agent looks at the socket each second
    until(lambda: time.monotonic() > noticed, "the agent has seen that there is a plain file in the socket's place")
    on_node(NODE, f"cd {PLUGINS} && mv aside kubelet.sock")
    on_node(NODE, f"find {PLUGINS} -mindepth 1 -delete")
    bed.plug(NODE, 3)
    bed.kubelet_has(0, 1, 2, 3)
    assert registrations(bed) == before, "a stream that lives is not registered again"
    on_node(NODE, "systemctl restart kubelet")
    bed.kubelet_has(0, 1, 2, 3)
    bed.settled()
    check()
    assert never_restarted(bed)


def test_devices_that_flap_lead_elsewhere_or_have_hostile_names_disturb_no_other(bed: Bed) -> None:
    with_a_pod(bed, 4)
    check = bed.undisturbed("user")
    (used,) = bed.views[NODE].holders(bed.resource)
    calm, flapping, leading = sorted({bed.device(number) for number in range(4)} - {used})
    # Ten times a second, and then so slowly that each change is seen.
    cycle = f"rm /dev/{flapping}; sleep $pause; mknod -m 666 /dev/{flapping} c 1 5; sleep $pause"
    on_node(NODE, f"for pause in $(yes 0.05 | head -n 20) 0.2 0.2 0.2 0.2; do {cycle}; done")
    on_node(NODE, f"rm /dev/{leading}; ln -s /etc/passwd /dev/{leading}")
    for ending in HOSTILE:
        quoted = f"/dev/{bed.name}-{ending}".replace("'", "'\\''")
        on_node(NODE, f"mknod -m 0666 '{quoted}' c 1 5")
    until(lambda: bed.reported()[flapping]["reason"] == "Flapping", "the report says that one flaps")
    until(lambda: bed.reported()[leading]["reason"] == "DeviceMissing", "the report says that one is missing")

    def healthy() -> set[str]:
        return {name for name, each in bed.reported().items() if each["state"] == "Healthy"}

    until(lambda: len(healthy()) > 2 and bed.views[NODE].allocatable(bed.resource) == healthy(), "both say the same")
    assert {used, calm} < healthy()
    assert not {flapping, leading} & healthy()
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}", name) for name in bed.reported())
    check()
    assert never_restarted(bed)


def test_a_report_that_somebody_deletes_is_made_anew_and_nobody_registers_again(bed: Bed) -> None:
    with_a_pod(bed, 2)
    check = bed.undisturbed("user")
    before, old = registrations(bed), bed.report()["metadata"]
    bed.client.delete(GROUP, "NodeDevicePlugin", old["name"])
    until(lambda: bed.report()["metadata"]["uid"] != old["uid"], "the operator makes another")
    until(lambda: any("allocatedTo" in each for each in bed.reported().values()), "the agent reports to it")
    bed.settled()
    bed.kubelet_has(0, 1)
    check()
    assert registrations(bed) == before
    assert never_restarted(bed)
