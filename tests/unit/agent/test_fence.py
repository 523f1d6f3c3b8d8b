"""Whatever a source raises, the agent goes on."""

import logging
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from device_plugin_agent.sources import HostView, source_for
from device_plugin_agent.sources.paths import Paths
from device_plugin_api.resource import Resource
from device_plugin_api.sources import PathsSource, Source
from manual_clock import ManualClock


@pytest.mark.parametrize("include", ["/dev/camera*", "/dev/*/x"])
def test_a_link_to_a_name_that_no_file_can_have_ends_nothing(
    tmp_path: Path, include: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("dev/shm", "sys"):
        (tmp_path / name).mkdir(parents=True)
    # Whoever may write to /dev/shm of the host can make such a link.
    for name in ("camera0", "shm/x"):
        (tmp_path / "dev" / name).symlink_to(f"/dev/{'y' * 300}/z")
    os.mknod(tmp_path / "dev/camera1", 0o020600, os.makedev(81, 1))
    resource = Resource(name="example.com/camera", source=Source(paths=PathsSource(include=(include,))))
    source = source_for(resource, HostView(dev_root=tmp_path / "dev", sys_root=tmp_path / "sys"), ManualClock())
    with caplog.at_level(logging.WARNING):
        found = source.discover()
        watched = source.watched()
    assert not caplog.records
    assert [each.id for each in found.candidates] == (["camera1"] if include == "/dev/camera*" else [])
    assert any("it is a link to a name that no file can have" in line for line in found.steps[-1].dropped)
    assert tmp_path / "dev" in watched


def test_a_source_that_fails_is_told_once_and_its_devices_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = HostView(dev_root=tmp_path, sys_root=tmp_path)
    os.mknod(tmp_path / "camera0", 0o020600, os.makedev(81, 0))
    resource = Resource(name="example.com/camera", source=Source(paths=PathsSource(include=("/dev/camera*",))))
    source = source_for(resource, host, ManualClock())
    (before,) = source.discover().candidates

    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Paths, "discover", broken)
    monkeypatch.setattr(Paths, "watched", broken)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            (after,) = source.discover().candidates
            assert source.watched() == frozenset()
    assert after == replace(before, failure=after.failure)
    assert "source paths failed: PermissionError" in (after.failure or "")
    assert [vars(record)["question"] for record in caplog.records] == ["discover", "watched"]
