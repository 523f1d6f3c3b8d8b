"""What is wrong with a source: what the API server refuses by CEL, once more in Python (see `checks`)."""

import re
from collections.abc import Iterator

from device_plugin_api import hardware, hostpaths, templates
from device_plugin_api.functions import FunctionRange
from device_plugin_api.nvidia import NvidiaSource
from device_plugin_api.resource import Resource
from device_plugin_api.rules import MAX_SLOTS
from device_plugin_api.sources import (
    PATH_TYPES,
    SOURCES,
    CustomSource,
    FpgaSource,
    GroupsSource,
    NetworkSource,
    PathsSource,
    PciSource,
    SimulatedSource,
    Source,
    UsbSource,
)

_PARAMETER = re.compile("[A-Za-z][A-Za-z0-9_.-]{0,62}")


def problems(resource: Resource) -> Iterator[str]:
    """Everything that is wrong with where a resource's devices come from, each with the field's path."""
    source = resource.source
    if not one_source(source):
        yield f"source: exactly one source must be given: {', '.join(SOURCES)}"
    yield from _device_problems(source)
    if source.network is not None:
        yield from _network_problems(source.network)
    if source.fpga is not None:
        yield from _fpga_problems(source.fpga)
    if source.nvidia is not None:
        yield from _nvidia_problems(source.nvidia)
    if source.groups is not None:
        yield from _groups_problems(source.groups)
    if source.custom is not None:
        yield from _custom_problems(source.custom)
    if source.simulated is not None:
        yield from _simulated_problems(source.simulated, resource.sharing.replicas)


def attributes(source: Source) -> tuple[str, ...] | None:
    """The names of the attributes that its devices can have; None when only the code that finds them knows."""
    if source.custom is not None:
        return None
    if source.groups is not None:
        return tuple(member.name for member in source.groups.members)
    given = (name for name in SOURCES if getattr(source, name) is not None)
    return tuple(attribute for name in given for attribute in templates.ATTRIBUTES[name])


def one_source(source: Source) -> bool:
    """Whether exactly one of its members is given."""
    return sum(getattr(source, name) is not None for name in SOURCES) == 1


def _device_problems(source: Source) -> Iterator[str]:
    if source.paths is not None:
        yield from _paths_problems(source.paths)
    if source.usb is not None:
        yield from _usb_problems(source.usb)
    if source.pci is not None:
        yield from _pci_problems(source.pci)


def _paths_problems(paths: PathsSource) -> Iterator[str]:
    for member in ("include", "exclude"):
        for glob in getattr(paths, member):
            wrong = hostpaths.device_path_error(glob)
            if wrong is not None:
                yield f"source.paths.{member}: {glob!r} {wrong}"
    if paths.type not in PATH_TYPES:
        yield f"source.paths.type: must be {', '.join(PATH_TYPES[:-1])} or {PATH_TYPES[-1]}"


def _usb_problems(usb: UsbSource) -> Iterator[str]:
    yield from _form_problems("source.usb.vendorID", hardware.HEX_ID, (usb.vendor_id,))
    yield from _form_problems("source.usb.productID", hardware.HEX_ID, (usb.product_id,) if usb.product_id else ())
    yield from _form_problems("source.usb.subsystems", hardware.KERNEL_NAME, usb.subsystems)


def _pci_problems(pci: PciSource) -> Iterator[str]:
    if pci == PciSource():
        yield "source.pci: at least one of vendors, devices, classes, drivers and addresses must be given"
    yield from _form_problems("source.pci.vendors", hardware.HEX_ID, pci.vendors)
    yield from _form_problems("source.pci.devices", hardware.HEX_ID, pci.devices)
    yield from _form_problems("source.pci.classes", hardware.PCI_CLASS, pci.classes)
    yield from _form_problems("source.pci.drivers", hardware.KERNEL_NAME, pci.drivers)
    yield from _form_problems("source.pci.addresses", hardware.PCI_ADDRESS, pci.addresses)


def _network_problems(network: NetworkSource) -> Iterator[str]:
    yield from _form_problems("source.network.vendors", hardware.HEX_ID, network.vendors)
    yield from _form_problems("source.network.devices", hardware.HEX_ID, network.devices)
    yield from _form_problems("source.network.drivers", hardware.KERNEL_NAME, network.drivers)
    yield from _form_problems("source.network.pciAddresses", hardware.PCI_ADDRESS, network.pci_addresses)
    yield from _form_problems("source.network.pfNames", hardware.PF_FUNCTIONS, network.pf_names)
    yield from _form_problems("source.network.rootDevices", hardware.ROOT_FUNCTIONS, network.root_devices)
    yield from _form_problems("source.network.linkTypes", hardware.LINK_TYPE, network.link_types)
    for text in (*network.pf_names, *network.root_devices):
        try:
            FunctionRange.parse(text)
        except ValueError as error:
            yield f"source.network: {error}"


