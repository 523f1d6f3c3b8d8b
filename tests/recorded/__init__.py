"""Recorded machines, unpacked for an agent to look at: /sys as files, /dev with nodes of the recorded numbers."""

import tarfile
from pathlib import Path

from device_plugin_agent.record import replay
from device_plugin_agent.sources import HostView

_MACHINES = Path(__file__).parent / "machines"


def unpacked(machine: str, root: Path) -> HostView:
    """A host that looks like the machine. Needs root, for device nodes."""
    with tarfile.open(_MACHINES / f"{machine}.tar.xz") as archive:
        # Python 3.11 has no filters before 3.11.4, which Debian 12's is not.
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(root)
    replay(root)
    return HostView(dev_root=root / "dev", sys_root=root / "sys")
