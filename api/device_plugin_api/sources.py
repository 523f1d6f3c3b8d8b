"""Where the devices of a resource come from: one type for each kind of source."""

from typing import Annotated

from msgspec import Struct, field, structs

from device_plugin_api import hardware, rules
from device_plugin_api.nvidia import NvidiaSource
from device_plugin_api.schema import ATOMIC, ATOMIC_MAP, doc, enum, list_map

PATH_TYPES = ("Device", "Directory", "File")

DeviceGlob = Annotated[str, doc("A path or glob below /dev.", max_length=256, rules=rules.DEVICE_GLOB)]


class PathsSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Device nodes, directories of them or plain files, found by path."""

    include: Annotated[
        tuple[DeviceGlob, ...],
        doc(
            "Paths or globs (*, ?, [set]; none crosses '/') below /dev. Each match of the right type is one device.",
            min_length=1,
            max_length=32,
            openapi=ATOMIC,
        ),
    ]
    exclude: Annotated[
        tuple[DeviceGlob, ...], doc("Paths or globs that are left out again.", max_length=32, openapi=ATOMIC)
    ] = ()
    type: Annotated[
        str,
        doc(
            "What counts as a device. Device: a device node. Directory: a directory such as /dev/dvb/adapter0, with "
            "all device nodes in it, at any depth; they keep their places in it. File: a plain file that root alone "
            "can replace; containers get it read-only, or as `writableFiles` says.",
            openapi={"maxLength": 16} | enum(*PATH_TYPES),
        ),
    ] = "Device"


HexID = Annotated[str, doc("Four hexadecimal digits, with or without 0x.", max_length=6, rules=rules.HEX_ID)]


class UsbSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """USB devices. Each is known by its serial number, or by its port where it has none of its own."""

    vendor_id: Annotated[
        str, doc("Vendor, as lsusb shows it: four hexadecimal digits.", max_length=6, rules=rules.HEX_ID)
    ] = field(name="vendorID")
    product_id: Annotated[
        str, doc("Product: four hexadecimal digits. All of the vendor's when absent.", max_length=6, rules=rules.HEX_ID)
    ] = field(name="productID", default="")
    serial: Annotated[
        str, doc("Serial number, or a glob (*, ?, [set]) that it matches.", min_length=1, max_length=126)
    ] = ""
    subsystems: Annotated[
        tuple[
            Annotated[str, doc("A subsystem of the kernel.", min_length=1, max_length=32, rules=rules.KERNEL_NAME)], ...
        ],
        doc(
            "Which of its device nodes a container gets: tty, video4linux, hidraw, sound, usb (the raw device), … "
            "All when absent.",
            min_length=1,
            max_length=8,
            openapi=ATOMIC,
        ),
    ] = ()


class PciSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """PCI functions that fit every member given. Bound to vfio-pci: their IOMMU group; else their drivers' nodes."""

    vendors: Annotated[
        tuple[HexID, ...], doc("Vendors, as lspci -n shows them.", min_length=1, max_length=16, openapi=ATOMIC)
    ] = ()
    devices: Annotated[tuple[HexID, ...], doc("Device IDs.", min_length=1, max_length=32, openapi=ATOMIC)] = ()
    classes: Annotated[
        tuple[
            Annotated[
                str,
                doc("Two, four or six hexadecimal digits: 03, 0302, 030200.", max_length=8, rules=rules.PCI_CLASS),
            ],
            ...,
        ],
        doc("Classes, or how they begin.", min_length=1, max_length=16, openapi=ATOMIC),
    ] = ()
    drivers: Annotated[
        tuple[Annotated[str, doc("A driver.", min_length=1, max_length=64, rules=rules.KERNEL_NAME)], ...],
        doc("Drivers they are bound to.", min_length=1, max_length=16, openapi=ATOMIC),
    ] = ()
    addresses: Annotated[
        tuple[Annotated[str, doc("domain:bus:device.function.", max_length=16, rules=rules.PCI_ADDRESS)], ...],
        doc("Addresses, such as 0000:3b:00.0.", min_length=1, max_length=64, openapi=ATOMIC),
    ] = ()


class NetworkSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Network functions of PCI that fit every member given: virtual functions, and those named in pciAddresses."""

    vendors: Annotated[
        tuple[HexID, ...], doc("Vendors, as lspci -n shows them.", min_length=1, max_length=16, openapi=ATOMIC)
    ] = ()
    devices: Annotated[
        tuple[HexID, ...],
        doc(
            "Device IDs; a virtual function has another than its physical one.",
            min_length=1,
            max_length=32,
            openapi=ATOMIC,
        ),
    ] = ()
    drivers: Annotated[
        tuple[Annotated[str, doc("A driver.", min_length=1, max_length=64, rules=rules.KERNEL_NAME)], ...],
        doc(
            "Drivers they are bound to: iavf, mlx5_core, vfio-pci, … Any when absent.",
            min_length=1,
            max_length=16,
            openapi=ATOMIC,
        ),
    ] = ()
    pci_addresses: Annotated[
        tuple[Annotated[str, doc("domain:bus:device.function.", max_length=16, rules=rules.PCI_ADDRESS)], ...],
        doc(
            "Addresses, such as 0000:3b:02.1. A physical function is offered only when it is named here, has no "
            "virtual functions, and the host does not use it.",
            min_length=1,
            max_length=64,
            openapi=ATOMIC,
        ),
    ] = ()
    pf_names: Annotated[
        tuple[
            Annotated[
                str, doc("A network device, and which of its functions.", max_length=48, rules=rules.PF_FUNCTIONS)
            ],
            ...,
        ],
        doc(
            "Network devices of physical functions. enp2s0f0#0,2-7 names some of its virtual functions.",
            min_length=1,
            max_length=16,
            openapi=ATOMIC,
        ),
    ] = ()
    root_devices: Annotated[
        tuple[
            Annotated[str, doc("A PCI address, and which functions of it.", max_length=48, rules=rules.ROOT_FUNCTIONS)],
            ...,
        ],
        doc(
            "Addresses of physical functions. 0000:3b:00.0#0,2-7 names some of its virtual functions.",
            min_length=1,
            max_length=16,
            openapi=ATOMIC,
        ),
    ] = ()
    link_types: Annotated[
        tuple[Annotated[str, doc("ether or infiniband.", max_length=10, rules=rules.LINK_TYPE)], ...],
        doc("Link types of the physical functions.", min_length=1, max_length=2, openapi=ATOMIC),
    ] = ()
    is_rdma: Annotated[
        bool, doc("Only functions with an RDMA device; containers get its nodes below /dev/infiniband.")
    ] = False
    need_vhost_net: Annotated[bool, doc("Containers get /dev/vhost-net and /dev/net/tun too.")] = False
    exclude_topology: Annotated[
        bool, doc("The kubelet is not told the NUMA node, and so does not align other resources with it.")
    ] = False
    ignore_link: Annotated[
        bool,
        doc(
            "A function stays healthy while its physical function has no link: containers on one card reach each "
            "other without it."
        ),
    ] = False


FpgaID = Annotated[
    str, doc("32 hexadecimal digits, with dashes as in a UUID or without.", max_length=36, rules=rules.FPGA_ID)
]


class FpgaSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Intel FPGAs under the kernel's DFL drivers or the older OPAE driver."""

    mode: Annotated[
        str,
        doc(
            "AcceleratorFunction: each port is a device, used as it is programmed. Region: each FPGA that can be "
            "reprogrammed is a device; containers get its ports. RegionManagement: the same with its management "
            "engine, by which containers can reprogram it.",
            openapi=enum(*hardware.FPGA_MODES),
            max_length=19,
        ),
    ] = "AcceleratorFunction"
    afu_ids: Annotated[
        tuple[FpgaID, ...],
        doc(
            "Accelerator functions that ports are programmed with (afu_id).",
            min_length=1,
            max_length=32,
            openapi=ATOMIC,
        ),
    ] = field(name="afuIDs", default=())
    interface_ids: Annotated[
        tuple[FpgaID, ...],
        doc(
            "Interfaces of the FPGAs (compat_id, or interface_id): which bitstreams they take.",
            min_length=1,
            max_length=32,
            openapi=ATOMIC,
        ),
    ] = field(name="interfaceIDs", default=())
    ports: Annotated[
        tuple[Annotated[int, doc("A port's number on its FPGA, from 0.", ge=0, le=63)], ...],
        doc("Ports of each FPGA, by number (id).", min_length=1, max_length=16, openapi=ATOMIC),
    ] = ()


