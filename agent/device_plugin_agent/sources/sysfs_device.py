"""One device's directory in the host's /sys: its attributes, and the device nodes that belong to it."""

import os
import stat
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.selection import printable
from device_plugin_api import hostpaths
from device_plugin_api.hostpaths import DEVICE_ROOT

_GLOB = frozenset("*?[")

_MOST = 4096
"""Bytes of an attribute, and directories of one device, that are looked at."""

_DEPTH = 12


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A device node that the kernel made for a device."""

    path: str
    """As the host names it."""
    subsystem: str


class NoNode(Exception):
    """Why a node that the kernel names cannot be offered."""


def attribute(directory: Path, name: str) -> str:
    """A text attribute without white space at its ends, in printable characters; empty when it cannot be read."""
    try:
        return text(directory, name)
    except OSError:
        return ""


def text(directory: Path, name: str) -> str:
    """The same; raises OSError when it cannot be read."""
    with (directory / name).open("rb") as file:
        return printable(file.read(_MOST).decode(errors="replace").strip())


def names(directory: Path) -> list[str]:
    """What a directory has in it, sorted; nothing when there is none."""
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def matches(directory: Path, pattern: str) -> list[Path]:
    """What fits a glob below a directory, sorted. What goes away meanwhile is not there, where Path.glob may raise."""
    found = [directory]
    for part in pattern.split("/"):
        if _GLOB.isdisjoint(part):
            found = [place / part for place in found if os.path.lexists(place / part)]
        else:
            found = [place / name for place in found for name in names(place) if fnmatchcase(name, part)]
    return found


def target(directory: Path, link: str) -> str:
    """The last part of where a link leads (`driver`, `subsystem`, …) in printable characters; empty when it is none."""
    try:
        return printable(os.path.basename(os.readlink(directory / link)))
    except OSError:
        return ""


def nodes(host: HostView, directory: Path, *, stranger: Callable[[Path], bool]) -> tuple[list[Node], list[str]]:
    """The nodes of a device and of what it has inside, and why others of its nodes are left out.

    `stranger` tells a directory that is another device.
    """
    found, dropped = [], []
    for inside in _inside(directory, stranger):
        number, name = attribute(inside, "dev"), _uevent(inside).get("DEVNAME", "")
        if not number or not name:
            continue
        subsystem = target(inside, "subsystem")
        try:
            refused = host.refusal_of(inside)
            if refused is not None:
                raise NoNode(refused)
            found.append(Node(path=_checked(host, name, number, block=subsystem == "block"), subsystem=subsystem))
        except NoNode as refusal:
            dropped.append(f"{DEVICE_ROOT}/{name}: {refusal}")
    return found, dropped


def checked(host: HostView, name: str) -> str:
    """The path of a node below /dev that may be offered; raises NoNode."""
    _seen(host, name)
    return f"{DEVICE_ROOT}/{name}"


def _seen(host: HostView, name: str) -> os.stat_result:
    """A node below /dev that may be offered, looked at once; raises NoNode."""
    if not hostpaths.is_clean_absolute(f"{DEVICE_ROOT}/{name}"):
        raise NoNode("its name is none of a device node")
    try:
        if host.resolve(name) != name:
            raise NoNode("it is a link")
        seen = os.lstat(host.dev_root / name)
    except ValueError as error:
        raise NoNode(str(error)) from None
    except OSError as error:
        raise NoNode(f"cannot be looked at: {error.strerror}") from None
    refusal = host.refusal(seen, host.behind(seen))
    if refusal is not None:
        raise NoNode(refusal)
    return seen


def _checked(host: HostView, name: str, number: str, *, block: bool) -> str:
    seen = _seen(host, name)
    if f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}" != number or stat.S_ISBLK(seen.st_mode) != block:
        raise NoNode(f"is not the device {number} that the kernel names")
    return f"{DEVICE_ROOT}/{name}"


def _inside(directory: Path, stranger: Callable[[Path], bool]) -> Iterator[Path]:
    """The directory and all below it, links not followed."""
    todo = [(directory, 0)]
    for _ in range(_MOST):
        if not todo:
            return
        inside, depth = todo.pop()
        yield inside
        try:
            names = sorted(entry.name for entry in os.scandir(inside) if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
        if depth < _DEPTH:
            below = [inside / name for name in reversed(names)]
            todo += [(child, depth + 1) for child in below if not stranger(child)]


def _uevent(directory: Path) -> dict[str, str]:
    try:
        lines = (directory / "uevent").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {key: value for key, _, value in pairs}
