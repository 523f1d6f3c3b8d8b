"""Sources of hardware: USB, PCI, network functions, FPGAs, GPUs."""

from apiserver.cases.parts import FIRST, bad, good
from apiserver.objects import of

BAD = [
    bad(
        "an FPGA's mode by another name",
        of(source={"fpga": {"mode": "af"}}),
        f"{FIRST}.source.fpga.mode",
        'supported values: "AcceleratorFunction", "Region", "RegionManagement"',
    ),
    bad(
        "an accelerator function with capitals",
        of(source={"fpga": {"afuIDs": ["D8424DC4A4A3C413F89E433683F9040B"]}}),
        f"{FIRST}.source.fpga.afuIDs[0]",
        "must be 32 hexadecimal digits in lower case",
    ),
    bad(
        "the id of an accelerator that does not answer",
        of(source={"fpga": {"afuIDs": ["f" * 32]}}),
        f"{FIRST}.source.fpga.afuIDs[0]",
        "must not be all zeros or all ones",
    ),
    bad(
        "no interfaces",
        of(source={"fpga": {"mode": "Region", "interfaceIDs": []}}),
        f"{FIRST}.source.fpga.interfaceIDs",
        "should have at least 1 items",
    ),
    bad(
        "the accelerator function of a region",
        of(source={"fpga": {"mode": "Region", "afuIDs": ["d8424dc4a4a3c413f89e433683f9040b"]}}),
        f"{FIRST}.source.fpga",
        "afuIDs and ports belong to mode: AcceleratorFunction",
    ),
    bad(
        "a port without number",
        of(source={"fpga": {"ports": [-1]}}),
        f"{FIRST}.source.fpga.ports[0]",
        "greater than or equal to 0",
    ),
    bad(
        "a USB vendor in upper case",
        of(source={"usb": {"vendorID": "04D8"}}),
        f"{FIRST}.source.usb.vendorID",
        "must be four hexadecimal digits in lower case, such as 0403",
    ),
    bad("a USB source without vendor", of(source={"usb": {}}), f"{FIRST}.source.usb.vendorID", "Required value"),
    bad(
        "a PCI source that selects everything",
        of(source={"pci": {}}),
        f"{FIRST}.source.pci",
        "at least one of vendors, devices, classes, drivers and addresses must be given",
    ),
    bad(
        "a PCI source of empty lists",
        of(source={"pci": {"vendors": []}}),
        f"{FIRST}.source.pci.vendors",
        "should have at least 1 items",
    ),
    bad(
        "a USB source of no subsystems",
        of(source={"usb": {"vendorID": "0403", "subsystems": []}}),
        f"{FIRST}.source.usb.subsystems",
        "should have at least 1 items",
    ),
    bad(
        "a PCI vendor of five digits",
        of(source={"pci": {"vendors": ["0x80861"]}}),
        f"{FIRST}.source.pci.vendors[0]",
        "Too long",
    ),
    bad(
        "a PCI address without its domain",
        of(source={"pci": {"addresses": ["3b:00.0"]}}),
        f"{FIRST}.source.pci.addresses[0]",
        "must be a full PCI address in lower case, such as 0000:3b:00.0",
    ),
    bad(
        "a PCI class of three digits",
        of(source={"pci": {"classes": ["030"]}}),
        f"{FIRST}.source.pci.classes[0]",
        "must be two, four or six hexadecimal digits",
    ),
    bad(
        "a port with a slash in its name",
        of(source={"network": {"pfNames": ["a/b"]}}),
        f"{FIRST}.source.network.pfNames[0]",
        "must be the name of a network device, with numbers of functions or without",
    ),
    bad(
        "functions without a number",
        of(source={"network": {"pfNames": ["eth0", "eth0#"]}}),
        f"{FIRST}.source.network.pfNames[1]",
        "enp2s0f0 or enp2s0f0#0,2-7",
    ),
    bad(
        "a range of functions that ends before it begins",
        of(source={"network": {"pfNames": ["eth0#1,7-2"]}}),
        f"{FIRST}.source.network.pfNames[0]",
        "must not have a range that ends before it begins",
    ),
    bad(
        "functions of an address without its domain",
        of(source={"network": {"rootDevices": ["3b:00.0#1"]}}),
        f"{FIRST}.source.network.rootDevices[0]",
        "must be a full PCI address, with numbers of functions or without",
    ),
    bad(
        "a link type that there is not",
        of(source={"network": {"linkTypes": ["wifi"]}}),
        f"{FIRST}.source.network.linkTypes[0]",
        "must be ether or infiniband",
    ),
    bad(
        "a GPU by half a UUID",
        of(source={"nvidia": {"uuids": ["GPU-1"]}}),
        f"{FIRST}.source.nvidia.uuids[0]",
        "must be a UUID as nvidia-smi -L shows it",
    ),
    bad(
        "MIG instances of no profile",
        of(source={"nvidia": {"mig": {"mode": "Mixed"}}}),
        f"{FIRST}.source.nvidia.mig",
        "profiles must be given with mode: Mixed",
    ),
    bad(
        "profiles without MIG",
        of(source={"nvidia": {"mig": {"profiles": ["1g.5gb"]}}}),
        f"{FIRST}.source.nvidia.mig",
        "must not be with mode: None",
    ),
    bad(
        "a profile of nothing",
        of(source={"nvidia": {"mig": {"mode": "Single", "profiles": ["0g.5gb"]}}}),
        f"{FIRST}.source.nvidia.mig.profiles[0]",
        "must be a MIG profile, such as 1g.10gb",
    ),
    bad(
        "GPUs with more memory than themselves",
        of(source={"nvidia": {"minMemoryMiB": 2, "maxMemoryMiB": 1}}),
        f"{FIRST}.source.nvidia",
        "minMemoryMiB must not exceed maxMemoryMiB",
    ),
    bad(
        "both lists of Xids",
        of(source={"nvidia": {"ignoredXids": [13], "criticalXids": [79]}}),
        f"{FIRST}.source.nvidia",
        "ignoredXids and criticalXids must not both be given",
    ),
    bad(
        "another way to tell of GPUs",
        of(source={"nvidia": {"deviceList": "VolumeMounts"}}),
        f"{FIRST}.source.nvidia.deviceList",
        '"Environment", "CDI", "Both"',
    ),
    bad(
        "a network function by an address without its domain",
        of(source={"network": {"pciAddresses": ["3b:00.0"]}}),
        f"{FIRST}.source.network.pciAddresses[0]",
        "must be a full PCI address in lower case",
    ),
    bad(
        "a driver with a slash",
        of(source={"pci": {"drivers": ["../vfio"]}}),
        f"{FIRST}.source.pci.drivers[0]",
        "must be letters, digits, '_', '.' and '-'",
    ),
]

