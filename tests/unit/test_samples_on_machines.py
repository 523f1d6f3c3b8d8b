"""What each sample of custom hardware finds on a machine that has such devices."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest
import yaml

from device_plugin_agent.allocation import grant
from device_plugin_agent.entry import Entry
from device_plugin_agent.health.attribute import Attribute
from device_plugin_agent.health.probes import exists
from device_plugin_agent.health.tracker import WORKS, step
from device_plugin_agent.sources import Candidate, Discovery, HostView, source_for
from device_plugin_api.config import ConfigSpec
from device_plugin_api.resource import Resource
from manual_clock import ManualClock
from nvml_double import Card, Instance, NvmlDouble
from nvml_double.machines import eight, gpu_uuid, mig_uuid, sliced
from recorded import fpga, gpus, sriov, unpacked
from recorded.desk import Desk
from recorded.fpga import CARDS
from recorded.sriov import PORTS, addresses

SAMPLES = Path(__file__).parents[2] / "manifests/samples"


Make = Callable[[Path], HostView]

SAMPLES_OF_RESOURCES = sorted(
    path.stem for path in SAMPLES.glob("*.yaml") if "kind: DevicePluginConfig" in path.read_text()
)
"""Others have only pods."""


def resources(sample: str) -> dict[str, Resource]:
    """Resource → what the sample says of it."""
    documents = yaml.safe_load_all((SAMPLES / f"{sample}.yaml").read_text())
    configs = [msgspec.convert(each["spec"], ConfigSpec) for each in documents if each["kind"] == "DevicePluginConfig"]
    return {resource.name.rpartition("/")[2]: resource for config in configs for resource in config.resources}


def looked(host: HostView, sample: str, resource: str) -> Discovery:
    return source_for(resources(sample)[resource], host, ManualClock()).discover()


def found(host: HostView, sample: str, resource: str) -> list[Candidate]:
    return list(looked(host, sample, resource).candidates)


def given(sample: str, resource: str, *devices: Candidate) -> tuple[list[str], dict[str, str]]:
    """The nodes in a container, and its environment."""
    wanted = resources(sample)[resource]
    track = step(None, exists(devices[0], ""), wanted.health, now=0.0, monotonic=0.0)
    made = grant(
        wanted.name, wanted.allocation, [Entry(device=device, track=track) for device in devices], wanted.source
    )
    return [node.container_path for node in made.nodes], dict(made.env)


# Machines that have what the samples look for


def desk_with_everything(root: Path) -> HostView:
    """Cameras, serial lines, home-made devices, tuners and licences."""
    made = Desk(root)
    made.camera()
    made.line()
    made.microphone()
    made.render()
    made.meter(0, "ok")
    made.node("ttyACM0", (166, 0))
    for number in range(2):
        made.node(f"custom-device-{number}", (1, 5))
        made.node(f"sensor-{number}", (240, 16 + number))
        for name in ("demux0", "dvr0", "frontend0"):
            made.node(f"dvb/adapter{number}/{name}", (212, 16 * number + len(name)))
    licences = made.dev / "licences"
    licences.mkdir()
    for name in ("a.lic", "b.lic", "README"):
        (licences / name).write_text("x")
    return made.host


def serial_adapters(root: Path) -> HostView:
    return unpacked("sriov-igb-numa-usb", root)


def functions(root: Path) -> HostView:
    return unpacked("sriov-igb-vfio-nvme-dri", root)


def network_cards(root: Path) -> HostView:
    """Two ports of the sample's names: functions for the kernel, for DPDK and, of another vendor, with RDMA."""
    made = sriov.Machine(root)
    for index, name in enumerate(("enp2s0f0", "enp2s0f1")):
        made.port(PORTS[index], name)
        made.functions(PORTS[index], addresses(index, 10))
    for address in addresses(0, 8) + addresses(1, 2):
        made.bind(address, "iavf")
    for address in addresses(0, 10)[8:]:
        made.bind(address, "vfio-pci")
    for address in addresses(1, 10)[2:4]:
        made.bind(address, "mlx5_core")
        made.rdma(address)
        (made.directory(address) / "vendor").write_text("0x15b3\n")
    return made.host


def fpgas(root: Path) -> HostView:
    return fpga.three_cards(root).host


def graphics_cards(root: Path) -> HostView:
    """Six A100, a T4, and one that no resource of the sample wants."""
    double = eight()
    double.cards[6].name, double.cards[6].memory = "Tesla T4", 16 << 30
    double.cards[7].name, double.cards[7].memory = "Quadro RTX 8000", 48 << 30
    return gpus.Machine(root, double).host


