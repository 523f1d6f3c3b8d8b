"""The virtual machine's hardware, moved by QEMU: what hack/vm/machine.py offers."""

from e2e_bed.cluster import VM, run

PF = "ens1"
"""The network card with SR-IOV functions, as the machine's kernel calls it."""


def plug(adapter: str) -> None:
    """Put a USB serial adapter (`serial0`, `serial1`) in."""
    run("docker", "exec", VM, "machine", "plug", adapter)


def unplug(device: str) -> None:
    """Pull a device out."""
    run("docker", "exec", VM, "machine", "unplug", device)


def link(state: str) -> None:
    """Plug the network card's cable in (`up`), or pull it (`down`)."""
    run("docker", "exec", VM, "machine", "link", state)


def reset() -> None:
    """Press the reset button."""
    run("docker", "exec", VM, "machine", "qmp", '{"execute": "system_reset"}')
