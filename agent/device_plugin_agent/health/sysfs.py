"""Bounded reads below the host's /sys."""

import os
import stat
from pathlib import Path

from device_plugin_agent.sources import HostView
from device_plugin_api.hostpaths import SYSFS_ROOTS, is_below

MOST = 4096
"""Bytes of an attribute that are read: the kernel's own attributes have no more."""

_SYS = "/sys"


class Unreadable(Exception):
    """Why an attribute cannot be read, worded for people."""


def located(host: HostView, path: str) -> Path:
    """Where a path of the host's /sys is seen here, links followed; raises Unreadable for one that leads elsewhere."""
    seen = Path(os.path.realpath(host.sys_root / path.removeprefix(f"{_SYS}/")))
    inside = f"{_SYS}/{seen.relative_to(host.sys_root)}" if seen.is_relative_to(host.sys_root) else ""
    if not any(is_below(inside, allowed) for allowed in SYSFS_ROOTS):
        raise Unreadable(f"{path} leads out of {', '.join(SYSFS_ROOTS)}")
    return seen


def read(host: HostView, path: str) -> str:
    """An attribute's text without white space at its ends; raises Unreadable."""
    try:
        file = os.open(located(host, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise Unreadable(f"{path} is no plain file")
            return os.read(file, MOST).decode(errors="replace").strip()
        finally:
            os.close(file)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}") from None
