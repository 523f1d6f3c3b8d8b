"""A made-up device that a daemon on its node looks after, and whose driver says in sysfs how it is."""

import shlex
import time

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NODE = WORKERS[0]
MAX_AGE, PERIOD, FAILURES = 3, 1, 2
SLACK = 5
"""Seconds that a busy machine may take to tell."""


class Meter:
    """Its daemon touches a file; the alias of a network device stands for what its driver says."""

    def __init__(self, bed: Bed) -> None:
        self.directory = f"/run/deviceplugins.dev/{bed.name}"
        self.driver = f"m{bed.name.rpartition('-')[2]}"
        self._beat = f"{self.directory}/{bed.device(0)}"
        on_node(NODE, f"mkdir -p {self.directory}; ip link add {self.driver} type veth peer name {self.driver}p")
        self.says("ok")

    @property
    def attribute(self) -> str:
        return f"/sys/class/net/{self.driver}/ifalias"

    def start(self) -> None:
        loop = f"while :; do touch {self._beat}; sleep 0.2; done"
        on_node(NODE, f"setsid sh -c {shlex.quote(loop)} </dev/null >/dev/null 2>&1 &")

    def kill(self) -> None:
        on_node(NODE, f"pkill -9 -f '[t]ouch {self._beat}' || true")

    def says(self, state: str) -> None:
        on_node(NODE, f"ip link set {self.driver} alias {state}")

    def end(self) -> None:
        self.kill()
        on_node(NODE, f"rm -rf {self.directory}; ip link delete {self.driver}")


def test_when_its_daemon_dies_it_is_unhealthy_within_the_threshold_and_well_again_with_the_next_one(bed: Bed) -> None:
    meter = Meter(bed)
    try:
        meter.start()
        bed.plug(NODE, 0)
        probes = [
            {"type": "Exists"},
            {"type": "HeartbeatFile", "name": f"{bed.name}/$(DEVICE_ID)", "maxAgeSeconds": MAX_AGE},
            {"type": "SysfsAttribute", "path": meter.attribute, "equals": ["ok", "idle"]},
        ]
        health = {"periodSeconds": PERIOD, "failureThreshold": FAILURES, "successThreshold": 1, "probes": probes}
        bed.apply(bed.spec(health=health))
        bed.kubelet_has(0)
        bed.pod("user", 1)
        bed.running("user")
        check = bed.undisturbed("user")

        def reason() -> str:
            return str(bed.reported()[bed.device(0)]["reason"])

        meter.kill()
        died = time.monotonic()
        limit = MAX_AGE + FAILURES * PERIOD + SLACK
        until(lambda: reason() == "HeartbeatMissing", "that its daemon is dead is told", limit=limit)
        bed.times.seconds(f"daemon dead → the report (after {MAX_AGE} s and {FAILURES} looks)", time.monotonic() - died)
        bed.kubelet_has()
        check()
        meter.start()
        bed.kubelet_has(0)
        until(lambda: reason() == "Works", "that the next daemon looks after it is told")

        meter.says("overheated")
        until(lambda: reason() == "AttributeBad", "what its driver says is told", limit=FAILURES * PERIOD + SLACK)
        assert bed.reported()[bed.device(0)]["message"] == f"{meter.attribute} is 'overheated', not ok or idle"
        meter.says("idle")
        bed.kubelet_has(0)
        check()
    finally:
        meter.end()
