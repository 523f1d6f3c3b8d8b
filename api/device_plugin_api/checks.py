"""What the API server refuses by CEL, once more in Python: for agents, which do not rely on it alone.

A CRD may be older or edited by hand, and a stand-alone agent has no API server. Only what matters for safety and for
the kubelet is checked here; bounds are checked by the types themselves.
"""

import re
from collections.abc import Iterator

from device_plugin_api import hardware, hostpaths, templates
from device_plugin_api.functions import FunctionRange
from device_plugin_api.names import resource_name_error
from device_plugin_api.resource import Allocation, Resource
from device_plugin_api.rules import MAX_SLOTS
from device_plugin_api.sources import SOURCES, FpgaSource, NetworkSource, PciSource, Source, UsbSource

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE_MODE = re.compile(r"0?[0-7]{3}")
_STEERING = ("PATH", "IFS", "ENV", "BASH_ENV")
_RUNTIME_OWNED = (
    "kubernetes.io",
    "k8s.io",
    "io.kubernetes",
    "containerd.io",
    "io.containerd",
    "crio.io",
    "run.oci",
    "io.katacontainers",
)


def problems(resource: Resource) -> Iterator[str]:
    """Everything that is wrong with it, each with the field's path."""
    name = resource_name_error(resource.name)
    if name is not None:
        yield f"name: {name}"
    if not one_source(resource.source):
        yield f"source: exactly one source must be given: {', '.join(SOURCES)}"
    if resource.source.usb is not None:
        yield from _usb_problems(resource.source.usb)
    if resource.source.pci is not None:
        yield from _pci_problems(resource.source.pci)
    if resource.source.network is not None:
        yield from _network_problems(resource.source.network)
    if resource.source.fpga is not None:
        yield from _fpga_problems(resource.source.fpga)
    if resource.source.simulated is not None:
        slots = resource.source.simulated.count * resource.sharing.replicas
        if slots > MAX_SLOTS:
            yield f"sharing.replicas: {slots} slots a node; the kubelet takes at most {MAX_SLOTS} of one resource"
        for index, failure in enumerate(resource.source.simulated.failures):
            if 0 < failure.every_seconds <= failure.for_seconds:
                yield f"source.simulated.failures[{index}]: everySeconds must be longer than forSeconds, or 0"
    if resource.source.paths is not None:
        for member in ("include", "exclude"):
            for glob in getattr(resource.source.paths, member):
                wrong = hostpaths.device_path_error(glob)
                if wrong is not None:
                    yield f"source.paths.{member}: {glob!r} {wrong}"
    yield from _allocation_problems(resource.allocation)
    yield from _template_problems(resource)


def one_source(source: Source) -> bool:
    """Whether exactly one of its members is given."""
    return sum(getattr(source, name) is not None for name in SOURCES) == 1


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


def _form_problems(field: str, form: hardware.Form, names: tuple[str, ...]) -> Iterator[str]:
    return (f"{field}: {name!r} {form.message}" for name in names if not form.fits(name))


def _allocation_problems(allocation: Allocation) -> Iterator[str]:
    if allocation.permissions not in ("r", "w", "rw"):
        yield "allocation.permissions: must be r, w or rw"
    if allocation.policy not in ("Aligned", "Packed", "Distributed"):
        yield "allocation.policy: must be Aligned, Packed or Distributed"
    path = allocation.container_path
    if path is not None and (hostpaths.device_path_error(path) or not _tells_apart(path)):
        yield "allocation.containerPath: must be a path below /dev with $(INDEX) or $(DEVICE_ID) in it"
    if allocation.by_cdi(runtime=True) and "$(INDEX)" in (path or ""):
        yield "allocation.containerPath: must not use $(INDEX) with cdi"
    if allocation.cdi is not None:
        if allocation.cdi.mode not in ("Auto", "Always", "Never"):
            yield "allocation.cdi.mode: must be Auto, Always or Never"
        if allocation.cdi.file_mode is not None and not _FILE_MODE.fullmatch(allocation.cdi.file_mode):
            yield "allocation.cdi.fileMode: must be three octal digits, such as 0660"
    for variable in allocation.env:
        if not _ENV_NAME.fullmatch(variable.name):
            yield f"allocation.env: {variable.name!r} must be letters, digits and '_', not starting with a digit"
        if variable.name.startswith("LD_") or variable.name in _STEERING:
            yield f"allocation.env: {variable.name} would steer how programs are loaded"
    for mount in allocation.mounts:
        wrong = hostpaths.mount_error(mount.host_path, read_only=mount.read_only)
        if wrong is not None:
            yield f"allocation.mounts: hostPath {mount.host_path!r} {wrong}"
        inside = hostpaths.container_path_error(mount.container_path)
        if inside is not None:
            yield f"allocation.mounts: containerPath {mount.container_path!r} {inside}"
        if templates.used(mount.host_path + mount.container_path) and not _tells_apart(mount.container_path):
            yield (
                f"allocation.mounts: containerPath {mount.container_path!r} must have $(INDEX) or $(DEVICE_ID) in it, "
                "since the mount differs by device"
            )
    for key in allocation.annotations:
        if any(owned in key for owned in _RUNTIME_OWNED):
            yield f"allocation.annotations: {key!r} belongs to Kubernetes or a container runtime"


def _template_problems(resource: Resource) -> Iterator[str]:
    allocation = resource.allocation
    given = [name for name in SOURCES if getattr(resource.source, name) is not None]
    attributes = [f"{templates.ATTRIBUTE}{key}" for name in given for key in templates.ATTRIBUTES[name]]
    in_values, in_paths = (*templates.IN_VALUES, *attributes), (*templates.IN_PATHS, *attributes)
    texts = [
        *(("containerPath", path, in_paths) for path in (allocation.container_path,) if path is not None),
        *((f"env[{variable.name}]", variable.value, in_values) for variable in allocation.env),
        *(("mounts.hostPath", mount.host_path, in_paths) for mount in allocation.mounts),
        *(("mounts.containerPath", mount.container_path, in_paths) for mount in allocation.mounts),
        *((f"annotations[{key}]", value, in_values) for key, value in allocation.annotations.items()),
    ]
    for field, text, known in texts:
        for wrong in templates.unknown(text, known):
            yield f"allocation.{field}: {wrong}"


def _tells_apart(path: str) -> bool:
    return any(f"$({name})" in path for name in templates.IN_PATHS)
