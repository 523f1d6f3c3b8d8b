"""Pods that get GPUs in both ways at once, and device nodes by the kubelet: those of MIG capabilities too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, on_node
from nvml_double.machines import gpu_uuid, mixed
from recorded.gpus import Machine, capabilities

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# Not the node of the other tests with GPUs: their agents' claims last longer than they do.
(_, NODE) = WORKERS

WHOLE = gpu_uuid(1, 5)
SLICED = mixed().cards[7]
TWO_SLICES = SLICED.instances[1]
COMMON = {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[None]:
    """Eight GPUs, two of them in MIG mode, with a capability device for each part of their instances."""
    made = Machine(tmp_path, mixed())
    made.capabilities()
    with recorded.made(NODE, made.sys, made.dev, made.root / "proc", made.library()):
        yield
    on_node(NODE, "rmdir /dev/nvidia-caps")


@pytest.fixture
def cdi_file(bed: Bed) -> Iterator[str]:
    """The name of a CDI spec on the node."""
    file = f"/etc/cdi/{bed.name}.json"
    yield file
    on_node(NODE, f"rm -f {file}")


def nodes_of(told: list[str]) -> set[str]:
    """The driver's device nodes that a pod listed."""
    return {line for line in told if line.startswith("nvidia")}


def values(told: list[str]) -> dict[str, str]:
    """The variables that a pod listed."""
    return dict(line.split("=", 1) for line in told if "=" in line)


SHOW = "env | grep -e ^NVIDIA_VISIBLE -e ^FROM_CDI; cd /dev; ls -d nvidia* | grep -v caps; ls -d nvidia-caps/*;"


def test_a_pod_gets_a_gpu_by_environment_and_by_cdi_at_once(bed: Bed, machine: None, cdi_file: str) -> None:
    bed.apply(bed.spec({"kubernetes.io/hostname": NODE}, source={"nvidia": {"deviceList": "Both", "uuids": [WHOLE]}}))
    until(lambda: bed.reported(NODE)[WHOLE]["reason"] == "CdiSpecMissing", "what it lacks for CDI is told", limit=120)
    assert bed.offered(NODE) == 0
    recorded.cdi_spec(NODE, cdi_file, {WHOLE: ["/dev/nvidia5", "/dev/nvidiactl"], gpu_uuid(1, 4): ["/dev/nvidia4"]})
    until(lambda: bed.offered(NODE) == 1, "it is allocatable")
    bed.pod("both", 1, node=NODE, script=SHOW)
    bed.running("both")
    told = bed.told("both")
    assert values(told)["NVIDIA_VISIBLE_DEVICES"] == WHOLE
    assert values(told)["FROM_CDI"] == WHOLE
    assert nodes_of(told) == {"nvidia5", "nvidiactl"}, "those that the CDI spec names, and no other GPU's"


def test_a_pod_with_a_mig_instance_gets_its_capability_nodes_and_no_others(bed: Bed, machine: None) -> None:
    mig = {"mode": "Mixed", "profiles": ["2g.10gb"]}
    bed.apply(bed.spec({"kubernetes.io/hostname": NODE}, source={"nvidia": {"mig": mig, "deviceNodes": True}}))
    until(lambda: bed.reported(NODE).keys() == {TWO_SLICES.uuid}, "the instance is told", limit=120)
    until(lambda: bed.offered(NODE) == 1, "it is allocatable")
    bed.pod("infer", 1, node=NODE, script=SHOW)
    bed.running("infer")
    told = bed.told("infer")
    caps = {f"nvidia-caps/nvidia-cap{number}" for number in capabilities(SLICED, TWO_SLICES)}
    assert values(told)["NVIDIA_VISIBLE_DEVICES"] == TWO_SLICES.uuid
    assert nodes_of(told) == COMMON | {f"nvidia{SLICED.minor}"} | caps
