"""CDI specs: what they say, and when their files are written and removed."""

import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.cdi.files import CdiFile, remove_leftovers
from device_plugin_agent.cdi.spec import Device, class_of, device, device_id_of, merged, name_of, spec
from device_plugin_agent.cdi.upkeep import Upkeep
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_agent.sources.identity import id_of_path
from device_plugin_api.node import Holder
from device_plugin_api.resource import Allocation, Cdi, Health
from manual_clock import ManualClock

CAMERA = "example.com/camera"
SETTINGS = Allocation(cdi=Cdi(uid=1000, gid=44, file_mode="0660"))
PLAIN = Allocation(cdi=Cdi())


def candidate(name: str) -> Candidate:
    return Candidate(id=name, path=f"/dev/{name}", nodes=(f"/dev/{name}",))


def made(found: Candidate, settings: Allocation = SETTINGS) -> Device:
    device_ = device(found, settings)
    assert device_ is not None
    return device_


def node_of(found: Device) -> tuple[str, str]:
    (node,) = found.container_edits.device_nodes
    return node.host_path, node.path


def content(file: CdiFile) -> Any:
    return json.loads(file.path.read_text())


def names(file: CdiFile) -> set[str]:
    return {device_id_of(each["name"]) for each in content(file)["devices"]}


def test_a_device_node_has_the_owner_and_the_mode_of_the_settings(tmp_path: Path) -> None:
    file = CdiFile(tmp_path, "uid", CAMERA)
    file.settle([made(candidate("video0"))], ())
    name = name_of("video0", SETTINGS)
    assert content(file) == {
        "cdiVersion": "0.3.0",
        "kind": f"deviceplugins.dev/{class_of('uid', CAMERA)}",
        "devices": [
            {
                "name": name,
                "containerEdits": {
                    "deviceNodes": [
                        {"path": "/dev/video0", "permissions": "rw", "uid": 1000, "gid": 44, "fileMode": 0o660}
                    ]
                },
            }
        ],
    }
    assert file.qualified(name) == f"deviceplugins.dev/{class_of('uid', CAMERA)}={name}"


def test_what_is_not_set_is_not_said() -> None:
    (node,) = made(candidate("video0"), PLAIN).container_edits.device_nodes
    assert (node.uid, node.gid, node.file_mode) == (None, None, None)


def test_the_nodes_of_a_directory_are_in_it_where_they_are_on_the_host() -> None:
    nodes = ("/dev/dvb/adapter0/demux0", "/dev/dvb/adapter0/ca/slot1")
    found = Candidate(id="tv", path="/dev/dvb/adapter0", directory="/dev/dvb/adapter0", nodes=nodes)
    edits = made(found).container_edits
    assert [(node.path, node.gid) for node in edits.device_nodes] == [(nodes[0], 44), (nodes[1], 44)]


def test_the_path_in_the_container_follows_its_template() -> None:
    settings = Allocation(container_path="/dev/camera-$(DEVICE_ID)", cdi=Cdi())
    assert node_of(made(candidate("video0"), settings)) == ("/dev/video0", "/dev/camera-video0")


def test_all_nodes_of_a_device_are_in_it() -> None:
    found = Candidate(id="a", path="/dev/vfio/7", nodes=("/dev/vfio/7",), shared_nodes=("/dev/vfio/vfio",))
    assert [node.path for node in made(found).container_edits.device_nodes] == ["/dev/vfio/7", "/dev/vfio/vfio"]


@pytest.mark.parametrize(
    ("found", "settings", "version"),
    [
        (candidate("video0"), PLAIN, "0.3.0"),
        (candidate("0000:3b:00.0"), PLAIN, "0.5.0"),
        (candidate("video0"), Allocation(container_path="/dev/$(DEVICE_ID)x", cdi=Cdi()), "0.5.0"),
    ],
)
def test_the_version_is_the_lowest_that_has_what_is_used(found: Candidate, settings: Allocation, version: str) -> None:
    assert spec("c", (made(found, settings),)).cdi_version == version


def test_a_device_that_cannot_be_said_is_left_out() -> None:
    assert device(Candidate(id="sim"), PLAIN) is None
    assert device(candidate("a"), Allocation(container_path="/dev/$(attributes.x)$(DEVICE_ID)", cdi=Cdi())) is None


def test_other_settings_are_other_names_and_the_same_are_the_same() -> None:
    settings = [PLAIN, SETTINGS, Allocation(permissions="r", cdi=Cdi()), Allocation(cdi=Cdi(gid=1))]
    assert len({name_of("a", each) for each in settings}) == len(settings)
    assert name_of("a", PLAIN) == name_of("a", Allocation(cdi=Cdi(mode="Always"), policy="Packed"))


@given(
    st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", fullmatch=True),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=80),
)
def test_every_name_is_one_that_container_runtimes_take(base: str, path: str) -> None:
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*[A-Za-z0-9]", class_of("uid", f"example.com/{base}"))
    name = name_of(id_of_path(path), SETTINGS)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*[A-Za-z0-9]", name)
    assert device_id_of(name) == id_of_path(path)


def test_a_used_device_keeps_the_names_it_had() -> None:
    former = [made(candidate(name), PLAIN) for name in ("a", "b")]
    wanted = [made(candidate(name)) for name in ("a", "b")]
    kept = {each.name for each in merged(wanted, former, {"b"})}
    assert kept == {name_of("a", SETTINGS), name_of("b", SETTINGS), name_of("b", PLAIN)}
    assert len(merged(wanted, former, None)) == 4, "as long as it is not known what is used, everything stays"


