"""A machine's hardware as files: what tests, bug reports and `--sys-root`/`--dev-root` are made of."""

import argparse
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from device_plugin_agent import personal
from device_plugin_api import hostpaths

_BUSES = ("iio", "pci", "usb")
_CLASSES = (
    "accel",
    "drm",
    "fpga",
    "fpga_bridge",
    "fpga_manager",
    "fpga_region",
    "hidraw",
    "infiniband",
    "misc",
    "net",
    "nvme",
    "sound",
    "tty",
    "uio",
    "usbmisc",
    "vfio",
    "video4linux",
)
_MOST = 4096
"""Bytes of an attribute that are kept: the kernel's own attributes have no more."""

_LEFT_OUT = ("config", "rom", "vpd", "eeprom", "descriptors", "report_descriptor", "remove", "rescan", "reset")

DEVICES = "dev.list"
_LISTED = re.compile("(?P<kind>[bc]) (?P<major>[0-9]{1,9}):(?P<minor>[0-9]{1,9}) (?P<name>.+)")


def main(argv: Sequence[str]) -> None:
    """`record DIR` and `replay DIR`; ends the process with a message when that is not possible."""
    parser = argparse.ArgumentParser(
        prog="device-plugin-agent", description="Records a machine's hardware as files, and makes device nodes of them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="write this machine's sysfs and list of devices to a new directory")
    recording.add_argument("--with-serials", action="store_true", help="keep serial numbers and hardware addresses")
    recording.add_argument("--sys-root", type=Path, default=Path("/sys"))
    recording.add_argument("--dev-root", type=Path, default=Path("/dev"))
    replaying = commands.add_parser("replay", help="make DIR/dev from DIR/dev.list, for --dev-root (needs CAP_MKNOD)")
    for command in (recording, replaying):
        command.add_argument("directory", type=Path, metavar="DIR")
    given = parser.parse_args(argv)
    try:
        if given.command == "record":
            given.directory.mkdir(parents=True)
            record(given.sys_root, given.dev_root, given.directory, with_serials=given.with_serials)
        else:
            replay(given.directory)
    except OSError as error:
        sys.exit(f"device-plugin-agent {given.command}: {error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"device-plugin-agent {given.command}: {error}")


def record(sys_root: Path, dev_root: Path, into: Path, *, with_serials: bool) -> None:
    """Write what matters of a machine: `sys/` with attributes and links, and the list of its device nodes."""
    lines = sorted(_devices(dev_root))
    characters = [line.split(" ", 2)[1] for line in lines if line.startswith("c ")]
    _Recording(sys_root.resolve(), into / "sys", with_serials).run(characters)
    (into / DEVICES).write_text("".join(f"{line}\n" for line in lines))


def replay(tree: Path) -> None:
    """Make `dev/` with the nodes that `dev.list` names. Numbers are the recorded machine's: nobody should open them.

    A tree may come from anybody: nothing is made but in a new `dev/`. Raises OSError, and ValueError worded for people.
    """
    root = tree / "dev"
    root.mkdir()
    for line in (tree / DEVICES).read_text().splitlines():
        listed = _LISTED.fullmatch(line)
        if listed is None or not hostpaths.is_clean_absolute(f"{hostpaths.DEVICE_ROOT}/{listed['name']}"):
            raise ValueError(f"{tree / DEVICES}: {line!r} is no device node below {hostpaths.DEVICE_ROOT}")
        node = root / listed["name"]
        node.parent.mkdir(parents=True, exist_ok=True)
        kind = stat.S_IFBLK if listed["kind"] == "b" else stat.S_IFCHR
        os.mknod(node, 0o600 | kind, os.makedev(int(listed["major"]), int(listed["minor"])))


class _Recording:
    """One copy of a sysfs. What vanishes meanwhile is left out."""

    def __init__(self, root: Path, into: Path, with_serials: bool) -> None:
        self._root = root
        self._into = into
        self._with_serials = with_serials
        self._kept: set[Path] = set()

    def run(self, characters: Iterable[str]) -> None:
        """Keep what the buses and classes list, and what is behind the character devices of these numbers."""
        listed = [listing / name for listing in _listings(self._root) for name in sorted(os.listdir(listing))]
        for link in (*listed, *(self._root / "dev/char" / number for number in characters)):
            self._keep_link(link)
            device = _target(link)
            if device is not None and device.is_relative_to(self._root) and self._may_keep(str(device)):
                self._keep_device(device)

    def _keep_device(self, device: Path) -> None:
        # Of the way up only what tells where it hangs.
        for above in device.parents:
            if above == self._root:
                break
            self._keep_attributes(above, ("numa_node", "uevent", "vendor", "device", "version"))
        for directory, inside, files in os.walk(device):
            here = Path(directory)
            if here in self._kept:
                inside.clear()
                continue
            self._kept.add(here)
            inside[:] = sorted(filter(self._may_keep, inside))
            self._keep_attributes(here, files)
            for name in (*inside, *sorted(files)):
                self._keep_link(here / name)

    def _keep_attributes(self, directory: Path, names: Iterable[str]) -> None:
        there = self._into / directory.relative_to(self._root)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name in _LEFT_OUT or name.startswith("resource") or (there / name).is_symlink():
                continue
            text = _read(directory / name)
            if text is not None:
                (there / name).write_bytes(text if self._with_serials else personal.without(name, text))

    def _keep_link(self, link: Path) -> None:
        try:
            target = os.readlink(link)
        except OSError:
            return
        copy = self._into / link.relative_to(self._root)
        if target.startswith("/") or not self._may_keep(link.name) or not self._may_keep(target):
            return
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.is_symlink() and not copy.exists():
            copy.symlink_to(target)

    def _may_keep(self, name: str) -> bool:
        return self._with_serials or not personal.in_name(name)


def _listings(root: Path) -> Iterator[Path]:
    for path in (*(root / "bus" / bus / "devices" for bus in _BUSES), *(root / "class" / each for each in _CLASSES)):
        if path.is_dir():
            yield path


def _target(link: Path) -> Path | None:
    try:
        return link.resolve(strict=True) if link.is_symlink() else None
    except (OSError, RuntimeError):
        return None


def _read(attribute: Path) -> bytes | None:
    try:
        file = os.open(attribute, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.read(file, _MOST)
    except OSError:
        return None
    finally:
        os.close(file)


def _devices(dev_root: Path) -> Iterator[str]:
    for directory, _, files in os.walk(dev_root):
        for name in files:
            path = Path(directory, name)
            try:
                seen = path.lstat()
            except OSError:
                continue
            kind = "c" if stat.S_ISCHR(seen.st_mode) else "b" if stat.S_ISBLK(seen.st_mode) else ""
            relative = str(path.relative_to(dev_root))
            if kind and relative.isprintable():
                yield f"{kind} {os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)} {relative}"
