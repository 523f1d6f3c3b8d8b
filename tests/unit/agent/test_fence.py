"""Whatever a source raises, the agent goes on."""

import logging
import os
from pathlib import Path

import pytest

from device_plugin_agent.sources import HostView, source_for
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
        for _ in range(3):
            source.discover()
            source.watched()
    assert len(caplog.records) <= 1  # and none as soon as the source knows better
