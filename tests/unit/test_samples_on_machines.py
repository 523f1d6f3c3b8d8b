"""What each sample of custom hardware finds on a machine that has such devices."""

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
from recorded import unpacked
from recorded.desk import Desk

SAMPLES = Path(__file__).parents[2] / "manifests/samples"


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
