"""Pods that are told to end while their program only begins, and does not listen to signals yet."""

import time
from typing import Any

import pytest

from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, SYSTEM, WORKERS, Json, kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

GRACE = 60
"""Seconds after which the kubelet would kill it."""


def deaf(template: Json, name: str, namespace: str) -> Json:
    """A pod of a template, with a program that never gets to where it would listen."""
    (container,) = template["spec"]["containers"]
    program: dict[str, Any] = {"command": ["python3", "-c", "import time; time.sleep(600)"], "args": []}
    begins = {key: value for key, value in container.items() if not key.endswith("Probe")} | program
    placed = {"nodeName": WORKERS[0], "terminationGracePeriodSeconds": GRACE, "containers": [begins]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] | placed}


@pytest.mark.parametrize(
    ("kind", "namespace"), [("DaemonSet", AGENTS), ("Deployment", SYSTEM)], ids=["agent", "operator"]
)
def test_a_pod_that_is_told_to_end_as_it_begins_ends_at_once(bed: Bed, kind: str, namespace: str) -> None:
    bed.apply()
    bed.settled("NoDevicesFound")
    owner = "device-plugin-operator" if kind == "Deployment" else f"{bed.name}-agent"
    template = bed.client.get("apps/v1", kind, owner, namespace=namespace)["spec"]["template"]
    name = f"{bed.name}-deaf"
    bed.client.create(deaf(template, name, namespace))
    try:
        until(
            lambda: bed.client.get("v1", "Pod", name, namespace=namespace)["status"]["containerStatuses"][0]["ready"],
            "its program runs",
        )
    finally:
        told = time.monotonic()
        kubectl("delete", "pod", name, f"--namespace={namespace}", "--wait=false")
    until(lambda: bed.client.find("v1", "Pod", name, namespace=namespace) is None, "it is gone", limit=GRACE + 30)
    assert time.monotonic() - told < GRACE / 4