def large_graphics_cards(root: Path) -> HostView:
    """Two GPUs of 80 GiB in MIG mode: three instances of one slice, and two of three slices beside one of one."""
    return gpus.Machine(root, NvmlDouble(in_mig_mode(0, 1, 1, 1), in_mig_mode(1, 3, 3, 1))).host


def in_mig_mode(number: int, *slices: int) -> Card:
    made = sliced(number, *slices)
    made.memory = 80 << 30
    made.instances = [doubled(instance) for instance in made.instances]
    return made


def doubled(instance: Instance) -> Instance:
    instance.memory *= 2
    return instance


def any_machine(root: Path) -> HostView:
    return Desk(root).host


TUNERS = ["dvb--adapter0", "dvb--adapter1"]
LINES = ["ttyUSB0", "ttyUSB1"]

FOUND: dict[str, dict[str, tuple[Make, list[str]]]] = {
    "cameras": {"camera": (desk_with_everything, ["video0"])},
    "custom-device": {"custom-device": (desk_with_everything, ["custom-device-0", "custom-device-1"])},
    "fpga": {
        "fpga-loopback": (fpgas, [f"{CARDS[0]}-port0", f"{CARDS[1]}-port1", f"{CARDS[2]}-port0"]),
        "fpga-stream": (fpgas, [f"{CARDS[1]}-port0"]),
        "fpga-region": (fpgas, [f"{CARDS[0]}-region", f"{CARDS[1]}-region"]),
        "fpga-development": (fpgas, [f"{card}-region" for card in CARDS]),
    },
    "licence": {"licence": (desk_with_everything, ["licences--a.lic", "licences--b.lic"])},
    "nvidia": {
        "gpu": (graphics_cards, [gpu_uuid(0, number) for number in range(6)]),
        "gpu.shared": (graphics_cards, [gpu_uuid(0, 6)]),
        "mig-1g.10gb": (large_graphics_cards, [*(mig_uuid(0, 0, number) for number in range(3)), mig_uuid(0, 1, 2)]),
        "mig-3g.40gb": (large_graphics_cards, [mig_uuid(0, 1, 0), mig_uuid(0, 1, 1)]),
    },
    "pci": {
        "accelerator": (functions, ["0000:01:10.6"]),
        "render": (functions, ["0000:00:08.0"]),
    },
    "preview": {"serial": (desk_with_everything, ["ttyACM0", "ttyUSB0"])},
    "render": {"render-node": (functions, ["dri--renderD128"])},
    "rig": {"rig": (desk_with_everything, ["rig-8b43"])},
    "serial": {
        "serial-port": (serial_adapters, LINES),
        "modem": (desk_with_everything, ["ttyACM0"]),
    },
    "shared-nodes": {
        "kvm": (any_machine, ["kvm"]),
        "fuse": (any_machine, ["fuse"]),
        "tun": (any_machine, ["net--tun"]),
    },
    "shared-non-root": {"sensor": (desk_with_everything, ["sensor-0", "sensor-1"])},
    "simulated": {"simulated": (any_machine, [f"simulated-c4da-{number}" for number in range(8)])},
    "sriov": {
        "sriov-net": (network_cards, [*addresses(0, 10)[2:8], *addresses(1, 4)]),
        "sriov-dpdk": (network_cards, addresses(0, 10)[8:]),
        "rdma": (network_cards, addresses(1, 4)[2:]),
    },
    "television": {"tuner": (desk_with_everything, TUNERS)},
    "usb": {"usb-serial": (serial_adapters, [f"0403-6001-1-0000:00:05.0-{port}" for port in (1, 2)])},
    "watched-device": {"meter": (desk_with_everything, ["meter-0"])},
}
"""Sample → resource → a machine, and the IDs of what is found there."""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Make], HostView]:
    """Each machine is made once: unpacking takes seconds, and nobody changes it."""
    return cache(lambda make: make(tmp_path_factory.mktemp("machine")))


def test_every_resource_of_every_sample_is_looked_for_on_a_machine_that_has_it() -> None:
    assert {sample: set(cases) for sample, cases in FOUND.items()} == {
        sample: set(resources(sample)) for sample in SAMPLES_OF_RESOURCES
    }
    assert all(ids for cases in FOUND.values() for _, ids in cases.values())


