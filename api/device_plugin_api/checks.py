"""What the API server refuses by CEL, once more in Python: for agents, which do not rely on it alone.

A CRD may be older or edited by hand, and a stand-alone agent has no API server. Only what matters for safety and for
the kubelet is checked here; bounds are checked by the types themselves.
"""

import re
from collections.abc import Iterator

from device_plugin_api import hardware, hostpaths
from device_plugin_api.names import resource_name_error
from device_plugin_api.resource import SOURCES, Allocation, PciSource, Resource, UsbSource

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
_CONTAINER_ROOTS = ("/dev", "/proc", "/sys")


def problems(resource: Resource) -> Iterator[str]:
    """Everything that is wrong with it, each with the field's path."""
    name = resource_name_error(resource.name)
    if name is not None:
        yield f"name: {name}"
    if sum(getattr(resource.source, name) is not None for name in SOURCES) != 1:
        yield f"source: exactly one source must be given: {', '.join(SOURCES)}"
    if resource.source.usb is not None:
        yield from _usb_problems(resource.source.usb)
    if resource.source.pci is not None:
        yield from _pci_problems(resource.source.pci)
    if resource.source.simulated is not None:
        for index, failure in enumerate(resource.source.simulated.failures):
            if 0 < failure.every_seconds <= failure.for_seconds:
                yield f"source.simulated.failures[{index}]: everySeconds must be longer than forSeconds, or 0"
    if resource.source.paths is not None:
        for member in ("include", "exclude"):
            for glob in getattr(resource.source.paths, member):
                if not _is_device_path(glob):
                    yield f"source.paths.{member}: {glob!r} must be a path below {hostpaths.DEVICE_ROOT} without '..'"
    yield from _allocation_problems(resource.allocation)


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


def _form_problems(field: str, form: hardware.Form, names: tuple[str, ...]) -> Iterator[str]:
    return (f"{field}: {name!r} {form.message}" for name in names if not form.fits(name))


def _allocation_problems(allocation: Allocation) -> Iterator[str]:
    if allocation.permissions not in ("r", "w", "rw"):
        yield "allocation.permissions: must be r, w or rw"
    path = allocation.container_path
    if path is not None and not (_is_device_path(path) and ("$(INDEX)" in path or "$(DEVICE_ID)" in path)):
        yield "allocation.containerPath: must be a path below /dev with $(INDEX) or $(DEVICE_ID) in it"
    for variable in allocation.env:
        if not _ENV_NAME.fullmatch(variable.name):
            yield f"allocation.env: {variable.name!r} must be letters, digits and '_', not starting with a digit"
        if variable.name.startswith("LD_") or variable.name in _STEERING:
            yield f"allocation.env: {variable.name} would steer how programs are loaded"
    for mount in allocation.mounts:
        wrong = hostpaths.mount_error(mount.host_path, read_only=mount.read_only)
        if wrong is not None:
            yield f"allocation.mounts: hostPath {mount.host_path!r} {wrong}"
        inside = mount.container_path
        if not hostpaths.is_clean_absolute(inside):
            yield f"allocation.mounts: containerPath {inside!r} must be an absolute path without '..'"
        if any(inside == root or hostpaths.is_below(inside, root) for root in _CONTAINER_ROOTS):
            yield f"allocation.mounts: containerPath {inside!r} must not be in {', '.join(_CONTAINER_ROOTS)}"
    for key in allocation.annotations:
        if any(owned in key for owned in _RUNTIME_OWNED):
            yield f"allocation.annotations: {key!r} belongs to Kubernetes or a container runtime"


def _is_device_path(path: str) -> bool:
    return hostpaths.is_clean_absolute(path) and hostpaths.is_below(path, hostpaths.DEVICE_ROOT)
