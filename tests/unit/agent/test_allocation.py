"""What a container gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.allocation import Refused, UnknownVariable, check, expand, grant, pick, preferred
from device_plugin_agent.health.tracker import Track
from device_plugin_agent.inventory import Entry
from device_plugin_agent.sources import Candidate
from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Allocation, EnvVar, Mount


def entry(
    name: str, state: DeviceState = DeviceState.HEALTHY, *, present: bool = True, numa: int | None = None
) -> Entry:
    device = Candidate(id=name, path=f"/dev/{name}", nodes=(f"/dev/{name}",), numa_node=numa)
    return Entry(device=device, track=Track(state=state, reason="Why", message="", since=0), present=present)


def table(*entries: Entry) -> dict[str, Entry]:
    return {each.device.id: each for each in entries}


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


def test_an_unknown_variable_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UnknownVariable, match=r"unknown variable \$\(TYPO\); known are .*\$\(DEVICE_ID\)"):
        check(Allocation(env=(EnvVar(name="A", value="$(TYPO)"),)))


def test_a_dollar_without_parentheses_is_text() -> None:
    assert expand("$5 $$ $(A)", {"A": "b"}) == "$5 $$ b"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["ghost"], "device ghost is not one of this resource's"),
        (["sick"], "device sick is Unhealthy: Why"),
        (["blind"], "device blind is Unknown: Why"),
        (["ok", "ok"], "the same device is asked for twice"),
    ],
)
def test_only_known_healthy_present_devices_are_handed_out(asked: list[str], message: str) -> None:
    known = table(entry("ok"), entry("sick", DeviceState.UNHEALTHY), entry("blind", DeviceState.UNKNOWN))
    with pytest.raises(Refused, match=message):
        pick(known, asked)


def test_devices_are_picked_in_the_order_of_their_ids() -> None:
    known = table(entry("a"), entry("b"))
    assert [each.device.id for each in pick(known, ["b", "a"])] == ["a", "b"]


def test_a_request_is_kept_on_the_smallest_numa_node_that_holds_it() -> None:
    known = table(*[entry(f"a{n}", numa=0) for n in range(4)], *[entry(f"b{n}", numa=1) for n in range(2)])
    assert preferred(known, list(known), [], 2) == ["b0", "b1"]
    assert preferred(known, list(known), [], 3) == ["a0", "a1", "a2"]
    assert preferred(known, list(known), ["a3"], 2) == ["a3", "a0"]


@given(st.data())
def test_a_preference_is_always_of_the_size_asked_and_holds_what_must_be_included(data: st.DataObject) -> None:
    nodes = data.draw(st.lists(st.sampled_from([None, 0, 1, 2]), min_size=1, max_size=12))
    known = table(*[entry(f"d{number}", numa=node) for number, node in enumerate(nodes)])
    available = data.draw(st.lists(st.sampled_from(sorted(known)), unique=True, min_size=1))
    must = data.draw(st.lists(st.sampled_from(available), unique=True))
    size = data.draw(st.integers(len(must) or 1, len(available)))
    chosen = preferred(known, available, must, size)
    assert len(chosen) == len(set(chosen)) == size
    assert set(must) <= set(chosen) <= set(available)
