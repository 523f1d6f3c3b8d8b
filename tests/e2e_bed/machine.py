"""The virtual machine's hardware, moved by QEMU: what hack/vm/machine.py offers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from e2e_bed.cluster import VM, on_node, run

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


@contextmanager
def link_news() -> Iterator[Callable[[], float]]:
    """Listen to the machine's kernel; call what this gives to learn when it first said that the cable is out.

    That is Unix time by the clock of this side, right to the part of a second that it takes to ask for the machine's.
    """
    log = "/run/link-news"
    pid = on_node(VM, f"ip -ts monitor link dev {PF} >{log} 2>&1 </dev/null & echo $!").strip()

    def said() -> float:
        before = time.time()
        ahead = float(on_node(VM, "date +%s.%N")) - (before + time.time()) / 2
        line = next(each for each in on_node(VM, f"cat {log}").splitlines() if "state DOWN" in each)
        return datetime.fromisoformat(f"{line[1:].partition(']')[0]}+00:00").timestamp() - ahead

    try:
        yield said
    finally:
        on_node(VM, f"kill {pid}; rm {log}")


def function(number: int) -> str:
    """The PCI address of a function of the network card."""
    return on_node(VM, f"basename $(readlink /sys/class/net/{PF}/device/virtfn{number})").strip()


def disk() -> str:
    """The PCI address of the NVMe disk."""
    return on_node(VM, "basename $(dirname $(dirname $(readlink -f /sys/bus/pci/drivers/nvme/0*/nvme/nvme0)))").strip()


def make_functions(count: int) -> None:
    """Let the network card have so many functions, all made anew, with the kernel's driver."""
    on_node(VM, f"cd /sys/class/net/{PF}/device && echo 0 >sriov_numvfs && echo {count} >sriov_numvfs")


def bind(address: str, driver: str) -> None:
    """Take a PCI function from its driver and give it to another; one that has that driver is left alone."""
    on_node(
        VM,
        f"cd /sys/bus/pci/devices/{address} || exit; "
        f'[ "$(basename "$(readlink driver)")" = {driver} ] || {{ echo {driver} >driver_override && '
        f"{{ [ ! -e driver ] || echo {address} >driver/unbind; }} && echo {address} >/sys/bus/pci/drivers_probe; }}",
    )


@contextmanager
def drivers() -> Iterator[None]:
    """Drivers of hardware that the emulated processor, or the kernel itself, has: /dev/kvm, /dev/net/tun, and a camera.

    The camera is that of the driver vivid, with a second node for metadata, as USB cameras have one.
    """
    capture, metadata = 0x1, 0x20000
    on_node(VM, f"modprobe -a kvm_amd tun && modprobe vivid n_devs=1 node_types={capture | metadata}", limit=180)
    try:
        yield
    finally:
        # One that is in use stays, and the next run finds it.
        on_node(VM, "modprobe -r vivid || true")


def uplink() -> tuple[str, str]:
    """The network device that the machine's default route leads through, and its PCI address."""
    script = "dev=$(ip route show default | sed 's/.* dev \\([^ ]*\\).*/\\1/') && echo $dev && "
    name, path = on_node(VM, f"{script} readlink -f /sys/class/net/$dev/device/..").split()
    return name, path.rpartition("/")[2]


def reset() -> None:
    """Press the reset button."""
    run("docker", "exec", VM, "machine", "qmp", '{"execute": "system_reset"}')
