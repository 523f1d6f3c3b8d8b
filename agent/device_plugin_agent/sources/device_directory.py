"""A directory of the host's /dev as one device: all the device nodes in it, such as /dev/dvb/adapter0 has."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from device_plugin_agent.sources.host import HostView
from device_plugin_api.hostpaths import DEVICE_ROOT

MOST_NODES = 64
"""Of one device: each stands in the answer to every Allocate, which the kubelet keeps in its checkpoint."""

_MOST_DIRECTORIES = 64


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a container gets of a directory."""

    nodes: tuple[str, ...]
    """Host paths, sorted."""
    numa_node: int | None
    """Of the first of them that tells one."""
    left_out: tuple[str, ...]
    """The other nodes in it, each with the reason."""


class Unfit(Exception):
    """Why it cannot be offered."""


def look(host: HostView, directory: str) -> Content:
    """The content of /dev/`directory`, at any depth, links not followed; raises Unfit."""
    nodes: list[str] = []
    numa_nodes: list[int] = []
    left_out: list[str] = []
    for path, seen in _nodes(host.dev_root / directory):
        shown = f"{DEVICE_ROOT}/{path.relative_to(host.dev_root)}"
        hardware = host.behind(seen)
        refusal = host.refusal(seen, hardware) if shown.isprintable() else "its name has unprintable characters"
        if refusal is not None:
            left_out.append(f"{shown}: {refusal}")
            continue
        nodes.append(shown)
        numa_node = None if hardware is None else host.numa_node_of(hardware)
        if numa_node is not None:
            numa_nodes.append(numa_node)
    if not nodes:
        raise Unfit("; ".join(("it has no device node", *left_out)))
    if len(nodes) > MOST_NODES:
        raise Unfit(f"it has {len(nodes)} device nodes, more than {MOST_NODES}")
    return Content(nodes=tuple(nodes), numa_node=next(iter(numa_nodes), None), left_out=tuple(left_out))


def below(root: Path) -> Iterator[Path]:
    """The directory and those in it, as far as they are looked into; none for what is no directory."""
    for directory, _ in _walk(root):
        yield directory


def _nodes(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for directory, names in _walk(root):
        for name in names:
            try:
                seen = os.lstat(directory / name)
            except OSError:
                continue
            if stat.S_ISCHR(seen.st_mode) or stat.S_ISBLK(seen.st_mode):
                yield directory / name, seen


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each directory and what is no directory in it, sorted."""
    for number, (directory, inside, names) in enumerate(os.walk(root)):
        if number == _MOST_DIRECTORIES:
            return
        inside.sort()
        yield Path(directory), sorted(names)
