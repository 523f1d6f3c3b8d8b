"""GPUs of a made machine, and a double of their driver's library in the agents' image: real kubelets and pods."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver_fixture.client import Client
from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, on_node
from nvml_double.machines import eight, gpu_uuid
from recorded.gpus import Machine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

GPUS, NONE = WORKERS


@pytest.fixture(autouse=True)
def machine(tmp_path: Path) -> Iterator[None]:
    """Eight GPUs in one node; the other has none."""
    made = Machine(tmp_path, eight())
    with recorded.made(GPUS, made.sys, made.dev, made.root / "proc", made.library()):
        yield


@pytest.fixture
def runtime_class(cluster: Client, bed: Bed) -> Iterator[str]:
    """A runtime class that changes nothing."""
    kind = "node.k8s.io/v1", "RuntimeClass"
    cluster.create({"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": bed.name}, "handler": "runc"})
    yield bed.name
    cluster.delete(*kind, bed.name)


def test_gpus_are_handed_out_by_uuid_and_one_with_an_error_is_told_and_comes_back(bed: Bed, runtime_class: str) -> None:
    gpu = bed.resource
    bed.apply(
        {
            "agent": {"runtimeClassName": runtime_class},
            "resources": [
                {
                    "name": gpu,
                    "source": {"nvidia": {"models": ["NVIDIA A100*"], "deviceNodes": True}},
                    "health": {"periodSeconds": 10, "successThreshold": 1},
                }
            ],
        }
    )
    bed.settled()
    assert {agent["spec"]["runtimeClassName"] for agent in bed.agents()} == {runtime_class}
    uuids = [gpu_uuid(0, number) for number in range(8)]
    assert sorted(bed.reported(GPUS)) == uuids
    until(lambda: bed.offered(GPUS) == 8, "eight GPUs are allocatable")

    shown = "env | grep ^NVIDIA; ls /dev | grep ^nvidia;"
    bed.pod("train", 2, node=GPUS, script=shown)
    bed.running("train")
    told = bed.told("train")
    (visible,) = [line.removeprefix("NVIDIA_VISIBLE_DEVICES=") for line in told if line.startswith("NVIDIA_VISIBLE")]
    mine = visible.split(",")
    assert len(mine) == 2 and set(mine) < set(uuids)
    nodes = {f"nvidia{uuids.index(uuid)}" for uuid in mine}
    assert {line for line in told if line.startswith("nvidia")} == {
        *nodes,
        "nvidiactl",
        "nvidia-uvm",
        "nvidia-uvm-tools",
    }

    broken = uuids.index(mine[0])
    recorded.adds(GPUS, "xids", f"{broken} 31", f"{broken} 79")
    until(lambda: bed.reported(GPUS)[mine[0]]["reason"] == "Xid79", "the error is told by its number")
    message = f"/dev/nvidia{broken}: Xid 79 (it has fallen off the bus)"
    until(
        lambda: [each["message"] for each in bed.config()["status"].get("problems", [])] == [message],
        "the config tells it too",
    )
    until(lambda: bed.reported(GPUS)[mine[0]]["state"] == "Healthy", "it is over after a period without another")


def test_by_cdi_a_pod_gets_what_the_spec_on_its_node_says(bed: Bed) -> None:
    wanted = gpu_uuid(0, 5)
    bed.apply(bed.spec({"kubernetes.io/hostname": GPUS}, source={"nvidia": {"deviceList": "CDI", "uuids": [wanted]}}))
    until(lambda: bed.reported(GPUS)[wanted]["reason"] == "CdiSpecMissing", "what is missing is told")
    spec = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [{"name": wanted, "containerEdits": {"env": [f"FROM_CDI={wanted}"]}}],
    }
    file = f"/etc/cdi/{bed.name}.json"
    on_node(GPUS, f"mkdir -p /etc/cdi; echo {shlex.quote(json.dumps(spec))} >{file}.new; mv {file}.new {file}")
    try:
        until(lambda: bed.offered(GPUS) == 1, "the GPU is allocatable")
        bed.pod("infer", 1, node=GPUS, script="env | grep -e ^NVIDIA -e ^FROM_CDI | sort;")
        bed.running("infer")
        assert bed.told("infer")[-2:] == [f"FROM_CDI={wanted}", "NVIDIA_VISIBLE_DEVICES=void"]
    finally:
        on_node(GPUS, f"rm -f {file}")


def test_a_node_without_gpus_says_why_it_has_none(bed: Bed) -> None:
    bed.apply(bed.spec({"kubernetes.io/hostname": NONE}, source={"nvidia": {}}))
    bed.settled("NoDevicesFound")
    ((step, *_),) = [each["candidates"] for each in bed.report(NONE)["status"]["resources"]]
    assert step == {"step": "GPUs by /proc/driver/nvidia (NVML: NVML Shared Library Not Found)", "kept": 0}
