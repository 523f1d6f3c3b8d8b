"""What a node may throw at an agent, on a real kubelet, and nothing comes of it."""

import re
import time

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import GROUP, WORKERS, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODE = WORKERS[0]
PLUGINS = "/var/lib/kubelet/device-plugins"

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
    return all(each["restartCount"] == 0 for each in bed.agent()["status"]["containerStatuses"])


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
    bed.pod("after", 1, node=NODE)
    bed.running("after")
    held = bed.views[NODE].holders(bed.resource)
    assert held[mine] == [f"{bed.name}/user/c0"]
    assert all(len(holders) == 1 for holders in held.values())
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
