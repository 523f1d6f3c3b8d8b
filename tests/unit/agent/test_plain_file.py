"""Plain files as devices: only those that nobody but root can replace."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_plugin_agent.allocation import grant
from device_plugin_agent.entry import Entry
from device_plugin_agent.health.tracker import Track
from device_plugin_agent.sources import Candidate, Discovery, HostView
from device_plugin_agent.sources.paths import Paths
from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Allocation, Mount
from device_plugin_api.sources import PathsSource

SOMEBODY = 1000


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    return made(tmp_path / "dev")


def made(directory: Path) -> Path:
    directory.mkdir()
    directory.chmod(0o755)
    return directory


def files(dev: Path, *include: str) -> Discovery:
    host = HostView(dev_root=dev, sys_root=dev.parent / "sys")
    return Paths(PathsSource(include=include, type="File"), host).discover()


def dropped(discovery: Discovery) -> list[str]:
    return [text for step in discovery.steps for text in step.dropped]


def test_a_plain_file_of_root_is_one_device_without_a_node(dev: Path) -> None:
    made(dev / "keys")
    (dev / "keys/a").write_text("x")
    found = files(dev, "/dev/keys/*")
    (device,) = found.candidates
    assert (device.id, device.path, device.file, device.nodes) == ("keys--a", "/dev/keys/a", "/dev/keys/a", ())
    assert device.marks == {"/dev/keys/a"}
    assert [(step.step, step.kept) for step in found.steps] == [
        ("matched by include", 1),
        ("not excluded", 1),
        ("plain files", 1),
    ]


def test_what_is_no_plain_file_is_dropped_and_named(dev: Path) -> None:
    made(dev / "a-directory")
    os.mkfifo(dev / "a-pipe")
    os.mknod(dev / "a-node", 0o020666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(dev / "a-socket"))
        assert dropped(files(dev, "/dev/*")) == [
            "/dev/a-directory: it is a directory, not a plain file",
            "/dev/a-node: it is a device node, not a plain file",
            "/dev/a-pipe: it is a pipe, not a plain file",
            "/dev/a-socket: it is a socket, not a plain file",
        ]


def of_somebody(dev: Path) -> None:
    os.chown(dev / "keys/a", SOMEBODY, 0)


def with_a_second_name(dev: Path) -> None:
    (dev / "keys/b").hardlink_to(dev / "keys/a")


def in_a_directory_of_somebody(dev: Path) -> None:
    os.chown(dev / "keys", SOMEBODY, 0)


def in_a_directory_for_a_group(dev: Path) -> None:
    (dev / "keys").chmod(0o775)


def in_a_sticky_directory_for_all(dev: Path) -> None:
    (dev / "keys").chmod(0o1777)


def in_a_dev_for_all(dev: Path) -> None:
    dev.chmod(0o757)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (of_somebody, "it belongs to user 1000: only root's files are offered"),
        (with_a_second_name, "it has 2 hard links, so it has other paths too"),
        (in_a_directory_of_somebody, "user 1000, to whom /dev/keys belongs, could replace it"),
        (in_a_directory_for_a_group, "others than root can write to /dev/keys, and so replace it"),
        (in_a_sticky_directory_for_all, "others than root can write to /dev/keys, and so replace it"),
        (in_a_dev_for_all, "others than root can write to /dev, and so replace it"),
    ],
)
def test_a_file_that_others_than_root_could_replace_is_refused_with_the_reason(
    dev: Path, spoil: Callable[[Path], None], why: str
) -> None:
    made(dev / "keys")
    (dev / "keys/a").write_text("x")
    spoil(dev)
    found = files(dev, "/dev/keys/a")
    assert found.candidates == ()
    assert dropped(found) == [f"/dev/keys/a: {why}"]


def test_a_link_to_a_file_is_followed_and_shown_and_judged_by_where_the_file_is(dev: Path) -> None:
    made(dev / "keys")
    (dev / "keys/a").write_text("x")
    (dev / "shm").mkdir()
    (dev / "shm").chmod(0o1777)
    (dev / "shm/b").write_text("x")
    (dev / "good").symlink_to("keys/a")
    (dev / "bad").symlink_to("shm/b")
    (dev / "ugly").symlink_to("/etc/passwd")
    found = files(dev, "/dev/good", "/dev/bad", "/dev/ugly")
    (device,) = found.candidates
    assert (device.path, device.file, device.attributes) == ("/dev/good", "/dev/keys/a", {"target": "/dev/keys/a"})
    assert dropped(found) == [
        "/dev/bad: others than root can write to /dev/shm, and so replace it",
        "/dev/ugly: it is a link that leads out of /dev",
    ]


def test_a_file_under_two_names_is_one_device(dev: Path) -> None:
    (dev / "a").write_text("x")
    (dev / "b").symlink_to("a")
    found = files(dev, "/dev/?")
    assert [device.path for device in found.candidates] == ["/dev/a"]
    assert dropped(found) == ["/dev/b: the same device as /dev/a"]


@dataclass(frozen=True)
class Around:
    """A directory on the way to a file."""

    mode: int
    owner: int


AROUND = st.builds(
    Around, mode=st.integers(0, 0o1777).map(lambda mode: mode | 0o500), owner=st.sampled_from([0, 0, 0, SOMEBODY])
)


@settings(max_examples=60, deadline=None)
@given(
    around=st.lists(AROUND, min_size=1, max_size=4), owner=st.sampled_from([0, 0, SOMEBODY]), mode=st.integers(0, 0o777)
)
def test_a_file_is_offered_if_and_only_if_nobody_but_root_can_put_another_in_its_place(
    around: list[Around], owner: int, mode: int
) -> None:
    with TemporaryDirectory() as root:
        directories = [Path(root) / "dev"]
        for number in range(1, len(around)):
            directories.append(directories[-1] / str(number))
        directories[-1].mkdir(parents=True)
        file = directories[-1] / "file"
        file.touch()
        file.chmod(mode)
        os.chown(file, owner, SOMEBODY)
        for directory, wanted in zip(directories, around, strict=True):
            os.chown(directory, wanted.owner, SOMEBODY)
            directory.chmod(wanted.mode)
        offered = files(directories[0], f"/dev/{file.relative_to(directories[0])}").candidates
        safe = owner == 0 and all(each.owner == 0 and each.mode & 0o022 == 0 for each in around)
        assert bool(offered) == safe


FILE = Candidate(id="keys--a", path="/dev/link", file="/dev/keys/a")
ENTRY = Entry(device=FILE, track=Track(state=DeviceState.HEALTHY, reason="Works", message="", since=0.0))


@pytest.mark.parametrize(
    ("allocation", "inside", "read_only"),
    [
        (Allocation(), "/dev/link", True),
        (Allocation(permissions="rw"), "/dev/link", True),
        (Allocation(writable_files=True, container_path="/dev/key$(INDEX)"), "/dev/key0", False),
    ],
)
def test_a_container_gets_a_file_by_a_mount_that_is_read_only_unless_asked_for(
    allocation: Allocation, inside: str, read_only: bool
) -> None:
    granted = grant("example.com/key", allocation, [ENTRY])
    assert granted.nodes == ()
    assert granted.mounts == (Mount(host_path="/dev/keys/a", container_path=inside, read_only=read_only),)
    assert granted.env == {"KEY_ID": "keys--a", "KEY_PATH": inside}
