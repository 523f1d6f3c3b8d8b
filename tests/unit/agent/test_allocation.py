"""What a container gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from device_plugin_agent.allocation import Refused, Vanished, grant, pick, still_there, verify
from device_plugin_agent.entry import Entry
from device_plugin_agent.health.tracker import Track
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_api import hostpaths
from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Allocation, EnvVar, Health, Mount


def candidate(name: str, failure: str | None = None) -> Candidate:
    return Candidate(id=name, path=f"/dev/{name}", nodes=(f"/dev/{name}",), failure=failure)


def entry(name: str) -> Entry:
    return Entry(device=candidate(name), track=Track(state=DeviceState.HEALTHY, reason="Works", since=0))


def there(path: str) -> bool:
    return True


def inventory(*names: str, replicas: int = 1) -> Inventory:
    """Healthy devices, one that vanished and one that cannot be looked at."""
    made = Inventory(Health(), replicas)
    for found in (
        [*map(candidate, names), candidate("sick")],
        [*map(candidate, names), candidate("blind", "no answer")],
    ):
        made.observe(Discovery(candidates=tuple(found), steps=()), now=0, monotonic=0)
    return made


def test_the_default_environment_names_the_devices_and_their_paths() -> None:
    granted = grant("example.com/custom-device", Allocation(), [entry("a"), entry("b")])
    assert granted.env == {"CUSTOM_DEVICE_ID": "a,b", "CUSTOM_DEVICE_PATH": "/dev/a,/dev/b"}
    assert [(node.host_path, node.container_path, node.permissions) for node in granted.nodes] == [
        ("/dev/a", "/dev/a", "rw"),
        ("/dev/b", "/dev/b", "rw"),
    ]


def test_a_device_without_a_node_has_no_path_variable() -> None:
    simulated = Entry(device=Candidate(id="sim-0"), track=Track(state=DeviceState.HEALTHY, reason="Works", since=0))
    assert grant("example.com/sim", Allocation(), [simulated]).env == {"SIM_ID": "sim-0"}


def test_two_resources_give_one_container_variables_and_nodes_of_their_own() -> None:
    cameras = grant("example.com/camera", Allocation(), [entry("video0")])
    lenses = grant("example.com/camera-lens", Allocation(), [entry("lens0")])
    assert not cameras.env.keys() & lenses.env.keys()
    assert not {node.container_path for node in cameras.nodes} & {node.container_path for node in lenses.nodes}


def test_container_paths_and_variables_follow_their_templates() -> None:
    settings = Allocation(
        permissions="r",
        container_path="/dev/camera$(INDEX)",
        env=(EnvVar(name="CAMERAS", value="$(DEVICE_PATHS)"), EnvVar(name="FIRST", value="<$(DEVICE_ID)>")),
        mounts=(Mount(host_path="/opt/cal", container_path="/cal"),),
        annotations={"example.com/lens": "$(DEVICE_IDS)"},
    )
    granted = grant("example.com/camera", settings, [entry("video3"), entry("video7")])
    assert granted.env == {
        "CAMERA_ID": "video3,video7",
        "CAMERA_PATH": "/dev/camera0,/dev/camera1",
        "CAMERAS": "/dev/camera0,/dev/camera1",
        "FIRST": "<video3>",
    }
    assert [(node.host_path, node.container_path, node.permissions) for node in granted.nodes] == [
        ("/dev/video3", "/dev/camera0", "r"),
        ("/dev/video7", "/dev/camera1", "r"),
    ]
    assert granted.mounts == settings.mounts
    assert granted.annotations == {"example.com/lens": "video3,video7"}


def test_a_link_appears_in_the_container_under_its_own_name() -> None:
    device = Candidate(id="x", path="/dev/serial/by-id/usb", nodes=("/dev/ttyUSB0",))
    linked = Entry(device=device, track=Track(state=DeviceState.HEALTHY, reason="Works", since=0))
    (node,) = grant("example.com/serial", Allocation(), [linked]).nodes
    assert (node.host_path, node.container_path) == ("/dev/ttyUSB0", "/dev/serial/by-id/usb")


def with_attributes(name: str, **attributes: str) -> Entry:
    device = replace(candidate(name), attributes=attributes)
    return Entry(device=device, track=Track(state=DeviceState.HEALTHY, reason="Works", since=0))


@pytest.mark.parametrize(("wanted", "directory"), [(None, "/dev/dvb/by-name/tv"), ("/dev/tv$(INDEX)", "/dev/tv0")])
def test_nodes_of_a_directory_keep_their_places_in_it(wanted: str | None, directory: str) -> None:
    nodes = ("/dev/dvb/adapter3/demux0", "/dev/dvb/adapter3/ca/slot1")
    device = Candidate(id="x", path="/dev/dvb/by-name/tv", directory="/dev/dvb/adapter3", nodes=nodes)
    found = Entry(device=device, track=Track(state=DeviceState.HEALTHY, reason="Works", since=0))
    granted = grant("example.com/tv", Allocation(container_path=wanted), [found])
    assert [(node.host_path, node.container_path) for node in granted.nodes] == [
        (nodes[0], f"{directory}/demux0"),
        (nodes[1], f"{directory}/ca/slot1"),
    ]
    assert granted.env["TV_PATH"] == directory


def test_what_all_devices_have_is_joined_by_commas() -> None:
    value = "$(INDEX) $(attributes.serial) $(attributes.model)"
    settings = Allocation(env=(EnvVar(name="A", value=value),), annotations={"b": "$(attributes.serial)"})
    granted = grant(
        "a.com/b", settings, [with_attributes("x", serial="1"), with_attributes("y", serial="2", model="m")]
    )
    assert granted.env["A"] == "0,1 1,2 ,m"
    assert granted.annotations == {"b": "1,2"}


def test_a_mount_that_differs_by_device_is_made_for_each() -> None:
    calibration = Mount(host_path="/srv/cal/$(attributes.serial)", container_path="/cal/$(INDEX)", read_only=False)
    settings = Allocation(mounts=(calibration, Mount(host_path="/opt/lib", container_path="/lib/camera")))
    granted = grant("a.com/b", settings, [with_attributes("x", serial="1"), with_attributes("y", serial="2")])
    assert [(mount.host_path, mount.container_path, mount.read_only) for mount in granted.mounts] == [
        ("/srv/cal/1", "/cal/0", False),
        ("/srv/cal/2", "/cal/1", False),
        ("/opt/lib", "/lib/camera", True),
    ]


def test_a_container_path_may_name_an_attribute() -> None:
    settings = Allocation(container_path="/dev/$(attributes.serial)-$(DEVICE_ID)")
    (node,) = grant("a.com/b", settings, [with_attributes("x", serial="7")]).nodes
    assert node.container_path == "/dev/7-x"


@pytest.mark.parametrize("serial", ["", ".", "..", "../../etc", "/etc", "a/b", "a\n", "\x00"])
@pytest.mark.parametrize(
    "settings",
    [
        Allocation(container_path="/dev/$(INDEX)/$(attributes.serial)"),
        Allocation(mounts=(Mount(host_path="/srv/$(attributes.serial)", container_path="/x/$(INDEX)"),)),
        Allocation(mounts=(Mount(host_path="/srv", container_path="/x/$(INDEX)/$(attributes.serial)"),)),
    ],
)
def test_what_the_hardware_says_of_itself_leads_nowhere_else(settings: Allocation, serial: str) -> None:
    with pytest.raises(Refused, match=r"allocation\.(containerPath|mounts)"):
        grant("a.com/b", settings, [with_attributes("x", serial=serial)])


@given(st.text(max_size=20), st.sampled_from(["/srv/$(attributes.serial)", "/srv/a$(attributes.serial)/b"]))
def test_an_expanded_mount_stays_where_mounts_are_allowed(serial: str, host_path: str) -> None:
    settings = Allocation(mounts=(Mount(host_path=host_path, container_path="/x/$(INDEX)$(attributes.serial)"),))
    try:
        granted = grant("a.com/b", settings, [with_attributes("x", serial=serial)])
    except Refused:
        return
    for mount in granted.mounts:
        assert hostpaths.mount_error(mount.host_path, read_only=True) is None
        assert hostpaths.container_path_error(mount.container_path) is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["ghost"], "device ghost is not one of this resource's"),
        (["sick"], "device sick is Unhealthy: /dev/sick"),
        (["blind"], "device blind is Unknown: /dev/blind no answer"),
        (["ok", "ok"], "the same device is asked for twice"),
        (["ok::0"], "device ok::0 is not offered: how ok is shared has changed"),
        ([], "no device is asked for"),
    ],
)
def test_only_known_healthy_present_devices_are_handed_out(asked: list[str], message: str) -> None:
    with pytest.raises(Refused, match=message):
        pick(inventory("ok"), asked, None)


def test_devices_are_picked_in_the_order_of_their_ids() -> None:
    assert [each.device.id for each in pick(inventory("a", "b"), ["b", "a"], None)] == ["a", "b"]


def test_two_slots_of_a_device_give_it_once() -> None:
    shared = inventory("a", "b", replicas=3)
    assert [each.device.id for each in pick(shared, ["b::2", "a::1", "b::0"], None)] == ["a", "b"]


@pytest.mark.parametrize("slot", ["a", "a::3", "a::x", "a::01", "a::", "::0", "b::0"])
def test_a_slot_that_is_not_offered_is_refused(slot: str) -> None:
    with pytest.raises(Refused, match=slot):
        pick(inventory("a", replicas=3), [slot], None)


def test_more_slots_than_one_container_may_have_are_refused() -> None:
    shared = inventory("a", replicas=3)
    assert len(pick(shared, ["a::0", "a::1"], 2)) == 1
    with pytest.raises(Refused, match=r"a container asks for 3, and sharing\.maxPerContainer is 2"):
        pick(shared, ["a::0", "a::1", "a::2"], 2)


@pytest.mark.parametrize(("slot", "message"), [("sick", "device sick is Unhealthy"), ("ghost", "ghost is not one of")])
def test_a_container_is_not_started_on_a_device_that_died(slot: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        verify(inventory("ok"), ["ok", slot], there)


def test_a_container_starts_on_a_device_that_is_only_no_longer_handed_out() -> None:
    known = inventory("ok", "shut")
    known.cordon({"shut": "lens broken"}, now=0, monotonic=0)
    known.share(2)
    verify(known, ["ok", "shut"], there)


@pytest.mark.parametrize("gone", ["/dev/video0", "/dev/second", "/sys/devices/a", "/dev/file"])
def test_a_device_of_which_anything_is_gone_is_refused(gone: str) -> None:
    made = Candidate(id="a", nodes=("/dev/video0", "/dev/second"), file="/dev/file", sysfs="/sys/devices/a")
    known = Entry(device=made, track=Track(state=DeviceState.HEALTHY, reason="Works", since=0))
    still_there([known], there)
    with pytest.raises(Vanished, match=f"device a is gone: {gone} is not there any more"):
        still_there([known], lambda path: path != gone)