@pytest.mark.parametrize(
    ("sample", "resource"), [(sample, resource) for sample, cases in FOUND.items() for resource in cases]
)
def test_a_sample_finds_what_it_is_for_and_nothing_else(
    machines: Callable[[Make], HostView], sample: str, resource: str
) -> None:
    make, ids = FOUND[sample][resource]
    assert sorted(device.id for device in found(machines(make), sample, resource)) == sorted(ids)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_usb_serial_adapters(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path)
    adapters = found(host, "usb", "usb-serial")
    assert [adapter.path for adapter in adapters] == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert len({adapter.id for adapter in adapters}) == 2
    assert [port.path for port in found(host, "serial", "serial-port")] == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert found(host, "serial", "modem") == []
    nodes, _ = given("usb", "usb-serial", *adapters)
    assert nodes == ["/dev/ttyUSB0", "/dev/ttyUSB1"]


def test_a_camera_without_the_node_of_its_metadata(desk: Desk) -> None:
    desk.camera()
    (camera,) = found(desk.host, "cameras", "camera")
    assert camera.path == "/dev/video0"
    nodes, env = given("cameras", "camera", camera)
    assert (nodes, env["CAMERAS"]) == (["/dev/camera0"], "/dev/camera0")


@pytest.mark.parametrize(("resource", "path"), [("kvm", "/dev/kvm"), ("fuse", "/dev/fuse"), ("tun", "/dev/net/tun")])
def test_nodes_that_the_kernel_has_once_are_shared_a_hundred_times(desk: Desk, resource: str, path: str) -> None:
    (device,) = found(desk.host, "shared-nodes", resource)
    assert device.nodes == (path,)
    sharing = resources("shared-nodes")[resource].sharing
    assert (sharing.replicas, sharing.max_per_container) == (100, 1)


def test_what_a_recorded_virtual_machine_has_of_those(tmp_path: Path) -> None:
    host = unpacked("virtio", tmp_path)
    has = {name: [device.path for device in found(host, "shared-nodes", name)] for name in ("kvm", "fuse", "tun")}
    assert has == {"kvm": ["/dev/kvm"], "fuse": [], "tun": ["/dev/net/tun"]}


def test_a_render_node_alone_or_the_whole_card(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-vfio-nvme-dri", tmp_path)
    (node,) = found(host, "render", "render-node")
    assert node.nodes == ("/dev/dri/renderD128",)
    (card,) = found(host, "pci", "render")
    assert card.nodes == ("/dev/dri/card0", "/dev/dri/renderD128", "/dev/fb0")


def test_a_pci_accelerator_under_vfio(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-vfio-nvme-dri", tmp_path)
    (function,) = found(host, "pci", "accelerator")
    nodes, env = given("pci", "accelerator", function)
    assert nodes == ["/dev/vfio/16", "/dev/vfio/vfio"]
    assert env["ACCELERATOR_ID"] == env["PCIDEVICE_EXAMPLE_COM_ACCELERATOR"] == "0000:01:10.6"


def test_a_rig_is_offered_when_its_line_is_there_and_has_its_microphone_when_that_is(desk: Desk) -> None:
    desk.camera()
    incomplete = looked(desk.host, "rig", "rig")
    assert incomplete.candidates == ()
    assert [unfit.why for unfit in incomplete.unfit.values()] == ["line missing"]
    desk.line()
    (rig,) = found(desk.host, "rig", "rig")
    nodes, env = given("rig", "rig", rig)
    assert "RIG_MICROPHONE_PATH" not in env
    desk.microphone()
    (rig,) = found(desk.host, "rig", "rig")
    nodes, env = given("rig", "rig", rig)
    assert nodes == ["/dev/video0", "/dev/video1", "/dev/ttyUSB0", "/dev/snd/pcmC0D0c"]
    assert (env["RIG_CAMERA_PATH"], env["RIG_LINE_PATH"], env["RIG_MICROPHONE_PATH"]) == (
        "/dev/video0",
        "/dev/ttyUSB0",
        "/dev/snd/pcmC0D0c",
    )


def test_a_watched_device_is_judged_by_what_its_driver_says(desk: Desk) -> None:
    desk.meter(0, "ok")
    desk.meter(1, "overheated")
    probes = resources("watched-device")["meter"].health.probes
    (probe,) = (each for each in probes if each.type == "SysfsAttribute")
    good, bad = (Attribute(probe, desk.host)(meter) for meter in found(desk.host, "watched-device", "meter"))
    assert good == WORKS
    assert bad.message == "state is 'overheated', not ok or idle"
