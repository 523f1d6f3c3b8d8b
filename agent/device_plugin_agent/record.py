"""A machine's hardware as files: what tests, bug reports and `--sys-root`/`--dev-root` are made of."""

import argparse
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_BUSES = ("pci", "usb")
_CLASSES = (
    "accel",
    "drm",
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
_PERSONAL = ("serial", "address", "wwid", "uuid", "unique_id", "phys_port_id", "phys_switch_id", "permaddr")
"""Attributes whose names have this in them tell one machine from another of the same kind."""

DEVICES = "dev.list"


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


def record(sys_root: Path, dev_root: Path, into: Path, *, with_serials: bool) -> None:
    """Write what matters of a machine: `sys/` with attributes and links, and the list of its device nodes."""
    root = sys_root.resolve()
    links = [link for listing in _listings(root) for link in sorted(listing.iterdir()) if link.is_symlink()]
    for link in links:
        _keep_link(link, root, into)
    kept: set[Path] = set()
    for device in sorted({link.resolve() for link in links}):
        # Sorted, a device comes before what is inside, which is kept with it.
        if device.is_relative_to(root) and not kept.intersection(device.parents):
            kept.add(device)
            _keep_device(device, root, into, with_serials=with_serials)
    lines = sorted(_devices(dev_root))
    (into / DEVICES).write_text("".join(f"{line}\n" for line in lines))


def replay(tree: Path) -> None:
    """Make `dev/` with the nodes that `dev.list` names. Numbers are the recorded machine's: nobody should open them."""
    for line in (tree / DEVICES).read_text().splitlines():
        kind, number, name = line.split(" ", 2)
        major, minor = map(int, number.split(":"))
        node = tree / "dev" / name
        node.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(node, 0o600 | (stat.S_IFBLK if kind == "b" else stat.S_IFCHR), os.makedev(major, minor))


def _listings(root: Path) -> Iterator[Path]:
    for path in (*(root / "bus" / bus / "devices" for bus in _BUSES), *(root / "class" / each for each in _CLASSES)):
        if path.is_dir():
            yield path


def _keep_device(device: Path, root: Path, into: Path, *, with_serials: bool) -> None:
    # Of the way up only what tells where it hangs.
    for above in device.parents:
        if above == root:
            break
        _keep_attributes(above, ("numa_node", "uevent", "vendor", "device", "version"), root, into, with_serials)
    for directory, _, files in os.walk(device):
        here = Path(directory)
        _keep_attributes(here, files, root, into, with_serials)
        for link in sorted(entry for entry in here.iterdir() if entry.is_symlink()):
            _keep_link(link, root, into)


def _keep_attributes(directory: Path, names: Iterable[str], root: Path, into: Path, with_serials: bool) -> None:
    there = into / "sys" / directory.relative_to(root)
    there.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name in _LEFT_OUT or name.startswith("resource") or (there / name).is_symlink():
            continue
        try:
            file = os.open(directory / name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            text = os.read(file, _MOST)
        except OSError:
            continue
        finally:
            os.close(file)
        personal = not with_serials and any(part in name for part in _PERSONAL)
        (there / name).write_bytes(b"left-out\n" if personal and text.strip() else text)


def _keep_link(link: Path, root: Path, into: Path) -> None:
    copy = into / "sys" / link.relative_to(root)
    copy.parent.mkdir(parents=True, exist_ok=True)
    target = os.readlink(link)
    if not copy.is_symlink() and not copy.exists() and not target.startswith("/"):
        copy.symlink_to(target)


def _devices(dev_root: Path) -> Iterator[str]:
    for directory, _, files in os.walk(dev_root):
        for name in files:
            path = Path(directory, name)
            seen = path.lstat()
            kind = "c" if stat.S_ISCHR(seen.st_mode) else "b" if stat.S_ISBLK(seen.st_mode) else ""
            relative = str(path.relative_to(dev_root))
            if kind and relative.isprintable():
                yield f"{kind} {os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)} {relative}"
