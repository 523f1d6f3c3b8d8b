"""What `$(…)` may stand for in a config's texts."""

import re
from collections.abc import Collection, Iterator, Mapping

IN_VALUES = ("DEVICE_ID", "DEVICE_IDS", "DEVICE_PATH", "DEVICE_PATHS", "INDEX")
"""In the value of a variable or an annotation, beside attributes."""

IN_PATHS = ("DEVICE_ID", "INDEX")
"""In a path, beside attributes."""

ATTRIBUTE = "attributes."

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "paths": ("device", "target"),
    "usb": ("manufacturer", "port", "product", "productID", "serial", "vendorID"),
    "pci": ("class", "device", "driver", "iommuGroup", "pciAddress", "pciRoot", "physicalFunction", "vendor"),
    "network": (
        "device",
        "driver",
        "function",
        "iommuGroup",
        "linkType",
        "pciAddress",
        "pciRoot",
        "pfName",
        "physicalFunction",
        "rdmaDevice",
        "vdpaDevice",
        "vdpaType",
        "vendor",
    ),
    "fpga": ("afuID", "interfaceID", "pciAddress", "pciRoot", "port"),
    "nvidia": (
        "health",
        "memoryMiB",
        "migProfile",
        "minor",
        "model",
        "nvlinkGroup",
        "parentUUID",
        "pciAddress",
        "pciRoot",
        "uuid",
    ),
    "simulated": ("simulated",),
}
"""The attributes that devices of a source can have; a group's are the names of its members."""

_VARIABLE = re.compile(r"\$\(([^)]*)\)")


def used(template: str) -> list[str]:
    """The variables it names."""
    return _VARIABLE.findall(template)


def unknown(template: str, known: Collection[str], *, any_attribute: bool = False) -> Iterator[str]:
    """What is wrong with it, worded for people. `any_attribute`: nobody knows beforehand which there are."""
    for name in used(template):
        if name not in known and not (any_attribute and name.startswith(ATTRIBUTE)):
            yield f"unknown variable $({name}); known are {', '.join(f'$({each})' for each in known)}"


def expand(template: str, variables: Mapping[str, str]) -> str:
    """Every `$(NAME)` replaced; by nothing when there is no such variable."""
    return _VARIABLE.sub(lambda match: variables.get(match[1], ""), template)
