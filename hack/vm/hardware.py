"""What the machine is made of, as arguments of QEMU."""

import json
from typing import Any

QMP_SOCKET = "/run/qmp.sock"
"""QEMU's own interface."""

GUEST_SOCKET = "/run/guest.sock"
"""The agent in the guest that runs commands."""

PF = "pf0"
"""ID of the network card with SR-IOV functions."""

ADAPTERS: dict[str, dict[str, Any]] = {
    name: {
        "driver": "usb-serial",  # an FTDI chip
        "id": name,
        "serial": name.upper(),
        "bus": "usb.0",
        "chardev": f"{name}-end",
        "always-plugged": True,
    }
    for name in ("serial0", "serial1")
}
"""USB serial adapters by their names; each has a serial number of its own."""

_KERNEL = (
    "root=/dev/vda rw console=ttyS0 intel_iommu=on iommu=pt panic=1 "
    # What protects it from others costs much where the processor is emulated, and here is nobody else.
    "mitigations=off init_on_alloc=0 nokaslr audit=0"
)

_CPUS = 2
_MEMORY_MIB = 2560


def arguments(disk: str, address: str, gateway: str) -> list[str]:
    """QEMU's command line: `address` (with its prefix) and `gateway` are the guest's, on the tap device tap0."""
    return [
        "qemu-system-x86_64",
        *("-machine", "q35,accel=tcg,kernel-irqchip=split"),
        # Page tables of five levels and copies of single bytes only make emulation slower.
        *("-cpu", "max,la57=off,erms=off,fsrm=off", "-nodefaults", "-display", "none", "-serial", "stdio"),
        *("-kernel", "/kernel", "-initrd", "/initrd"),
        *("-append", f"{_KERNEL} {_for_setup(address, gateway)}"),
        *("-qmp", f"unix:{QMP_SOCKET},server=on,wait=off"),
        *_memory(),
        *_devices(disk),
    ]


def _for_setup(address: str, gateway: str) -> str:
    return f"vm.address={address} vm.gateway={gateway}"


def _memory() -> list[str]:
    """Two NUMA nodes with a processor each."""
    made = ["-smp", f"{_CPUS},sockets={_CPUS}", "-m", str(_MEMORY_MIB)]
    for node in range(_CPUS):
        made += ["-object", f"memory-backend-ram,id=memory{node},size={_MEMORY_MIB // _CPUS}M"]
        made += ["-numa", f"node,nodeid={node},cpus={node},memdev=memory{node}"]
    return made


def _devices(disk: str) -> list[str]:
    return [
        *_device(driver="intel-iommu", intremap="on"),
        *("-blockdev", f"driver=qcow2,node-name=root,file.driver=file,file.filename={disk},cache.no-flush=on"),
        *_device(driver="virtio-blk-pci", drive="root", bus="pcie.0"),
        *("-netdev", "tap,id=cluster,ifname=tap0,script=no,downscript=no"),
        *_device(driver="virtio-net-pci", netdev="cluster", mac="52:54:00:d0:00:01", bus="pcie.0"),
        *("-fsdev", "local,id=exchange,path=/exchange,security_model=none,readonly=on"),
        *_device(driver="virtio-9p-pci", fsdev="exchange", mount_tag="exchange", bus="pcie.0"),
        *_device(driver="virtio-serial-pci", bus="pcie.0"),
        *("-chardev", f"socket,id=guest,path={GUEST_SOCKET},server=on,wait=off"),
        *_device(driver="virtserialport", chardev="guest", name="org.qemu.guest_agent.0"),
        *_device(driver="virtio-gpu-pci", bus="pcie.0"),
        # The network card with SR-IOV sits on the second NUMA node.
        *_device(driver="pxb-pcie", id="far", bus_nr=64, numa_node=1, bus="pcie.0"),
        *_device(driver="pcie-root-port", id="far-port", chassis=1, slot=1, bus="far"),
        *("-netdev", "user,id=outside,restrict=on"),
        *_device(driver="igb", id=PF, netdev="outside", mac="52:54:00:d0:01:00", bus="far-port"),
        *("-blockdev", "driver=null-co,node-name=nothing,size=16777216,read-zeroes=on"),
        *_device(driver="pcie-root-port", id="near-port", chassis=2, slot=2, bus="pcie.0"),
        *_device(driver="nvme", id="nvme0", drive="nothing", serial="NVME0", bus="near-port"),
        *_device(driver="qemu-xhci", id="usb", bus="pcie.0"),
        *(word for adapter in ADAPTERS.values() for word in ("-chardev", f"null,id={adapter['chardev']}")),
        *(word for adapter in ADAPTERS.values() for word in _device(**adapter)),
    ]


def _device(**properties: Any) -> list[str]:
    return ["-device", json.dumps(properties)]
