"""GPUs as their driver tells of them. Pure."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from device_plugin_agent.sources.base import Unfit
from device_plugin_api.hardware import PCI_ADDRESS

DOUBLE_BIT_ECC = 0
"""In the place of an Xid: an error of the memory that could not be corrected."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A MIG instance."""

    uuid: str
    profile: str
    """As nvidia-smi shows it: 1g.10gb."""
    memory: int
    """MiB."""
    gpu_instance: int
    compute_instance: int


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A whole GPU."""

    uuid: str
    pci_address: str
    model: str
    minor: int | None = None
    """The N of /dev/nvidiaN."""
    memory: int | None = None
    """MiB; None when the driver does not tell."""
    mig: bool = False
    """Whether it is in MIG mode, and can be used through its instances only."""
    instances: tuple[Instance, ...] = ()
    links: frozenset[str] = frozenset()
    """PCI addresses at the other ends of its NVLinks: other GPUs, or switches."""
    tells: bool = False
    """Whether it tells its errors as they happen."""
    trouble: Unfit | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a GPU, or to one instance of it."""

    gpu: str
    """Its UUID."""
    gpu_instance: int | None = None
    """None: it concerns all of the GPU."""
    compute_instance: int | None = None
    xid: int

    def hits(self, gpu: Gpu, instance: Instance | None) -> bool:
        """Whether it concerns this instance, or the whole GPU."""
        if self.gpu != gpu.uuid:
            return False
        if instance is None or self.gpu_instance is None:
            return True
        return self.gpu_instance == instance.gpu_instance and self.compute_instance in (None, instance.compute_instance)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of all GPUs."""

    gpus: tuple[Gpu, ...] = ()
    """As last seen."""
    absent: str | None = None
    """Why there is no NVML here, when there is none."""
    problem: Unfit | None = None
    """Why NVML tells nothing now, although it is here."""
    faults: Mapping[Fault, float] = msgspec.field(default_factory=dict)
    """What happened, and monotonic seconds of the last time."""
    pending: bool = False
    """Whether nothing was seen yet."""


LOST = Unfit(reason="GpuLost", why="NVML does not reach it: it is lost, or has fallen off the bus")


def with_lost(known: Iterable[Gpu], found: Iterable[Gpu]) -> tuple[Gpu, ...]:
    """What was found, and what was there before and does not answer."""
    gpus = {gpu.uuid: replace(gpu, trouble=LOST) for gpu in known} | {gpu.uuid: gpu for gpu in found}
    return tuple(sorted(gpus.values(), key=lambda gpu: gpu.pci_address))


def link_groups(gpus: Iterable[Gpu]) -> dict[str, str]:
    """PCI address of each GPU that has others in reach of its NVLinks → the first address among these."""
    group: dict[str, set[str]] = {}
    addresses = {gpu.pci_address for gpu in gpus}
    for gpu in gpus:
        joined = {gpu.pci_address, *gpu.links}
        for end in tuple(joined):
            joined |= group.get(end, set())
        group |= dict.fromkeys(joined, joined)
    return {address: min(group[address] & addresses) for address in addresses if len(group[address] & addresses) > 1}


def pci_address(bus_id: str) -> str:
    """NVML's `00000000:3B:00.0` as sysfs has it; as it is when it is none."""
    domain, _, rest = bus_id.lower().partition(":")
    try:
        address = f"{int(domain, 16):04x}:{rest}"
    except ValueError:
        return bus_id
    return address if PCI_ADDRESS.fits(address) else bus_id


def mig_profile(*, slices: int, compute_slices: int, memory: int, gpu_memory: int) -> str:
    """How nvidia-smi calls an instance with so many slices and so much memory (MiB) of a GPU's (bytes).

    Memory comes in eighths of the GPU's, and the whole in GiB rounded up: as NVIDIA's go-nvlib has it.
    """
    eighths = -(-memory * (1 << 20) * 8 // gpu_memory)
    gigabytes = (eighths * -(-gpu_memory // (1 << 30)) + 4) // 8
    name = f"{slices}g.{gigabytes}gb"
    return name if compute_slices == slices else f"{compute_slices}c.{name}"
