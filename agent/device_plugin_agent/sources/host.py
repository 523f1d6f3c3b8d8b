"""The host's /dev and /sys as the agent sees them, and which device nodes it may offer at all."""

import errno
import os
import stat
from pathlib import Path

import msgspec

from device_plugin_agent.sources.nvidia.worker import Nvml
from device_plugin_api.hostpaths import DEVICE_ROOT, HEARTBEATS

_MAX_LINKS = 40

# Linux' Documentation/admin-guide/devices.txt: char 1:1 is /dev/mem, 1:2 /dev/kmem, 1:4 /dev/port, by whatever name.
_MEMORY = frozenset({(1, 1), (1, 2), (1, 4)})


_DISKS = frozenset({"nvme", "nvme-generic", "scsi_generic", "bsg", "mtd"})
"""Subsystems whose character devices read and write whole disks."""


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the host's trees are mounted, and the operator's word on dangerous devices."""

    dev_root: Path
    sys_root: Path
    heartbeat_dir: Path = Path(HEARTBEATS)
    net_dir: Path = Path("/host/net")
    """The host's routes: /proc/1/net of the host."""
    driver_dir: Path = Path("/proc/driver")
    """What drivers tell of themselves, the host's although it is the agent's own /proc."""
    cdi_dirs: tuple[Path, ...] = (Path("/etc/cdi"), Path("/var/run/cdi"))
    """Where container runtimes look for CDI specs."""
    nvml: Nvml = msgspec.field(default_factory=Nvml)
    """The NVIDIA driver's own library. Nothing is loaded before somebody asks it."""
    allow_block_devices: bool = False
    allow_memory_devices: bool = False
    allow_mig_monitor: bool = False

    def __post_init__(self) -> None:
        # Once: every look asks for each device whether what its links lead to is in there.
        msgspec.structs.force_setattr(self, "sys_root", self.sys_root.resolve())

    def resolve(self, name: str) -> str:
        """Follow links from /dev/`name`, staying inside the host's /dev.

        Returns the path relative to /dev. Raises ValueError, worded for people, for a loop or a link that leads out.
        """
        root = str(self.dev_root)
        todo = name.split("/")
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    raise ValueError(f"it is a link that leads out of {DEVICE_ROOT}")
                done.pop()
                continue
            try:
                target = os.readlink("/".join((root, *done, part)))
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise ValueError("it is a link to a name that no file can have") from None
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise ValueError("it is a link in a loop")
            if target.startswith("/"):
                if not target.startswith(f"{DEVICE_ROOT}/"):
                    raise ValueError(f"it is a link that leads out of {DEVICE_ROOT}")
                target = target.removeprefix(f"{DEVICE_ROOT}/")
                done.clear()
            todo = [*target.split("/"), *todo]
        return "/".join(done)

    def there(self, path: str) -> bool:
        """Whether something is at a path of the host's /dev or /sys."""
        for root, prefix in ((self.dev_root, f"{DEVICE_ROOT}/"), (self.sys_root, "/sys/")):
            if path.startswith(prefix):
                return os.path.lexists(f"{root}/{path.removeprefix(prefix)}")
        return False

    def refusal(self, seen: os.stat_result, hardware: Path | None) -> str | None:
        """Why the thing seen may not be offered, or None. `hardware` as `behind` has it."""
        if stat.S_ISBLK(seen.st_mode):
            return None if self.allow_block_devices else "it is a block device, which the operator does not allow"
        if not stat.S_ISCHR(seen.st_mode):
            return f"it is a {kind(seen.st_mode)}, not a device node"
        number = (os.major(seen.st_rdev), os.minor(seen.st_rdev))
        if number in _MEMORY and not self.allow_memory_devices:
            return "it is the machine's memory or I/O ports, which the operator does not allow"
        return None if hardware is None else self.refusal_of(hardware)

    def refusal_of(self, directory: Path) -> str | None:
        """Why the character device of a directory in the host's /sys may not be offered, or None."""
        try:
            subsystem = os.path.basename(os.readlink(directory / "subsystem"))
        except OSError:
            return None
        if subsystem in _DISKS and not self.allow_block_devices:
            return "it commands a disk, as a block device does, which the operator does not allow"
        return None

    def behind(self, seen: os.stat_result) -> Path | None:
        """The directory in the host's /sys of the device behind a device node; None when there is none."""
        if stat.S_ISCHR(seen.st_mode):
            numbers = self.sys_root / "dev/char"
        elif stat.S_ISBLK(seen.st_mode):
            numbers = self.sys_root / "dev/block"
        else:
            return None
        return self.sysfs_directory(numbers / f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}")

    def sysfs_path(self, directory: Path) -> str:
        """What the host calls a directory of its /sys that is seen here."""
        return f"/sys/{directory.relative_to(self.sys_root)}"

    def sysfs_directory(self, link: Path) -> Path | None:
        """The directory that a link in the host's /sys leads to; None when there is none, or it lies elsewhere."""
        try:
            directory = os.path.realpath(link, strict=True)
        except OSError:
            return None
        return Path(directory) if directory.startswith(f"{self.sys_root}/") else None

    def numa_node_of(self, directory: Path) -> int | None:
        """The NUMA node of the hardware that a directory of the host's /sys is, or is part of."""
        place = str(directory)
        while place.startswith(f"{self.sys_root}/"):
            try:
                with open(f"{place}/numa_node") as file:
                    node = int(file.read())
            except (OSError, ValueError):
                place = os.path.dirname(place)
                continue
            return node if node >= 0 else None
        return None


def kind(mode: int) -> str:
    """What a thing is, in words for people."""
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "device node"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISREG(mode):
        return "plain file"
    if stat.S_ISSOCK(mode):
        return "socket"
    if stat.S_ISFIFO(mode):
        return "pipe"
    return "file of another kind"
