"""An agent that hangs: its process is there and does nothing, as one that a driver has caught in the kernel."""

from collections.abc import Iterator
from contextlib import contextmanager

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, on_node

NODE = WORKERS[0]


@contextmanager
def frozen(bed: Bed) -> Iterator[None]:
    """The agent's process stands still, and so does each that the kubelet starts in its place."""
    go_on = f"/run/{bed.name}-goes-on"
    each = f"pgrep -f '[-]-config-name={bed.name}' | xargs -r kill"
    stop = f"for _ in $(seq 1200); do [ ! -e {go_on} ] || break; {each} -STOP; sleep 0.1; done; {each} -CONT"
    on_node(NODE, f"({stop}) >/dev/null 2>&1 &")
    try:
        until(lambda: set(_states(bed)) == {"T"}, "its process stands still")
        yield
    finally:
        on_node(NODE, f"touch {go_on}")
        until(lambda: "T" not in _states(bed), "its process goes on")
        on_node(NODE, f"rm {go_on}")


def nudge(bed: Bed) -> None:
    """Let a frozen agent go on for two moments, less together than it mostly takes to answer a call."""
    moment = "kill -CONT $p; i=0; while [ $i -lt 200 ]; do i=$((i + 1)); done; kill -STOP $p; sleep 0.02"
    on_node(NODE, f"p=$(pgrep -f '[-]-config-name={bed.name}'); for _ in 1 2; do {moment}; done")


def _states(bed: Bed) -> list[str]:
    """What the agent's processes do, a letter each: T stands still."""
    each = f"for p in $(pgrep -f '[-]-config-name={bed.name}'); do cut -d ' ' -f 3 /proc/$p/stat || true; done"
    return on_node(NODE, each).split()
