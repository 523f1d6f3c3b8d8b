"""What a device information file says, and its name. Pure.

Source: Device Information Specification 1.1.0 of the Network Plumbing Working Group, sections 3 and 4.1.
"""

import msgspec
from msgspec import Struct

from device_plugin_agent.sources import Candidate

_VERSION = "1.1.0"
_VHOST_NET = "/dev/vhost-net"


class PciInfo(Struct, rename="kebab", frozen=True, kw_only=True, omit_defaults=True):
    """A PCI function."""

    pci_address: str
    vhost_net: str = ""
    rdma_device: str = ""
    pf_pci_address: str = ""


class VdpaInfo(Struct, rename="kebab", frozen=True, kw_only=True, omit_defaults=True):
    """A vDPA device."""

    parent_device: str
    driver: str
    path: str
    pci_address: str = ""
    pf_pci_address: str = ""


class DeviceInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file's content."""

    type: str
    version: str
    pci: PciInfo | None = None
    vdpa: VdpaInfo | None = None


def file_name(resource_name: str, slot_id: str) -> str:
    """A file is looked for by the ID that podresources tells, which is a share's where devices are shared."""
    return f"{resource_name.replace('/', '-')}-{slot_id}-device.json"


def content(device: Candidate) -> bytes:
    """The file of a network function."""
    known = device.attributes
    address, port = known["pciAddress"], known.get("physicalFunction", "")
    if known.get("vdpaType") == "vhost":
        info = DeviceInfo(
            type="vdpa",
            version=_VERSION,
            vdpa=VdpaInfo(
                parent_device=known["vdpaDevice"],
                driver="vhost",
                path=device.path,
                pci_address=address,
                pf_pci_address=port,
            ),
        )
    else:
        info = DeviceInfo(
            type="pci",
            version=_VERSION,
            pci=PciInfo(
                pci_address=address,
                vhost_net=_VHOST_NET if _VHOST_NET in device.shared_nodes else "",
                rdma_device=known.get("rdmaDevice", ""),
                pf_pci_address=port,
            ),
        )
    return msgspec.json.encode(info)
