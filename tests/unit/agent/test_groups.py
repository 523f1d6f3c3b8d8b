"""Several devices that go together as one."""

import os
from pathlib import Path

import pytest

from device_plugin_agent.clock import SystemClock
from device_plugin_agent.sources import Candidate, Discovery, HostView, source_for
from device_plugin_api.resource import Resource
from device_plugin_api.sources import GroupMember, GroupsSource, PathsSource, PciSource, Source, UsbSource
from recorded import unpacked

RIG = "example.com/rig"


def member(name: str, *include: str, optional: bool = False) -> GroupMember:
    return GroupMember(name=name, optional=optional, paths=PathsSource(include=include))


CAMERA = member("camera", "/dev/video*")
LIGHT = member("light", "/dev/light*")
SPEAKER = member("speaker", "/dev/speaker*", optional=True)


@pytest.fixture
def host(tmp_path: Path) -> HostView:
    for name in ("dev", "sys"):
        (tmp_path / name).mkdir()
    return HostView(dev_root=tmp_path / "dev", sys_root=tmp_path / "sys")


def plug(host: HostView, *names: str) -> None:
    for name in names:
        number = os.makedev(240, len(os.listdir(host.dev_root)))
        os.mknod(host.dev_root / name, 0o020666, number)


def discover(host: HostView, *members: GroupMember, pair_by: str = "Single") -> Discovery:
    source = Source(groups=GroupsSource(members=members, pair_by=pair_by))
    return source_for(Resource(name=RIG, source=source), host, SystemClock()).discover()


def groups(host: HostView, *members: GroupMember, pair_by: str = "Single") -> dict[str, Candidate]:
    return {group.id: group for group in discover(host, *members, pair_by=pair_by).candidates}


def why(discovery: Discovery) -> list[str]:
    return [unfit.why for unfit in discovery.unfit.values()]


def test_one_device_of_each_member_is_one_group_with_all_their_nodes(host: HostView) -> None:
    plug(host, "video0", "light7")
    (group,) = groups(host, CAMERA, LIGHT).values()
    assert (group.path, group.nodes) == ("/dev/video0", ("/dev/video0", "/dev/light7"))
    assert group.attributes == {"camera": "/dev/video0", "light": "/dev/light7"}


def test_a_group_that_begins_with_a_directory_is_known_by_its_first_node(host: HostView) -> None:
    plug(host, "video0", "light7", "tuner0", "tuner1")
    (host.dev_root / "card").mkdir()
    for name in ("tuner0", "tuner1"):
        (host.dev_root / name).rename(host.dev_root / "card" / name)
    card = GroupMember(name="card", paths=PathsSource(include=("/dev/card",), type="Directory"))
    (group,) = groups(host, card, LIGHT).values()
    assert (group.path, group.nodes) == (
        "/dev/card/tuner0",
        ("/dev/card/tuner0", "/dev/card/tuner1", "/dev/light7"),
    )


def test_a_group_that_lacks_a_member_is_shown_and_not_offered(host: HostView) -> None:
    plug(host, "video0")
    found = discover(host, CAMERA, LIGHT)
    assert found.candidates == ()
    ((id_, unfit),) = found.unfit.items()
    assert (unfit.reason, unfit.why) == ("GroupIncomplete", "light missing")
    assert [(step.step, step.kept, step.dropped) for step in found.steps] == [
        ("camera: device nodes", 1, ()),
        ("light: device nodes", 0, ()),
        ("groups", 1, ()),
        ("complete", 0, (f"{id_}: light missing",)),
    ]


def test_a_group_is_complete_without_what_is_optional_and_has_it_when_it_is_there(host: HostView) -> None:
    plug(host, "video0", "light0")
    (without,) = groups(host, SPEAKER, CAMERA, LIGHT).values()
    plug(host, "speaker0")
    (with_,) = groups(host, SPEAKER, CAMERA, LIGHT).values()
    assert without.nodes == ("/dev/video0", "/dev/light0")
    assert with_.nodes == ("/dev/video0", "/dev/light0", "/dev/speaker0")
    assert (without.id, without.path) == (with_.id, with_.path)


def test_what_is_optional_makes_no_group_by_itself(host: HostView) -> None:
    plug(host, "speaker0")
    assert why(discover(host, CAMERA, SPEAKER)) == ["camera missing"]


def test_two_devices_for_one_place_are_told_and_neither_is_taken(host: HostView) -> None:
    plug(host, "video0", "video1", "light0")
    found = discover(host, CAMERA, LIGHT)
    assert found.candidates == ()
    assert why(found) == ["2 devices are its camera: /dev/video0, /dev/video1"]