def _fpga_problems(fpga: FpgaSource) -> Iterator[str]:
    if fpga.mode not in hardware.FPGA_MODES:
        yield f"source.fpga.mode: must be {', '.join(hardware.FPGA_MODES[:-1])} or {hardware.FPGA_MODES[-1]}"
    elif fpga.mode != hardware.FPGA_MODES[0] and (fpga.afu_ids or fpga.ports):
        yield f"source.fpga: afuIDs and ports belong to mode: {hardware.FPGA_MODES[0]}"
    for member, ids in (("afuIDs", fpga.afu_ids), ("interfaceIDs", fpga.interface_ids)):
        yield from _form_problems(f"source.fpga.{member}", hardware.FPGA_ID, ids)
        for id_ in filter(hardware.NO_FPGA_ID.fits, ids):
            yield f"source.fpga.{member}: {id_!r} {hardware.NO_FPGA_ID.message}"


def _nvidia_problems(nvidia: NvidiaSource) -> Iterator[str]:
    yield from _form_problems("source.nvidia.uuids", hardware.GPU_UUID, nvidia.uuids)
    yield from _form_problems("source.nvidia.pciAddresses", hardware.PCI_ADDRESS, nvidia.pci_addresses)
    yield from _form_problems("source.nvidia.mig.profiles", hardware.MIG_PROFILE, nvidia.mig.profiles)
    if nvidia.mig.mode not in ("None", "Single", "Mixed"):
        yield "source.nvidia.mig.mode: must be None, Single or Mixed"
    elif (nvidia.mig.mode == "Mixed" and not nvidia.mig.profiles) or (
        nvidia.mig.mode == "None" and nvidia.mig.profiles
    ):
        yield "source.nvidia.mig.profiles: must be given with mode: Mixed, and must not be with mode: None"
    if nvidia.device_list not in ("Environment", "CDI", "Both"):
        yield "source.nvidia.deviceList: must be Environment, CDI or Both"
    if nvidia.min_memory is not None and nvidia.max_memory is not None and nvidia.min_memory > nvidia.max_memory:
        yield "source.nvidia: minMemoryMiB must not exceed maxMemoryMiB"
    if nvidia.ignored_xids is not None and nvidia.critical_xids is not None:
        yield "source.nvidia: ignoredXids and criticalXids must not both be given"


def _groups_problems(groups: GroupsSource) -> Iterator[str]:
    names = [member.name for member in groups.members]
    yield from _form_problems("source.groups.members", hardware.MEMBER_NAME, tuple(names))
    if len(set(names)) != len(names):
        yield "source.groups.members: each name may stand only once"
    if all(member.optional for member in groups.members):
        yield "source.groups.members: at least one must not be optional"
    if groups.pair_by not in ("Single", "Number"):
        yield "source.groups.pairBy: must be Single or Number"
    for member in groups.members:
        where = f"source.groups.members[{member.name}]"
        if not one_source(member.source):
            yield f"{where}: exactly one source must be given: paths, usb or pci"
        if member.paths is not None and member.paths.type == "File":
            yield f"{where}.paths.type: a plain file cannot be a member"
        for wrong in _device_problems(member.source):
            yield f"{where}{wrong.removeprefix('source')}"


def _custom_problems(custom: CustomSource) -> Iterator[str]:
    yield from _form_problems("source.custom.name", hardware.SOURCE_NAME, (custom.name,))
    for name in custom.parameters:
        if not _PARAMETER.fullmatch(name):
            yield f"source.custom.parameters: {name!r} must be at most 63 letters, digits, '_', '.' or '-'"


def _simulated_problems(simulated: SimulatedSource, replicas: int) -> Iterator[str]:
    slots = simulated.count * replicas
    if slots > MAX_SLOTS:
        yield f"sharing.replicas: {slots} slots a node; the kubelet takes at most {MAX_SLOTS} of one resource"
    for index, failure in enumerate(simulated.failures):
        if 0 < failure.every_seconds <= failure.for_seconds:
            yield f"source.simulated.failures[{index}]: everySeconds must be longer than forSeconds, or 0"


def _form_problems(field: str, form: hardware.Form, names: tuple[str, ...]) -> Iterator[str]:
    return (f"{field}: {name!r} {form.message}" for name in names if not form.fits(name))