GOOD = [
    good("all GPUs", of(source={"nvidia": {}})),
    good(
        "every selector of GPUs",
        of(
            source={
                "nvidia": {
                    "models": ["NVIDIA A100*"],
                    "uuids": [
                        "GPU-00000000-0000-4000-8000-000000000000",
                        "MIG-00000000-0000-4000-8000-000000000000",
                        "MIG-GPU-00000000-0000-4000-8000-000000000000/7/0",
                    ],
                    "pciAddresses": ["0000:07:00.0"],
                    "minMemoryMiB": 40960,
                    "maxMemoryMiB": 40960,
                    "mig": {"mode": "Mixed", "profiles": ["1g.5gb", "1g.5gb+me", "1c.3g.20gb"]},
                    "deviceList": "Both",
                    "deviceNodes": True,
                    "ignoredXids": [],
                }
            }
        ),
    ),
    good("MIG of one kind", of(source={"nvidia": {"mig": {"mode": "Single"}}})),
    good("some Xids alone", of(source={"nvidia": {"criticalXids": [79]}})),
    good("all network functions", of(source={"network": {}})),
    good(
        "every selector of network functions",
        of(
            source={
                "network": {
                    "vendors": ["8086", "0x15b3"],
                    "devices": ["1889"],
                    "drivers": ["iavf", "vfio-pci"],
                    "pciAddresses": ["0000:3b:02.1"],
                    "pfNames": ["enp2s0f0#0,2-7", "ens1f0np0"],
                    "rootDevices": ["0000:86:00.0#0-3", "0000:86:00.1"],
                    "linkTypes": ["ether", "infiniband"],
                    "isRdma": True,
                    "needVhostNet": True,
                    "excludeTopology": True,
                    "ignoreLink": True,
                }
            }
        ),
    ),
    good("all ports of FPGAs", of(source={"fpga": {}})),
    good(
        "every selector of FPGA ports",
        of(
            source={
                "fpga": {
                    "mode": "AcceleratorFunction",
                    "afuIDs": ["d8424dc4a4a3c413f89e433683f9040b", "f7df405c-bd7a-cf72-22f1-44b0b93acd18"],
                    "interfaceIDs": ["69528db6eb31577a8c3668f9faa081f6"],
                    "ports": [0, 63],
                }
            }
        ),
    ),
    good(
        "regions of FPGAs",
        of(source={"fpga": {"mode": "RegionManagement", "interfaceIDs": ["69528db6eb31577a8c3668f9faa081f6"]}}),
    ),
]