def test_a_device_that_came_back_elsewhere_is_found_there_under_its_name() -> None:
    moved = Candidate(id="a", path="/dev/b", nodes=("/dev/b",))
    (kept,) = merged([made(moved)], [made(candidate("a"))], {"a"})
    assert node_of(kept) == ("", "/dev/b")


def test_a_file_without_devices_is_no_file(tmp_path: Path) -> None:
    file = CdiFile(tmp_path, "uid", CAMERA)
    file.settle([made(candidate("a"))], ())
    file.settle([], ())
    assert list(tmp_path.iterdir()) == []
    assert file.intact


def test_a_new_process_takes_over_what_the_last_one_wrote(tmp_path: Path) -> None:
    CdiFile(tmp_path, "uid", CAMERA).settle([made(candidate("a")), made(candidate("b"))], ())
    file = CdiFile(tmp_path, "uid", CAMERA)
    file.settle([], {"b"})
    assert names(file) == {"b"}


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b'{"kind": 1}'])
def test_a_damaged_file_is_written_anew(tmp_path: Path, damage: bytes) -> None:
    CdiFile(tmp_path, "uid", CAMERA).path.write_bytes(damage)
    file = CdiFile(tmp_path, "uid", CAMERA)
    file.settle([made(candidate("a"))], ())
    assert names(file) == {"a"}


def test_what_could_not_be_written_is_told_and_not_taken_for_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = CdiFile(tmp_path / "file", "uid", CAMERA)
    file.settle([made(candidate("a"))], ())
    assert "File exists" in (file.trouble or "")
    assert (dict(file.devices), file.intact) == ({}, False)


def test_configs_and_resources_have_files_and_classes_of_their_own(tmp_path: Path) -> None:
    files = [CdiFile(tmp_path, uid, name) for uid in ("u1", "u2") for name in (CAMERA, "example.org/camera")]
    assert len({file.path for file in files}) == 4
    assert len({file.qualified("a") for file in files}) == 4


def test_leftovers_go_when_they_are_not_kept_and_others_files_never(tmp_path: Path) -> None:
    mine = [CdiFile(tmp_path, "u1", name) for name in ("a.com/kept", "a.com/gone")]
    theirs = CdiFile(tmp_path, "u2", "a.com/gone")
    for file in (*mine, theirs):
        file.settle([made(candidate("a"))], ())
    (tmp_path / "vendor.json").touch()
    remove_leftovers(tmp_path, "u1", ["a.com/kept"])
    assert {path.name for path in tmp_path.iterdir()} == {mine[0].path.name, theirs.path.name, "vendor.json"}


class Bench:
    """A process that keeps one file."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.handed_over = False
        self.upkeep = Upkeep(directory, "uid", lambda: self.handed_over)
        self.file = self.upkeep.file(CAMERA)
        self.inventory = Inventory(Health(success_threshold=1))

    def see(self, *found: str, used: Mapping[str, tuple[Holder, ...]] | None = None) -> None:
        now, monotonic = self.clock.now(), self.clock.monotonic()
        discovery = Discovery(candidates=tuple(map(candidate, found)), steps=())
        self.inventory.observe(discovery, now=now, monotonic=monotonic)
        if used is not None:
            self.inventory.use(used, now=now, monotonic=monotonic, asked=monotonic)
            self.upkeep.heard([CAMERA] if used else [], [CAMERA])

    def settle(self, settings: Allocation | None = SETTINGS) -> None:
        self.upkeep.settle(self.file, self.inventory, settings)


POD = (Holder(namespace="n", pod="p", container="c"),)


def test_nothing_is_written_while_nothing_changes_and_a_removed_file_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.see("a")
    bench.settle()
    written = bench.file.path.stat().st_ino
    bench.settle()
    assert bench.file.path.stat().st_ino == written
    bench.file.path.unlink()
    bench.settle()
    assert names(bench.file) == {"a"}


def test_a_write_that_fails_half_way_leaves_the_old_file_and_is_told_and_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    bench = Bench(tmp_path)
    bench.see("a")
    bench.settle()
    old, known = bench.file.path.read_bytes(), dict(bench.file.devices)
    bench.see("a", "b")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        bench.settle()
    assert bench.file.path.read_bytes() == old
    assert bench.file.trouble == f"{bench.file.path}: No space left on device"
    assert (dict(bench.file.devices), bench.file.intact) == (known, False)
    bench.settle()
    assert names(bench.file) == {"a", "b"}
    assert bench.file.intact
    assert list(tmp_path.iterdir()) == [bench.file.path]


def test_a_file_outlives_its_use_in_the_settings_until_no_container_has_a_device(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.see("a", "b", used={"a": POD})
    bench.settle()
    bench.handed_over = True
    bench.settle(None)
    assert names(bench.file) == {"a"}
    bench.see("a", "b", used={})
    bench.settle(None)
    assert not bench.file.path.exists()


def test_a_new_process_keeps_everything_until_podresources_can_know_what_was_handed_out(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    first.see("a")
    first.settle()
    second = Bench(tmp_path)
    second.see(used={})
    second.settle(None)
    assert names(second.file) == {"a"}
    second.handed_over = True
    second.settle(None)
    assert not second.file.path.exists()


def test_where_nothing_is_to_be_written_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    file = CdiFile(tmp_path, "uid", CAMERA)
    file.settle([], set())
    assert (file.trouble, file.intact) == (None, True)
