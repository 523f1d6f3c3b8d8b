"""A plain file of the host's /dev as a device.

Containers get it by a bind mount, which root makes by its path: who could put another file there would choose what.
"""

import os
import stat
from pathlib import Path, PurePosixPath

from device_plugin_agent.sources.host import kind
from device_plugin_api.hostpaths import DEVICE_ROOT

_ROOT = 0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def refusal(dev_root: Path, name: str, seen: os.stat_result) -> str | None:
    """Why /dev/`name`, a path without links, may not be offered, or None. `seen`: what lstat says of it."""
    if not stat.S_ISREG(seen.st_mode):
        return f"it is a {kind(seen.st_mode)}, not a plain file"
    if seen.st_uid != _ROOT:
        return f"it belongs to user {seen.st_uid}: only root's files are offered"
    if seen.st_nlink != 1:
        return f"it has {seen.st_nlink} hard links, so it has other paths too"
    for directory in reversed(PurePosixPath(name).parents):
        shown = PurePosixPath(DEVICE_ROOT) / directory
        try:
            around = (dev_root / directory).stat()
        except OSError as error:
            return f"{shown} cannot be looked at: {error.strerror}"
        if around.st_uid != _ROOT:
            return f"user {around.st_uid}, to whom {shown} belongs, could replace it"
        # A sticky one is no better: once root has removed the file, its name is anybody's.
        if around.st_mode & _OTHERS_WRITE:
            return f"others than root can write to {shown}, and so replace it"
    return None
