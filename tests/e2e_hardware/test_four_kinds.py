"""All kinds of hardware on one cluster: three nodes, each another machine; a config of each kind, and a mixed one."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from apiserver_fixture.client import Client
from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, CONTROL_PLANE, GROUP, WORKERS, Json, on_node
from e2e_bed.times import Times
from nvml_double.machines import eight, gpu_uuid
from recorded import fpga, gpus
from recorded.fpga import NLB0, NLB3, PAC

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

GPUS, FPGAS = WORKERS
CARDS = CONTROL_PLANE
"""Two network cards with seven functions each, and two USB serial adapters."""

NODES = (GPUS, FPGAS, CARDS)
DIRECTORIES = (
    "/var/lib/deviceplugins.dev",
    "/var/lib/kubelet/device-plugins",
    "/var/run/cdi",
    "/var/run/k8s.cni.cncf.io/devinfo/dp",
)
"""Where agents write."""

UUIDS = [gpu_uuid(0, number) for number in range(8)]
OTHER = "bfac4d851ee856fe8c95865ce1bbaa2d"
"""The interface of the second FPGA."""

ADAPTERS = ("0403-6001-1-0000:00:05.0-1", "0403-6001-1-0000:00:05.0-2")
FUNCTIONS = {f"0000:01:{slot}.{function}" for slot, last in ((10, 6), (11, 4)) for function in range(0, last + 1, 2)}
VFIO = "0000:41:11.4"
ITS_PORT = "/sys/devices/pci0000:40/0000:40:00.0/0000:41:00.0/net/eth1"

QUICK = {"periodSeconds": 1, "failureThreshold": 1, "successThreshold": 1}
SLOW = {"periodSeconds": 60}
"""An error of a GPU is over after some such periods."""


class Beds(NamedTuple):
    """A config of each kind, and a mixed one."""

    gpu: Bed
    fpga: Bed
    net: Bed
    usb: Bed
    mixed: Bed


class Told(NamedTuple):
    """The problems of each config: node, device, state, reason."""

    gpu: list[tuple[str, ...]]
    fpga: list[tuple[str, ...]]
    net: list[tuple[str, ...]]
    usb: list[tuple[str, ...]]
    mixed: list[tuple[str, ...]]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[fpga.Machine]:
    for name in ("gpus", "fpgas"):
        (tmp_path / name).mkdir()
    with_gpus = gpus.Machine(tmp_path / "gpus", eight())
    with_fpgas = fpga.Machine(tmp_path / "fpgas")
    with_fpgas.card(fpga.CARDS[0], interface=PAC)
    with_fpgas.card(fpga.CARDS[1], interface=OTHER, afus=(NLB0, NLB3))
    with (
        recorded.made(GPUS, with_gpus.sys, with_gpus.dev, with_gpus.root / "proc", with_gpus.library()),
        recorded.made(FPGAS, with_fpgas.sys, with_fpgas.dev),
        recorded.machine(CARDS, "sriov-igb-numa-usb"),
    ):
        yield with_fpgas


@pytest.fixture
def beds(cluster: Client, machines: fpga.Machine) -> Iterator[Beds]:
    token = secrets.token_hex(2)
    made = Beds(*(Bed(cluster, {}, Times(), f"{kind}-{token}") for kind in Beds._fields))
    yield made
    for bed in made:
        bed.end()


def resource(name: str, kind: str, source: Json, health: Json = QUICK, **more: Json) -> Json:
    return {"name": name, "source": {kind: source}, "health": health, **more}


def everywhere(*resources: Json) -> Json:
    """Agents on all three nodes."""
    return {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
        "resources": list(resources),
    }


def apply(beds: Beds) -> None:
    """The first half of each kind's devices for its own config, the others for the mixed one."""

    def gpu(first: int) -> Json:
        return {"uuids": UUIDS[first : first + 4], "deviceNodes": True}

    def adapter(number: int) -> Json:
        return {"vendorID": "0403", "serial": f"*-{number}", "subsystems": ["tty"]}

    beds.gpu.apply(everywhere(resource(beds.gpu.resource, "nvidia", gpu(0), SLOW)))
    beds.fpga.apply(everywhere(resource(beds.fpga.resource, "fpga", {"afuIDs": [NLB0], "interfaceIDs": [PAC]})))
    beds.net.apply(everywhere(resource(beds.net.resource, "network", {"pfNames": ["eth0"]})))
    by_cdi = {"cdi": {"mode": "Always"}}
    beds.usb.apply(everywhere(resource(beds.usb.resource, "usb", adapter(1), allocation=by_cdi)))
    mixed = beds.mixed.resource
    beds.mixed.apply(
        everywhere(
            resource(f"{mixed}-gpu", "nvidia", gpu(4), SLOW),
            resource(f"{mixed}-fpga", "fpga", {"mode": "Region", "interfaceIDs": [OTHER]}),
            resource(f"{mixed}-net", "network", {"drivers": ["vfio-pci"]}),
            resource(f"{mixed}-usb", "usb", adapter(2)),
        )
    )


def offered(beds: Beds) -> dict[tuple[str, str], set[str]]:
    """Resource and node → the IDs of what is healthy there."""
    found: dict[tuple[str, str], set[str]] = {}
    for bed in beds:
        for node in NODES:
            for each in bed.report(node)["status"]["resources"]:
                healthy = {device["id"] for device in each.get("devices", []) if device["state"] == "Healthy"}
                if healthy:
                    found[each["name"], node] = healthy
    return found


