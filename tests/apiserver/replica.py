"""One operator in a process of its own."""

import json
import re
import sys
from pathlib import Path

from apiserver_fixture.process import Process
from device_plugin_operator.leader import LEASE


class Replica:
    """One operator process, and what its log says of its requests."""

    def __init__(self, name: str, folder: Path, kubeconfig: Path) -> None:
        self._log = folder / f"{name}.log"
        self.process = Process(
            [
                sys.executable,
                "-m",
                "device_plugin_operator",
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
