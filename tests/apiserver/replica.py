"""Operators in processes of their own: one, or one that leads and one that stands by."""

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from apiserver.operator_world import World, eventually
from apiserver_fixture import Client
from apiserver_fixture.process import Process
from device_plugin_operator.leader import LEASE

TAKEOVER = 20.0
"""Seconds that a takeover may take."""

_IMPATIENT = "from device_plugin_operator import __main__, watch; watch.PATIENCE = {}; __main__.main()"


class Replica:
    """One operator process, and what its log says of its requests.

    `patience` stands in for the pauses that kopf makes between its attempts, of ten minutes in all.
    """

    def __init__(self, name: str, folder: Path, kubeconfig: Path, patience: Sequence[float] | None = None) -> None:
        self._log = folder / f"{name}.log"
        start = ["-m", "device_plugin_operator"] if patience is None else ["-c", _IMPATIENT.format(tuple(patience))]
        self.process = Process(
            [
                sys.executable,
                *start,
                "--agent-image=agent:1",
                "--http-port=0",
                "--log-level=debug",
                f"--kubeconfig={kubeconfig}",
            ],
            self._log,
        )

    def lines(self) -> list[dict[str, object]]:
        """Its log."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def said(self, message: str) -> bool:
        """Whether its log has that message."""
        return any(line["msg"] == message for line in self.lines())

    def writes(self) -> list[float]:
        """When it sent a change of anything but the Lease (Unix time): the log's line comes with the answer."""
        return [
            float(str(line["ts"])) - float(str(line["seconds"]))
            for line in self.lines()
            if line["msg"] == "Requested"
            and line["method"] != "GET"
            and LEASE not in str(line["path"])
            and not (line["method"] == "POST" and re.search("/(daemonsets|leases)$", str(line["path"])))
        ]

    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.code is not None


@contextmanager
def leader_and_next(api: Client, folder: Path, leader: Path, next_: Path) -> Iterator[tuple[Replica, Replica]]:
    """One that leads and one that stands by, by their kubeconfigs."""
    remove_lease(api)
    first = Replica("first", folder, leader)
    second = None
    try:
        eventually(lambda: first.said("Leading"), "the first leads")
        second = Replica("second", folder, next_)
        eventually(lambda: second.said("Standing by"), "the second stands by")
        yield first, second
    finally:
        first.process.stop()
        if second is not None:
            second.process.stop()
        # Who had to be killed has kept it, and the next test's operator would wait until it runs out.
        remove_lease(api)


def remove_lease(api: Client) -> None:
    """Nobody leads, and nobody has to wait."""
    api.delete("coordination.k8s.io/v1", "Lease", LEASE, namespace="device-plugin-system", missing_ok=True)


def taken_over(world: World, node: str, since: float, first: Replica, second: Replica) -> None:
    """A change that was made while nobody led reaches the status; only the second has written since it leads."""
    world.report(node, healthy=1, broken=["video7"])
    left = TAKEOVER - (time.monotonic() - since)
    eventually(lambda: world.reason() == "SomeUnhealthy", "the second took over", within=left)
    # It writes its log a moment after the API server has shown the result.
    written = eventually(second.writes, "the second wrote")
    assert max(first.writes()) < min(written)
