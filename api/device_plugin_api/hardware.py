"""How buses name what hangs on them: one grammar for the API server (RE2) and for Python, and its words for people."""

import re

import msgspec


class Form(msgspec.Struct, frozen=True):
    """What a name looks like."""

    pattern: str
    message: str

    def fits(self, name: str) -> bool:
        """Whether the whole name does."""
        return re.fullmatch(self.pattern, name) is not None


HEX_ID = Form("^(0x)?[0-9a-f]{4}$", "must be four hexadecimal digits in lower case, such as 0403 or 0x0403")
PCI_CLASS = Form(
    "^(0x)?([0-9a-f]{2}){1,3}$", "must be two, four or six hexadecimal digits in lower case, such as 03 or 0x0302"
)
PCI_ADDRESS = Form(
    "^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}[.][0-7]$", "must be a full PCI address in lower case, such as 0000:3b:00.0"
)
_FUNCTIONS = "(#[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*)?$"
PF_FUNCTIONS = Form(
    f"^[A-Za-z0-9_.@-]{{1,15}}{_FUNCTIONS}",
    "must be the name of a network device, with numbers of functions or without: enp2s0f0 or enp2s0f0#0,2-7",
)
ROOT_FUNCTIONS = Form(
    f"^[0-9a-f]{{4,8}}:[0-9a-f]{{2}}:[0-9a-f]{{2}}[.][0-7]{_FUNCTIONS}",
    "must be a full PCI address, with numbers of functions or without: 0000:3b:00.0 or 0000:3b:00.0#0,2-7",
)
LINK_TYPE = Form("^(ether|infiniband)$", "must be ether or infiniband")
FPGA_ID = Form(
    "^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$",
    "must be 32 hexadecimal digits in lower case, as afu_id and compat_id show them, or with the dashes of a UUID",
)
NO_FPGA_ID = Form("^[0-]*$|^[f-]*$", "must not be all zeros or all ones, which say that there is none")
FPGA_MODES = ("AcceleratorFunction", "Region", "RegionManagement")
"""As the users of Intel's plugin know them: af, region and regiondevel."""
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
GPU_UUID = Form(
    f"^(GPU-{_UUID}|MIG-{_UUID}|MIG-GPU-{_UUID}/[0-9]{{1,3}}/[0-9]{{1,3}})$",
    "must be a UUID as nvidia-smi -L shows it: GPU-… or MIG-… and 32 hexadecimal digits in lower case",
)
MIG_PROFILE = Form(
    "^([1-9]c[.])?[1-9]g[.][1-9][0-9]{0,3}gb([+][a-z.]{1,8})?$", "must be a MIG profile, such as 1g.10gb or 1c.3g.40gb"
)
KERNEL_NAME = Form("^[A-Za-z0-9_.-]+$", "must be letters, digits, '_', '.' and '-'")
"""A subsystem or a driver."""

MEMBER_NAME = Form("^[a-z][a-z0-9]*$", "must be lower-case letters and digits, a letter first, such as camera")

SOURCE_NAME = Form(
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "must be lower-case letters, digits and '-', such as thermometers"
)


def plain_fpga_id(id_: str) -> str:
    """An id of an FPGA as the kernel has it: without dashes."""
    return id_.replace("-", "")


def digits(number: str) -> str:
    """A hexadecimal number as sysfs has it for USB: without `0x`."""
    return number.removeprefix("0x")
