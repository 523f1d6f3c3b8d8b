"""Variables that the users of a kind of hardware already know, beside those that every device has. Pure."""

import json
import re
from collections.abc import Mapping, Sequence

from device_plugin_agent.sources import Candidate
from device_plugin_api.names import env_prefix
from device_plugin_api.nvidia import NvidiaSource
from device_plugin_api.sources import GroupsSource, Source

_PCI_ADDRESS = "pciAddress"

_VISIBLE = "NVIDIA_VISIBLE_DEVICES"

_NODES = (
    (re.compile("/dev/vfio/vfio"), "vfio", "mount"),
    (re.compile("/dev/vfio/.+"), "vfio", "dev-mount"),
    (re.compile("/dev/uio[0-9]+"), "uio", "mount"),
    (re.compile("/dev/vhost-vdpa-[0-9]+"), "vdpa", "mount"),
    (re.compile("/dev/vhost-net"), "vhost", "net-mount"),
    (re.compile("/dev/net/tun"), "vhost", "tun-mount"),
    (re.compile("/dev/infiniband/rdma_cm"), "rdma", "rdma_cm"),
    (re.compile("/dev/infiniband/uverbs[0-9]+"), "rdma", "uverbs"),
    (re.compile("/dev/infiniband/umad[0-9]+"), "rdma", "umad"),
    (re.compile("/dev/infiniband/issm[0-9]+"), "rdma", "issm"),
)
"""Nodes on the host, and by what words programs look for them in PCIDEVICE_…_INFO."""

Given = tuple[Candidate, Mapping[str, str]]
"""A device and its nodes: path on the host → path in the container."""


def variables(resource_name: str, source: Source, given: Sequence[Given]) -> dict[str, str]:
    """The variables of a container that was given these devices."""
    if source.network is not None or source.pci is not None:
        return _pci(resource_name, given)
    if source.groups is not None:
        return _members(resource_name, source.groups, given)
    if source.fpga is not None:
        return _fpga(given)
    if source.nvidia is not None:
        return {_VISIBLE: _visible(source.nvidia, given)}
    return {}


def cdi_devices(source: Source, devices: Sequence[Candidate]) -> tuple[str, ...]:
    """Names that others' CDI specs have for these devices."""
    if source.nvidia is None or source.nvidia.device_list == "Environment":
        return ()
    return tuple(f"nvidia.com/gpu={device.attributes['uuid']}" for device in devices)


def _visible(nvidia: NvidiaSource, given: Sequence[Given]) -> str:
    """As NVIDIA's container runtime reads it, by UUID.

    With CDI alone it is told to add nothing: images come with `all`.
    """
    return "void" if nvidia.device_list == "CDI" else ",".join(device.attributes["uuid"] for device, _ in given)


def _members(resource_name: str, groups: GroupsSource, given: Sequence[Given]) -> dict[str, str]:
    """<NAME>_<MEMBER>_PATH: where each member is in the container; nothing for one that a group has not."""
    found = {}
    for name in sorted(member.name for member in groups.members):
        hosts = [(device.attributes.get(name, ""), paths) for device, paths in given]
        if any(host for host, _ in hosts):
            found[f"{env_prefix(resource_name)}_{name.upper()}_PATH"] = ",".join(
                paths.get(host, "") for host, paths in hosts
            )
    return found


def _pci(resource_name: str, given: Sequence[Given]) -> dict[str, str]:
    """PCIDEVICE_<RESOURCE> and …_INFO, as the SR-IOV network device plugin sets them and DPDK programs read them."""
    name = f"PCIDEVICE_{re.sub('[./-]', '_', resource_name.upper())}"
    addresses = [device.attributes[_PCI_ADDRESS] for device, _ in given]
    info = {device.attributes[_PCI_ADDRESS]: _info(device, paths) for device, paths in given}
    return {name: ",".join(addresses), f"{name}_INFO": json.dumps(info, separators=(",", ":"))}


def _fpga(given: Sequence[Given]) -> dict[str, str]:
    """FPGA_REGION_<n> and FPGA_AFU_<n>, counted from 1, as pods of Intel's FPGA plugin have them and its hook reads."""
    words = (("FPGA_REGION", "interfaceID"), ("FPGA_AFU", "afuID"))
    return {
        f"{word}_{number}": device.attributes[attribute]
        for number, (device, _) in enumerate(given, start=1)
        for word, attribute in words
        if attribute in device.attributes
    }


def _info(device: Candidate, paths: Mapping[str, str]) -> dict[str, dict[str, str]]:
    info = {"generic": {"deviceID": device.attributes[_PCI_ADDRESS]}}
    if "rdmaDevice" in device.attributes:
        info["rdma"] = {"rdma_dev": device.attributes["rdmaDevice"]}
    for host, inside in paths.items():
        for pattern, family, word in _NODES:
            if pattern.fullmatch(host):
                info.setdefault(family, {})[word] = inside
                break
    return info
