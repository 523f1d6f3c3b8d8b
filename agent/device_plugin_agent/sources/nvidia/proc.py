"""GPUs as /proc/driver/nvidia lists them: enough to hand them out, not to know how they are.

Source of the form: the files of NVIDIA's kernel module, as published listings show them.
"""

import os
import re
from pathlib import Path

from device_plugin_agent.sources.nvidia.gpu import Gpu
from device_plugin_agent.sources.selection import printable
from device_plugin_api.hardware import GPU_UUID, PCI_ADDRESS

_MOST = 4096
"""Bytes of a file that are read."""

_MIG_MINORS = re.compile(r"gpu(\d+)/gi(\d+)(?:/ci(\d+))?/access (\d+)")


def gpus(driver_dir: Path) -> list[Gpu]:
    """Those that the driver has and does not exclude, sorted by PCI address."""
    directory = driver_dir / "nvidia/gpus"
    try:
        addresses = sorted(name for name in os.listdir(directory) if PCI_ADDRESS.fits(name))
    except OSError:
        return []
    found = (parsed(address, _text(directory / address / "information")) for address in addresses)
    return [gpu for gpu in found if gpu is not None]


def parsed(address: str, information: str) -> Gpu | None:
    """What an `information` file tells; None for one that is excluded, or that the driver has not started yet."""
    pairs = (line.partition(":") for line in information.splitlines())
    facts = {key.strip(): printable(value.strip()) for key, _, value in pairs}
    uuid, minor = facts.get("GPU UUID", ""), facts.get("Device Minor", "")
    excluded = "Yes" in (facts.get("GPU Excluded"), facts.get("Blacklisted"))
    if excluded or not GPU_UUID.fits(uuid):
        return None
    return Gpu(
        uuid=uuid,
        pci_address=address,
        model=facts.get("Model", ""),
        minor=int(minor) if minor.isdecimal() and minor.isascii() else None,
    )


def mig_capabilities(driver_dir: Path, minor: int, gpu_instance: int, compute_instance: int) -> list[str]:
    """Names below /dev of the nodes that open a MIG instance: its GPU instance's and its compute instance's."""
    wanted = {(minor, gpu_instance, None), (minor, gpu_instance, compute_instance)}
    found = []
    for line in _text(driver_dir / "nvidia-caps/mig-minors", most=1 << 20).splitlines():
        match = _MIG_MINORS.fullmatch(line)
        if match is not None:
            gpu, instance, compute, number = (None if part is None else int(part) for part in match.groups())
            if (gpu, instance, compute) in wanted:
                found.append(f"nvidia-caps/nvidia-cap{number}")
    return found


def _text(path: Path, most: int = _MOST) -> str:
    try:
        with path.open("rb") as file:
            return file.read(most).decode(errors="replace")
    except OSError:
        return ""
