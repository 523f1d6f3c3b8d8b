"""The agents' directory on a node's disk, read-only or full: what was served is served on, by the next agent too."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, WORKERS, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODE = WORKERS[0]
STATE = "/var/lib/deviceplugins.dev"


@dataclass(frozen=True)
class Trouble:
    """What happens to the disk, how it passes, and the kernel's words for it."""

    begin: str
    end: str
    words: str


# The file system and not this mount of it: else those that containers have of it by then would stay so.
READ_ONLY = Trouble(
    f"mount -o remount,ro {STATE} && mount -o remount,bind,rw {STATE}",
    f"mount -o remount,rw {STATE}",
    "Read-only file system",
)
FULL = Trouble(f"! cat /dev/zero >{STATE}/filler 2>&1", f"rm {STATE}/filler", "No space left on device")


@contextmanager
def small_disk() -> Iterator[None]:
    """In the directory's place, with all that is in it. Agents that run already keep the real one."""
    copy = "/run/copy-of-state"
    on_node(
        NODE,
        f"rm -rf {copy} && cp -a {STATE} {copy} && mount -t tmpfs -o size=1m,mode=0755 tmpfs {STATE} && "
        f"cp -a {copy}/. {STATE}/",
    )
    try:
        yield
    finally:
        on_node(NODE, f"while mountpoint -q {STATE}; do umount -l {STATE}; done; rm -rf {copy}")


def replace_agent(bed: Bed) -> None:
    """End the agent and wait for the next one's process."""
    old = bed.agent()["metadata"]
    bed.client.delete("v1", "Pod", old["name"], namespace=AGENTS)

    def runs() -> bool:
        now = bed.agent()
        states = now.get("status", {}).get("containerStatuses", [])
        return bool(
            now["metadata"]["uid"] != old["uid"] and states and all("running" in each["state"] for each in states)
        )

    until(runs, "another agent runs", limit=90)


def dropped(bed: Bed) -> str:
    """What the selection left out, and why."""
    steps = (step for resource in bed.report()["status"]["resources"] for step in resource["candidates"])
    return "; ".join(line for step in steps for line in step.get("dropped", []))


@pytest.mark.parametrize("trouble", [READ_ONLY, FULL], ids=["read-only", "full"])
def test_devices_are_served_on_by_an_agent_that_cannot_write_and_new_ones_once_it_can(
    bed: Bed, trouble: Trouble
) -> None:
    bed.plug(NODE, 0, 1)
    bed.apply()
    bed.kubelet_has(0, 1)
    until(lambda: bed.offered() == 2, "allocatable is 2")
    with small_disk():
        replace_agent(bed)
        bed.kubelet_has(0, 1)
        # As long as an agent is just writing, the kernel lets nobody make it read-only.
        until(
            lambda: on_node(NODE, f"({trouble.begin}) && echo done || true").endswith("done\n"),
            "the disk is in trouble",
        )
        replace_agent(bed)
        until(lambda: any(trouble.words in line for line in bed.agent_log()), "the log says so")
        bed.kubelet_has(0, 1)
        bed.pod("user", 1)
        bed.running("user")
        bed.plug(NODE, 2)
        until(lambda: trouble.words in dropped(bed), "the report says why the new one is not offered")
        assert bed.views[NODE].allocatable(bed.resource) == {bed.device(0), bed.device(1)}
        on_node(NODE, trouble.end)
        bed.kubelet_has(0, 1, 2)
        until(lambda: trouble.words not in dropped(bed), "the report is content again")
    bed.settled()