def test_one_device_does_not_take_two_places(host: HostView) -> None:
    plug(host, "video0")
    found = discover(host, CAMERA, member("other", "/dev/vid*"))
    assert why(found) == ["/dev/video0 is both its camera and its other"]


def test_devices_with_one_number_go_together_whatever_else_comes_and_goes(host: HostView) -> None:
    plug(host, "video1", "video02", "video3", "light1", "light2", "light4")
    before = groups(host, CAMERA, LIGHT, pair_by="Number")
    assert [group.nodes for group in before.values()] == [
        ("/dev/video1", "/dev/light1"),
        ("/dev/video02", "/dev/light2"),
    ]
    (host.dev_root / "video1").unlink()
    plug(host, "video4")
    after = groups(host, CAMERA, LIGHT, pair_by="Number")
    assert [group.nodes for group in after.values()] == [
        ("/dev/video02", "/dev/light2"),
        ("/dev/video4", "/dev/light4"),
    ]
    assert before.keys() & after.keys() == {id_ for id_, group in before.items() if "/dev/light2" in group.nodes}


def test_the_last_number_of_a_name_counts_and_a_name_without_one_is_told(host: HostView) -> None:
    plug(host, "video3", "a1-ctl3", "ctl")
    found = discover(host, CAMERA, member("control", "/dev/a1-ctl3", "/dev/ctl"), pair_by="Number")
    assert [group.nodes for group in found.candidates] == [("/dev/video3", "/dev/a1-ctl3")]
    assert found.steps[1].dropped == ("/dev/ctl: its name has no number",)


def test_an_exchanged_member_leaves_a_group_the_same_device(host: HostView) -> None:
    plug(host, "video0", "light0")
    (before,) = groups(host, CAMERA, LIGHT)
    (host.dev_root / "light0").unlink()
    plug(host, "light5")
    assert list(groups(host, CAMERA, LIGHT)) == [before]


def test_ids_differ_between_resources_and_never_grow_too_long(host: HostView) -> None:
    plug(host, "video123456789012345678901234567890", "light123456789012345678901234567890")
    source = Source(groups=GroupsSource(members=(CAMERA, LIGHT), pair_by="Number"))
    ids = set()
    for name in ("a.com/rig", "b.com/rig", f"a.com/{'r' * 63}"):
        (group,) = source_for(Resource(name=name, source=source), host, SystemClock()).discover().candidates
        assert len(group.id) <= 58
        ids.add(group.id)
    assert len(ids) == 3


def test_a_member_that_cannot_be_seen_makes_the_group_unknown(host: HostView, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(host, "video0", "light0")
    look = os.lstat

    def blind(path: str | os.PathLike[str]) -> os.stat_result:
        if os.fspath(path).endswith("/light0"):
            raise PermissionError(1, "Operation not permitted")
        return look(path)

    monkeypatch.setattr(os, "lstat", blind)
    (group,) = groups(host, CAMERA, LIGHT).values()
    assert group.failure == "has a light that cannot be looked at: Operation not permitted"


def test_members_may_be_of_any_bus_and_tell_the_numa_node_that_they_agree_on(tmp_path: Path) -> None:
    host = unpacked("sriov-igb-numa-usb", tmp_path)
    function = GroupMember(name="function", pci=PciSource(drivers=("vfio-pci",)))
    line = GroupMember(name="line", usb=UsbSource(vendor_id="0403", serial="*-2", subsystems=("tty",)))
    (group,) = groups(host, function, line).values()
    assert group.nodes == ("/dev/vfio/23", "/dev/ttyUSB1")
    assert group.shared_nodes == ("/dev/vfio/vfio",)
    assert group.hardware == ("/sys/devices/pci0000:40/0000:40:00.0/0000:41:11.4",)
    assert (group.sysfs, group.numa_node) == (*group.hardware, 1)
    card = "0000:01:00.0"
    (host.sys_root / f"devices/pci0000:00/0000:00:04.0/{card}/numa_node").write_text("0\n")
    far = GroupMember(name="far", pci=PciSource(addresses=(card,)))
    (apart,) = groups(host, function, line, far).values()
    assert apart.numa_node is None


def test_a_group_looks_again_when_any_member_has_to(host: HostView) -> None:
    (host.dev_root / "sub").mkdir()
    members = (member("camera", "/dev/sub/video*"), GroupMember(name="card", pci=PciSource(vendors=("1234",))))
    source = Source(groups=GroupsSource(members=members))
    group = source_for(Resource(name=RIG, source=source), host, SystemClock())
    assert group.watched() == {host.dev_root, host.dev_root / "sub"}