class SimulatedFailure(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """When a simulated device fails, counted from the start of its agent or the last change of the source."""

    device: Annotated[int, doc("Which device, counted from 0.", ge=0, le=9999)]
    after_seconds: Annotated[int, doc("When it fails first.", ge=0, le=86400)] = 0
    for_seconds: Annotated[int, doc("How long it fails.", ge=1, le=86400)]
    every_seconds: Annotated[
        int, doc("From one failure to the next; 0: it fails once. Longer than `forSeconds`.", ge=0, le=86400)
    ] = 0
    how: Annotated[
        str,
        doc(
            "Missing: as if it were pulled out. Unknown: as if it could not be looked at.",
            openapi={"maxLength": 16} | enum("Missing", "Unknown"),
        ),
    ] = "Missing"


class SimulatedSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Devices that exist only in the agent, to try schedulers, quotas and dashboards without hardware."""

    count: Annotated[int, doc("How many devices each node offers.", ge=0, le=10000)]
    numa_nodes: Annotated[int, doc("Spread them over this many NUMA nodes; 0 tells no topology.", ge=0, le=8)] = 0
    failures: Annotated[
        tuple[
            Annotated[
                SimulatedFailure,
                doc("One device and its failures.", rules=rules.SIMULATED_FAILURE),
            ],
            ...,
        ],
        doc("When which devices fail.", max_length=64, openapi=ATOMIC),
    ] = ()


class GroupMember(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One of the devices that go together: a name and exactly one source."""

    name: Annotated[
        str,
        doc(
            "What it is in the group: camera, light. Containers get $(attributes.<name>) and <NAME>_<MEMBER>_PATH.",
            max_length=16,
            rules=rules.MEMBER_NAME,
        ),
    ]
    optional: Annotated[bool, doc("Whether a group is complete without it.")] = False
    paths: Annotated[PathsSource, doc("A device node by path.")] | None = None
    usb: Annotated[UsbSource, doc("A USB device.")] | None = None
    pci: Annotated[PciSource | None, doc("A PCI function.", rules=rules.PCI_SOURCE)] = None

    @property
    def source(self) -> "Source":
        """The same as a source of its own."""
        return Source(paths=self.paths, usb=self.usb, pci=self.pci)


class GroupsSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Devices of several kinds that go together as one: a container gets all of a group or nothing."""

    members: Annotated[
        tuple[Annotated[GroupMember, doc("A member.", rules=rules.GROUP_MEMBER)], ...],
        doc(
            "What a group consists of, one device of each. A group that lacks one is not offered, unless it is "
            "optional.",
            min_length=2,
            max_length=8,
            openapi=list_map("name"),
            rules=rules.GROUP_MEMBERS,
        ),
    ]
    pair_by: Annotated[
        str,
        doc(
            "What goes with what. Single: the node has one group, and one device of each member. Number: devices "
            "with the same last number in the name of their path, as /dev/card3 and /dev/card3-ctl.",
            openapi=enum("Single", "Number"),
            max_length=6,
        ),
    ] = "Single"


class CustomSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Devices that a Python package of yours finds. Its image comes from the operator's settings, never from here."""

    name: Annotated[
        str,
        doc(
            "Its entry point in the group device_plugin_agent.sources, and its name in the operator's sourceImages.",
            min_length=1,
            max_length=63,
            rules=rules.SOURCE_NAME,
        ),
    ]
    parameters: Annotated[
        dict[str, Annotated[str, doc("A value.", max_length=256)]],
        doc("What the package is told.", max_length=16, rules=rules.PARAMETERS, openapi=ATOMIC_MAP),
    ] = {}


class Source(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Where devices come from: exactly one member."""

    paths: Annotated[PathsSource, doc("Device nodes by path.")] | None = None
    usb: Annotated[UsbSource, doc("USB devices.")] | None = None
    pci: Annotated[PciSource | None, doc("PCI functions.", rules=rules.PCI_SOURCE)] = None
    network: Annotated[NetworkSource, doc("SR-IOV functions of network cards.")] | None = None
    fpga: Annotated[FpgaSource | None, doc("Intel FPGAs.", rules=rules.FPGA_SOURCE)] = None
    nvidia: Annotated[NvidiaSource | None, doc("NVIDIA GPUs.", rules=rules.NVIDIA_SOURCE)] = None
    groups: Annotated[GroupsSource, doc("Several devices that go together as one.")] | None = None
    custom: Annotated[CustomSource, doc("Devices that a package of yours finds.")] | None = None
    simulated: Annotated[SimulatedSource, doc("Made-up devices.")] | None = None


SOURCES = tuple(source.name for source in structs.fields(Source))
"""The members of which one is given."""