def test_every_device_is_offered_once_where_it_is_used_told_when_it_fails_and_gone_with_its_config(
    beds: Beds, machines: fpga.Machine, cluster: Client
) -> None:
    before = {node: written(node) for node in NODES}
    apply(beds)
    mixed = beds.mixed.resource
    region = f"{fpga.CARDS[1]}-region"
    expected = {
        (beds.gpu.resource, GPUS): set(UUIDS[:4]),
        (beds.fpga.resource, FPGAS): {f"{fpga.CARDS[0]}-port0"},
        (beds.net.resource, CARDS): FUNCTIONS,
        (beds.usb.resource, CARDS): {ADAPTERS[0]},
        (f"{mixed}-gpu", GPUS): set(UUIDS[4:]),
        (f"{mixed}-fpga", FPGAS): {region},
        (f"{mixed}-net", CARDS): {VFIO},
        (f"{mixed}-usb", CARDS): {ADAPTERS[1]},
    }
    until(lambda: offered(beds) == expected, "every device is in its resource on its node, and in no other", limit=150)
    until(lambda: {bed.reason() for bed in beds} == {"AllNodesReady"}, "every config is ready", limit=90)
    numbers = {place: len(devices) for place, devices in expected.items()}
    until(
        lambda: {(name, node): beds.mixed.offered(node, name) for name, node in numbers} == numbers,
        "all is allocatable",
    )

    # What the users of each kind look for.
    beds.gpu.pod("user", 1, node=GPUS, script="env | grep ^NVIDIA; ls /dev | grep ^nvidia[0-9];")
    beds.fpga.pod("user", 1, node=FPGAS, script="env | grep ^FPGA_AFU; ls /dev | grep ^dfl;")
    beds.net.pod("user", 1, node=CARDS, script="env | grep ^PCIDEVICE | grep -v _INFO;")
    beds.usb.pod("user", 1, node=CARDS, script="ls /dev | grep ^ttyUSB;")
    beds.mixed.pod("driver", 1, node=CARDS, resource=f"{mixed}-net", script="env | grep _INFO; ls /dev/vfio;")
    for bed in beds[:4]:
        bed.running("user")
    beds.mixed.running("driver")
    visible, node_ = beds.gpu.told("user")[-2:]
    gpu = visible.removeprefix("NVIDIA_VISIBLE_DEVICES=")
    assert gpu in UUIDS[:4]
    assert node_ == f"nvidia{UUIDS.index(gpu)}"
    assert beds.fpga.told("user")[-2:] == [f"FPGA_AFU_1={NLB0}", "dfl-port.0"]
    variable, _, address = beds.net.told("user")[-1].partition("=")
    assert variable == f"PCIDEVICE_EXAMPLE_COM_{beds.net.env}"
    assert address in FUNCTIONS
    assert beds.usb.told("user")[-1] == "ttyUSB0"
    assert beds.mixed.told("driver")[-2:] == ["23", "vfio"]

    # A fault of each kind.
    port = machines.directory("dfl-port.0").relative_to(machines.sys)
    recorded.adds(GPUS, "xids", f"{UUIDS.index(gpu)} 79")
    recorded.says(FPGAS, f"/sys/{port}/errors/errors", "0x2")
    recorded.says(CARDS, f"{ITS_PORT}/operstate", "down")
    recorded.gone(CARDS, "/dev/ttyUSB0")
    told = Told(
        gpu=[(GPUS, gpu, "Unhealthy", "Xid79")],
        fpga=[(FPGAS, f"{fpga.CARDS[0]}-port0", "Unhealthy", "PortErrors")],
        net=[],
        usb=[(CARDS, ADAPTERS[0], "Unhealthy", "DeviceMissing")],
        mixed=[(CARDS, VFIO, "Unhealthy", "LinkDown")],
    )
    until(lambda: Told(*map(problems, beds)) == told, "each config tells what is wrong, and nothing else")

    # And nothing stays, on the nodes neither.
    assert all(written(node) - before[node] for node in NODES)
    uids = [bed.config()["metadata"]["uid"] for bed in beds]
    for bed in beds:
        for pod in bed.pods():
            cluster.delete("v1", "Pod", pod, namespace=bed.name)
    until(lambda: not any(bed.pods() for bed in beds), "the pods are gone")
    for bed in beds:
        delete(cluster, bed)
    for node in NODES:
        assert written(node) - before[node] == set()
        assert not any(uid in on_node(node, f"cat {DIRECTORIES[0]}/claims/ledger.json") for uid in uids)
    until(lambda: not any(beds.mixed.offered(node, name) for name, node in expected), "nothing is allocatable")


def written(node: str) -> set[str]:
    """The files that agents wrote, but for what all of them share."""
    look = f"find {' '.join(DIRECTORIES)} -path '*/recorded' -prune -o -type f -print 2>/dev/null || true"
    shared = ("/claims/ledger.json", "/claims/lock")
    return {path for path in on_node(node, look).splitlines() if not path.endswith(shared)}


def problems(bed: Bed) -> list[tuple[str, ...]]:
    """What the config's own status says."""
    found = bed.config()["status"].get("problems", [])
    return [tuple(each[key] for key in ("node", "device", "state", "reason")) for each in found]


def delete(cluster: Client, bed: Bed) -> None:
    """Delete a config, and wait until it has taken everything with it."""
    bed.client.delete(GROUP, "DevicePluginConfig", bed.name)
    until(lambda: left(cluster, bed) == [], f"nothing is left of {bed.name}", limit=90)


def left(cluster: Client, bed: Bed) -> list[str]:
    """What there is of a config's objects and agents."""
    kinds = ((GROUP, "NodeDevicePlugin", None), ("apps/v1", "DaemonSet", AGENTS), ("v1", "Pod", AGENTS))
    return [
        f"{kind} {item['metadata']['name']}"
        for version, kind, namespace in kinds
        for item in cluster.list(version, kind, namespace=namespace)
        if item["metadata"].get("labels", {}).get("deviceplugins.dev/config") == bed.name
    ]
