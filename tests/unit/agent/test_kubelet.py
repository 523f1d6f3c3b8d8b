"""How patient a registration is, and how often the kubelet's socket is looked at."""

import asyncio
import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.clock import SystemClock
from device_plugin_agent.kubelet import KubeletSocket, pause
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.watch import DirectoryWatch

GRACE = 300.0
"""Seconds after which the kubelet forgets a plugin (endpointStopGracePeriod)."""


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_however_often_it_failed_the_next_attempt_is_well_within_the_kubelets_grace(
    failures: int, jitter: float
) -> None:
    assert 0 < pause(failures, jitter) < GRACE / 5


@given(st.integers(1, 60))
def test_attempts_come_ever_more_slowly_from_a_few_milliseconds_on(failures: int) -> None:
    assert pause(1, 0.0) < 0.05
    assert pause(failures, 0.0) <= pause(failures + 1, 0.0)


def overflow(directory: Path) -> None:
    """More events than the kernel keeps; nothing reads them meanwhile, and the last it keeps tells of the rest."""
    other = directory / "other"
    for _ in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())):
        other.touch()
        other.unlink()


async def test_another_kubelet_of_which_the_kernel_dropped_the_events_is_found_at_once(tmp_path: Path) -> None:
    file = tmp_path / "kubelet.sock"
    file.touch()
    socket = KubeletSocket(tmp_path, Pulse(SystemClock()))
    watching = asyncio.create_task(socket.run())
    first = await socket.present()
    overflow(tmp_path)
    file.rename(tmp_path / "old")
    file.touch()
    assert await socket.another_than(first, 1.0)
    watching.cancel()


@pytest.mark.parametrize("events", [True, False], ids=["lost", "not to be had"])
async def test_another_kubelet_of_which_no_event_tells_is_found_within_about_a_second(
    tmp_path: Path, events: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if events:
        monkeypatch.setattr(DirectoryWatch, "_read", lambda watch, inotify: inotify.read(timeout=0))
    else:
        monkeypatch.setattr("device_plugin_agent.watch.INotify", no_inotify)
    file = tmp_path / "kubelet.sock"
    file.touch()
    socket = KubeletSocket(tmp_path, Pulse(SystemClock()))
    watching = asyncio.create_task(socket.run())
    first = await socket.present()
    file.rename(tmp_path / "old")
    file.touch()
    assert await socket.another_than(first, 1.5)
    watching.cancel()


def no_inotify(**_: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")
