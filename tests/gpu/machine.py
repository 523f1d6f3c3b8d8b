"""What this machine says of its GPUs when the agent is not asked: nvidia-smi, sysfs and the kernel's module."""

from dataclasses import dataclass
from pathlib import Path

from gpu import child

DEV = Path("/dev")
SYS = Path("/sys")
DRIVER = Path("/proc/driver")

_FIELDS = ("uuid", "pci.bus_id", "name", "memory.total", "mig.mode.current")


@dataclass(frozen=True)
class Listed:
    """A line of nvidia-smi."""

    uuid: str
    pci_address: str
    """As in sysfs."""
    model: str
    memory: str
    """MiB."""
    mig: bool

    @property
    def numa_node(self) -> int | None:
        """As sysfs has it; None when it does not know."""
        try:
            node = int((SYS / "bus/pci/devices" / self.pci_address / "numa_node").read_text())
        except OSError:
            return None
        return node if node >= 0 else None


def listed() -> list[Listed]:
    """All of them."""
    done = child.run("nvidia-smi", f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
    assert done.code == 0, f"nvidia-smi cannot list the GPUs: {done}"
    return [_listed(*line.split(", ")) for line in done.out.splitlines()]


def _listed(uuid: str, bus_id: str, model: str, memory: str, mig: str) -> Listed:
    domain, _, rest = bus_id.lower().partition(":")
    return Listed(uuid, f"{int(domain, 16):04x}:{rest}", model, memory, mig == "Enabled")
