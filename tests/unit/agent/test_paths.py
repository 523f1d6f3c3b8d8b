"""Device nodes found by path."""

import os
from pathlib import Path

import pytest

from device_plugin_agent.sources import Discovery, HostView
from device_plugin_agent.sources.device_directory import MOST_NODES
from device_plugin_agent.sources.identity import id_of_path
from device_plugin_agent.sources.paths import Paths
from device_plugin_api.sources import PathsSource

NULL, ZERO = (1, 3), (1, 5)


class Tree:
    """A made-up /dev and /sys."""

    def __init__(self, root: Path) -> None:
        self.dev = root / "dev"
        self.sys = root / "sys"
        self.dev.mkdir()
        self.sys.mkdir()

    def char(self, name: str, number: tuple[int, int] = NULL) -> None:
        (self.dev / name).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(self.dev / name, 0o020666, os.makedev(*number))

    def block(self, name: str) -> None:
        (self.dev / name).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(self.dev / name, 0o060666, os.makedev(7, 200))

    def link(self, name: str, target: str) -> None:
        (self.dev / name).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, self.dev / name)

    def discover(self, *include: str, exclude: tuple[str, ...] = (), allow: bool = False) -> Discovery:
        host = HostView(dev_root=self.dev, sys_root=self.sys, allow_block_devices=allow, allow_memory_devices=allow)
        return Paths(PathsSource(include=include, exclude=exclude), host).discover()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def ids(discovery: Discovery) -> list[str]:
    return [candidate.id for candidate in discovery.candidates]


def dropped(discovery: Discovery) -> list[str]:
    return [text for step in discovery.steps for text in step.dropped]


def test_includes_select_and_excludes_leave_out(tree: Tree) -> None:
    for name in ("video0", "video1", "video9", "audio0"):
        tree.char(name, (1, 3 if name == "audio0" else int(name[-1]) + 5))
    found = tree.discover("/dev/video*", exclude=("/dev/video9",))
    assert ids(found) == ["video0", "video1"]
    assert [(step.step, step.kept) for step in found.steps] == [
        ("matched by include", 3),
        ("not excluded", 2),
        ("device nodes", 2),
    ]


def test_a_star_does_not_cross_a_slash(tree: Tree) -> None:
    tree.char("dri/card0")
    tree.char("card0", ZERO)
    assert ids(tree.discover("/dev/card*")) == ["card0"]
    assert ids(tree.discover("/dev/dri/card*")) == ["dri--card0"]
    assert ids(tree.discover("/dev/*/card*")) == ["dri--card0"]


def test_directories_and_plain_files_are_dropped_with_the_reason(tree: Tree) -> None:
    (tree.dev / "camdir").mkdir()
    (tree.dev / "camfile").write_text("x")
    found = tree.discover("/dev/cam*")
    assert ids(found) == []
    assert dropped(found) == [
        "/dev/camdir: it is a directory, not a device node",
        "/dev/camfile: it is a plain file, not a device node",
    ]


def test_a_link_is_followed_and_shown(tree: Tree) -> None:
    tree.char("ttyUSB0")
    tree.link("serial/by-id/usb-FTDI", "../../ttyUSB0")
    (candidate,) = tree.discover("/dev/serial/by-id/*").candidates
    assert candidate.path == "/dev/serial/by-id/usb-FTDI"
    assert candidate.nodes == ("/dev/ttyUSB0",)
    assert candidate.attributes["target"] == "/dev/ttyUSB0"


def test_an_absolute_link_into_dev_is_followed_inside_the_hosts_dev(tree: Tree) -> None:
    tree.char("video0")
    tree.link("camera", "/dev/video0")
    (candidate,) = tree.discover("/dev/camera").candidates
    assert candidate.nodes == ("/dev/video0",)


@pytest.mark.parametrize("target", ["../etc/shadow", "/etc/shadow", "../../../../dev/mem", "/devil/x"])
def test_a_link_that_leads_out_of_dev_is_never_followed(tree: Tree, target: str) -> None:
    tree.link("camera", target)
    found = tree.discover("/dev/camera")
    assert ids(found) == []
    assert dropped(found) == ["/dev/camera: it is a link that leads out of /dev"]


def test_a_directory_that_is_a_link_into_dev_is_followed_inside_the_hosts_dev(tree: Tree) -> None:
    tree.char("snd/pcm0")
    tree.link("sound", "/dev/snd")
    (candidate,) = tree.discover("/dev/sound/*").candidates
    assert candidate.nodes == ("/dev/snd/pcm0",)


