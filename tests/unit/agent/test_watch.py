"""Events of directories."""

import asyncio
import errno
import logging
import os
from pathlib import Path

import pytest
from inotify_simple import INotify

from device_plugin_agent.watch import DirectoryWatch


async def test_a_directory_that_the_kernel_has_no_watch_for_is_told_once_and_one_that_is_not_there_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch = DirectoryWatch(lambda: None)
    with caplog.at_level(logging.WARNING):
        watch.follow((tmp_path / "nothing",))
        assert not caplog.records

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(INotify, "add_watch", full)
        for _ in range(3):
            watch.follow((tmp_path,))
    assert [record.err for record in caplog.records] == ["No space left on device"]  # type: ignore[attr-defined]
    watch.close()


async def test_an_entry_that_comes_wakes(tmp_path: Path) -> None:
    woken = asyncio.Event()
    watch = DirectoryWatch(woken.set)
    watch.follow((tmp_path,))
    (tmp_path / "a").touch()
    await asyncio.wait_for(woken.wait(), 10)
    watch.close()


async def test_it_says_whether_all_of_the_directories_are_watched(tmp_path: Path) -> None:
    there, later = tmp_path / "there", tmp_path / "later"
    there.mkdir()
    watch = DirectoryWatch(lambda: None)
    assert watch.follow((there,))
    assert not watch.follow((there, later))
    later.mkdir()
    assert watch.follow((there, later))
    watch.close()
