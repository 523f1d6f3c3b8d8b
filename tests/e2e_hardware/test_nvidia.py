"""GPUs of a made machine, and a double of their driver's library in the agents' image: real kubelets and pods."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from apiserver_fixture.client import Client
from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import WORKERS, on_node
from nvml_double.machines import gpu_uuid, mig_uuid, mixed
from recorded.gpus import Machine, address

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

GPUS, NONE = WORKERS
UUIDS = [gpu_uuid(0, number) for number in range(6)]
"""Whole ones."""

BY_CDI = UUIDS[5]
OTHERS = [address(each) for each in mixed(0).cards[:5]]
"""These are handed out by environment."""

ONE_SLICE = {mig_uuid(0, 6, number) for number in range(7)} | {mig_uuid(0, 7, 2)}
TWO_SLICES = mig_uuid(0, 7, 1)
"""Instances of GPUs in MIG mode."""


CLEAN_PERIOD, CLEAN_PERIODS = 5, 2


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[None]:
    """Eight GPUs in one node, two of them in MIG mode."""
    made = Machine(tmp_path, mixed(0))
    with recorded.made(GPUS, made.sys, made.dev, made.root / "proc", made.library()):
        yield


@pytest.fixture
def runtime_class(cluster: Client, bed: Bed) -> Iterator[str]:
    """A runtime class that changes nothing."""
    kind = "node.k8s.io/v1", "RuntimeClass"
    cluster.create({"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": bed.name}, "handler": "runc"})
    yield bed.name
    cluster.delete(*kind, bed.name)


@pytest.fixture
def cdi_file(bed: Bed) -> Iterator[str]:
    """The name of a CDI spec on the node with GPUs."""
    file = f"/etc/cdi/{bed.name}.json"
    yield file
    on_node(GPUS, f"rm -f {file}")


def test_gpus_are_handed_out_in_both_ways_and_one_with_an_error_is_told_and_comes_back(
    bed: Bed, machine: None, runtime_class: str, cdi_file: str
) -> None:
    by_cdi = f"{bed.resource}-cdi"
    bed.apply(
        {
            "agent": {"runtimeClassName": runtime_class},
            "resources": [
                {"name": by_cdi, "source": {"nvidia": {"deviceList": "CDI", "uuids": [BY_CDI]}}},
                {
                    "name": bed.resource,
                    "source": {"nvidia": {"pciAddresses": OTHERS, "deviceNodes": True}},
                    "health": {"periodSeconds": 10, "successThreshold": 1},
                },
            ],
        }
    )
    # The claims of a config that had them before are kept for half a minute.
    until(lambda: sorted(bed.reported(GPUS)) == UUIDS[:5], "five GPUs are told", limit=120)
    assert {agent["spec"]["runtimeClassName"] for agent in bed.agents()} == {runtime_class}
    until(lambda: bed.reported(GPUS, by_cdi)[BY_CDI]["reason"] == "CdiSpecMissing", "and what the sixth lacks")
    broken = two_by_environment(bed)
    one_by_cdi(bed, by_cdi, cdi_file)

    recorded.adds(GPUS, "xids", f"{broken} 31", f"{broken} 79")
    until(lambda: bed.reported(GPUS)[UUIDS[broken]]["reason"] == "Xid79", "the error is told by its number")
    message = f"/dev/nvidia{broken}: Xid 79 (it has fallen off the bus)"
    until(
        lambda: [each["message"] for each in bed.config()["status"].get("problems", [])] == [message],
        "the config tells it too",
    )
    until(lambda: bed.reported(GPUS)[UUIDS[broken]]["state"] == "Healthy", "it is over after a period without another")


def two_by_environment(bed: Bed) -> int:
    """A pod has two GPUs, and their nodes; the number of one of them."""
    until(lambda: bed.offered(GPUS) == 5, "five GPUs are allocatable")
    bed.pod("train", 2, node=GPUS, script="env | grep ^NVIDIA; ls /dev | grep ^nvidia;")
    bed.running("train")
    told = bed.told("train")
    (visible,) = [line.removeprefix("NVIDIA_VISIBLE_DEVICES=") for line in told if line.startswith("NVIDIA_VISIBLE")]
    numbers = [UUIDS.index(uuid) for uuid in visible.split(",")]
    assert len(numbers) == 2
    nodes = {f"nvidia{number}" for number in numbers}
    assert {line for line in told if line.startswith("nvidia")} == nodes | {
        "nvidiactl",
        "nvidia-uvm",
        "nvidia-uvm-tools",
    }
    return numbers[0]


def one_by_cdi(bed: Bed, resource: str, file: str) -> None:
    """A pod gets what the CDI spec on its node says."""
    recorded.cdi_spec(GPUS, file, {BY_CDI: []})
    until(lambda: bed.offered(GPUS, resource) == 1, "the GPU is allocatable")
    bed.pod("infer", 1, node=GPUS, resource=resource, script="env | grep -e ^NVIDIA -e ^FROM_CDI | sort;")
    bed.running("infer")
    assert bed.told("infer")[-2:] == [f"FROM_CDI={BY_CDI}", "NVIDIA_VISIBLE_DEVICES=void"]


def test_an_error_of_a_mig_instance_is_told_of_it_alone_and_over_after_clean_periods(bed: Bed, machine: None) -> None:
    one, two = f"{bed.resource}-1g", f"{bed.resource}-2g"
    profiles = {one: "1g.5gb", two: "2g.10gb"}
    bed.apply(
        {
            "nodeSelector": {"kubernetes.io/hostname": GPUS},
            "resources": [
                {
                    "name": name,
                    "source": {"nvidia": {"mig": {"mode": "Mixed", "profiles": [profile]}}},
                    "health": {"periodSeconds": CLEAN_PERIOD, "successThreshold": CLEAN_PERIODS},
                }
                for name, profile in profiles.items()
            ],
        }
    )
    whole = {one: ONE_SLICE, two: {TWO_SLICES}}
    until(lambda: {name: bed.offered(GPUS, name) for name in whole} == {one: 8, two: 1}, "both are allocatable", 120)
    until(lambda: {name: set(bed.reported(GPUS, name)) for name in whole} == whole, "each is in its profile's resource")
    (agent,) = bed.agent(GPUS)["spec"]["containers"]
    assert agent["securityContext"]["capabilities"]["add"] == ["SYS_ADMIN"], "the operator's setting allows it"
    bed.pod("infer", 1, node=GPUS, resource=two, script="env | grep ^NVIDIA_VISIBLE;")
    bed.running("infer")
    assert bed.told("infer")[-1] == f"NVIDIA_VISIBLE_DEVICES={TWO_SLICES}"

    def since(state: str, reason: str, *devices: str) -> datetime | None:
        """When the last of these became so; None while they are not, or others are not Healthy."""
        report = [each for name in whole for each in bed.reported(GPUS, name).values()]
        so = [each for each in report if (each["state"], each["reason"]) == (state, reason)]
        others = [each for each in report if each not in so]
        if {each["id"] for each in so} != {*devices} or any(each["state"] != "Healthy" for each in others):
            return None
        return max(datetime.fromisoformat(each["lastTransitionTime"]) for each in so)

    card = mixed(0).cards[7]
    broken = card.instances[2]
    recorded.adds(GPUS, "xids", f"{card.minor} 94 {broken.gpu_instance}")
    told = until(lambda: since("Unhealthy", "Xid94", broken.uuid), "the error is told of its instance and of no other")
    over = until(lambda: since("Healthy", "Works", *ONE_SLICE, TWO_SLICES), "it is over")
    assert told is not None
    assert over is not None
    # Both are whole seconds.
    assert over - told >= timedelta(seconds=CLEAN_PERIOD * CLEAN_PERIODS - 1)


def test_a_node_without_gpus_says_why_it_has_none(bed: Bed) -> None:
    bed.apply(bed.spec({"kubernetes.io/hostname": NONE}, source={"nvidia": {}}))
    bed.settled("NoDevicesFound")
    ((step, *_),) = [each["candidates"] for each in bed.report(NONE)["status"]["resources"]]
    assert step == {"step": "GPUs by /proc/driver/nvidia (NVML: NVML Shared Library Not Found)", "kept": 0}