def test_a_directory_that_is_a_link_out_of_dev_is_not_even_looked_into(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    os.mknod(outside / "null", 0o020666, os.makedev(*NULL))
    tree.link("fd", str(outside))
    tree.link("up", "../outside")
    found = tree.discover("/dev/fd/*", "/dev/*/null")
    assert [step.kept for step in found.steps] == [0, 0, 0]
    host = HostView(dev_root=tree.dev, sys_root=tree.sys)
    assert Paths(PathsSource(include=("/dev/fd/*", "/dev/*/null")), host).watched() == {tree.dev}


def test_links_in_a_loop_and_to_nothing_are_dropped_with_the_reason(tree: Tree) -> None:
    tree.link("loop-a", "loop-b")
    tree.link("loop-b", "loop-a")
    tree.link("loop-c", "nothing")
    assert dropped(tree.discover("/dev/loop-?")) == [
        "/dev/loop-a: it is a link in a loop",
        "/dev/loop-b: it is a link in a loop",
        "/dev/loop-c: it is a link to nothing",
    ]


def test_one_device_under_two_names_is_one_device(tree: Tree) -> None:
    tree.char("video0")
    tree.link("by-id-cam", "video0")
    found = tree.discover("/dev/video*", "/dev/by-id-*")
    assert len(found.candidates) == 1
    assert dropped(found) == ["/dev/video0: the same device as /dev/by-id-cam"]


def test_block_devices_are_refused_unless_the_operator_allows_them(tree: Tree) -> None:
    tree.block("disk0")
    assert dropped(tree.discover("/dev/disk*")) == [
        "/dev/disk0: it is a block device, which the operator does not allow"
    ]
    assert ids(tree.discover("/dev/disk*", allow=True)) == ["disk0"]


@pytest.mark.parametrize("number", [(1, 1), (1, 2), (1, 4)])
def test_memory_and_ports_are_refused_under_any_name_unless_the_operator_allows_them(
    tree: Tree, number: tuple[int, int]
) -> None:
    tree.char("harmless0", number)
    assert "memory or I/O ports" in dropped(tree.discover("/dev/harmless*"))[0]
    assert ids(tree.discover("/dev/harmless*", allow=True)) == ["harmless0"]


def test_the_numa_node_comes_from_the_nearest_parent_that_has_one(tree: Tree) -> None:
    tree.char("video0", (81, 0))
    device = tree.sys / "devices/pci0000:00/0000:00:02.0/usb1/1-1/video4linux/video0"
    device.mkdir(parents=True)
    (tree.sys / "devices/pci0000:00/0000:00:02.0/numa_node").write_text("1\n")
    (tree.sys / "dev/char").mkdir(parents=True)
    (tree.sys / "dev/char/81:0").symlink_to("../../devices/pci0000:00/0000:00:02.0/usb1/1-1/video4linux/video0")
    (candidate,) = tree.discover("/dev/video*").candidates
    assert candidate.numa_node == 1


def test_numa_node_minus_one_is_no_topology(tree: Tree) -> None:
    tree.char("video0", (81, 0))
    (tree.sys / "devices/x").mkdir(parents=True)
    (tree.sys / "devices/x/numa_node").write_text("-1\n")
    (tree.sys / "dev/char").mkdir(parents=True)
    (tree.sys / "dev/char/81:0").symlink_to("../../devices/x")
    (candidate,) = tree.discover("/dev/video*").candidates
    assert candidate.numa_node is None


@pytest.mark.parametrize("name", ["cam with space", "cam-ünïcode", "cam" + "x" * 200, "cam;$(rm)"])
def test_hostile_but_printable_names_are_offered_under_a_plain_id(tree: Tree, name: str) -> None:
    tree.char(name)
    (device_id,) = ids(tree.discover("/dev/cam*"))
    assert device_id.isascii()
    assert " " not in device_id


def test_a_name_with_a_newline_is_dropped_and_shown_harmlessly(tree: Tree) -> None:
    tree.char("cam\nevil")
    found = tree.discover("/dev/cam*")
    assert ids(found) == []
    assert dropped(found) == ["/dev/cam?evil: its name has unprintable characters"]


def test_a_name_that_is_no_utf8_is_dropped(tree: Tree) -> None:
    os.mknod(bytes(tree.dev) + b"/cam\xff", 0o020666, os.makedev(1, 3))
    assert ids(tree.discover("/dev/cam*")) == []


def test_only_the_first_dropped_candidates_are_listed(tree: Tree) -> None:
    for number in range(30):
        (tree.dev / f"cam{number:02}").write_text("x")
    assert len(dropped(tree.discover("/dev/cam*"))) == 8


def test_the_directories_to_watch_include_parents_of_directories_that_do_not_exist_yet(tree: Tree) -> None:
    host = HostView(dev_root=tree.dev, sys_root=tree.sys)
    source = Paths(PathsSource(include=("/dev/serial/by-id/*",)), host)
    assert source.watched() == {tree.dev}
    (tree.dev / "serial").mkdir()
    assert source.watched() == {tree.dev, tree.dev / "serial"}


def test_the_directory_of_what_a_link_leads_to_is_watched_too(tree: Tree) -> None:
    tree.char("bus/usb/001")
    tree.link("robot/arm", "../bus/usb/001")
    tree.link("robot/away", "/etc/passwd")
    tree.link("robot/nothing", "../nowhere/at/all")
    host = HostView(dev_root=tree.dev, sys_root=tree.sys)
    source = Paths(PathsSource(include=("/dev/robot/*",)), host)
    assert source.watched() == {tree.dev, tree.dev / "robot", tree.dev / "bus/usb"}


def directories(tree: Tree, *include: str, allow: bool = False) -> Discovery:
    host = HostView(dev_root=tree.dev, sys_root=tree.sys, allow_block_devices=allow)
    return Paths(PathsSource(include=include, type="Directory"), host).discover()


def test_a_directory_is_one_device_with_all_nodes_in_it(tree: Tree) -> None:
    for name in ("dvb/adapter0/demux0", "dvb/adapter0/frontend0", "dvb/adapter0/ca/slot1", "dvb/adapter1/demux0"):
        tree.char(name)
    (tree.dev / "dvb/adapter0/readme").write_text("x")
    found = directories(tree, "/dev/dvb/adapter*")
    assert ids(found) == [id_of_path("dvb/adapter0"), id_of_path("dvb/adapter1")]
    first = found.candidates[0]
    assert first.path == first.directory == "/dev/dvb/adapter0"
    assert first.nodes == ("/dev/dvb/adapter0/demux0", "/dev/dvb/adapter0/frontend0", "/dev/dvb/adapter0/ca/slot1")
    assert first.attributes == {"nodes": "demux0,frontend0,ca/slot1"}
    assert [(step.step, step.kept) for step in found.steps] == [
        ("matched by include", 2),
        ("not excluded", 2),
        ("directories of device nodes", 2),
    ]


def test_a_directory_without_a_node_and_what_is_none_are_dropped_with_the_reason(tree: Tree) -> None:
    tree.char("cam0")
    (tree.dev / "cam1").mkdir()
    assert dropped(directories(tree, "/dev/cam*")) == [
        "/dev/cam0: it is no directory",
        "/dev/cam1: it has no device node",
    ]


def test_a_node_that_may_not_be_offered_is_left_out_of_its_directory_and_told(tree: Tree) -> None:
    tree.char("card/a")
    tree.char("card/mem", (1, 1))
    tree.block("card/disk")
    found = directories(tree, "/dev/card")
    assert found.candidates[0].nodes == ("/dev/card/a",)
    assert dropped(found) == [
        "/dev/card/disk: it is a block device, which the operator does not allow",
        "/dev/card/mem: it is the machine's memory or I/O ports, which the operator does not allow",
    ]
    assert directories(tree, "/dev/card", allow=True).candidates[0].nodes == ("/dev/card/a", "/dev/card/disk")


def test_a_link_to_a_directory_is_followed_and_links_in_a_directory_are_not(tree: Tree, tmp_path: Path) -> None:
    tree.char("snd/pcm0")
    tree.char("other/null")
    tree.link("snd/by-path", "../other")
    tree.link("snd/null", "../other/null")
    tree.link("sound", "snd")
    tree.link("away", str(tmp_path))
    found = directories(tree, "/dev/sound", "/dev/away")
    (device,) = found.candidates
    assert (device.path, device.directory, device.nodes) == ("/dev/sound", "/dev/snd", ("/dev/snd/pcm0",))
    assert device.attributes["target"] == "/dev/snd"
    assert dropped(found) == ["/dev/away: it is a link that leads out of /dev"]


def test_directories_with_a_node_in_common_are_one_device(tree: Tree) -> None:
    tree.char("bus/usb/001")
    tree.link("twin", "bus")
    found = directories(tree, "/dev/bus", "/dev/bus/usb", "/dev/twin")
    assert [candidate.path for candidate in found.candidates] == ["/dev/bus"]
    assert dropped(found) == ["/dev/bus/usb: the same device as /dev/bus", "/dev/twin: the same device as /dev/bus"]


def test_a_directory_of_too_many_nodes_is_dropped(tree: Tree) -> None:
    for number in range(MOST_NODES + 1):
        tree.char(f"pts/{number}")
    assert dropped(directories(tree, "/dev/pts")) == ["/dev/pts: it has 65 device nodes, more than 64"]


def test_what_comes_into_a_directory_at_any_depth_is_watched_for(tree: Tree) -> None:
    tree.char("dvb/adapter0/ca/slot1")
    host = HostView(dev_root=tree.dev, sys_root=tree.sys)
    source = Paths(PathsSource(include=("/dev/dvb/adapter*",), type="Directory"), host)
    assert source.watched() == {tree.dev, *(tree.dev / name for name in ("dvb", "dvb/adapter0", "dvb/adapter0/ca"))}


def test_the_numa_node_of_a_directory_is_that_of_its_nodes(tree: Tree) -> None:
    tree.char("dvb/adapter0/demux0")
    tree.char("dvb/adapter0/frontend0", (81, 0))
    (tree.sys / "devices/x").mkdir(parents=True)
    (tree.sys / "devices/x/numa_node").write_text("1\n")
    (tree.sys / "dev/char").mkdir(parents=True)
    (tree.sys / "dev/char/81:0").symlink_to("../../devices/x")
    assert directories(tree, "/dev/dvb/*").candidates[0].numa_node == 1
