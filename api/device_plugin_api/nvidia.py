"""The source `nvidia`: which GPUs, or which of their MIG instances, and how containers are told of them."""

from typing import Annotated

from msgspec import Struct, field

from device_plugin_api import rules
from device_plugin_api.schema import ATOMIC, DEFAULT_EMPTY, doc, enum

APPLICATION_XIDS = (13, 31, 43, 45, 68, 109)
"""Errors of programs, not of GPUs, as NVIDIA's own device plugin has it: they say nothing about the next container."""

XidNumber = Annotated[int, doc("A number, as the kernel's log has it: NVRM: Xid (…): 79.", ge=1, le=65535)]


class Mig(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Multi-instance GPUs."""

    mode: Annotated[
        str,
        doc(
            "None: whole GPUs, and none that is in MIG mode. Single: MIG instances, where all GPUs that fit are in MIG "
            "mode and all their instances have one profile. Mixed: the MIG instances of the profiles given.",
            openapi=enum("None", "Single", "Mixed"),
            max_length=6,
        ),
    ] = "None"
    profiles: Annotated[
        tuple[Annotated[str, doc("A profile, such as 1g.10gb.", max_length=32, rules=rules.MIG_PROFILE)], ...],
        doc("Profiles of MIG instances, as nvidia-smi shows them.", min_length=1, max_length=16, openapi=ATOMIC),
    ] = ()


class NvidiaSource(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """NVIDIA GPUs that fit every member given. Each is known by its UUID."""

    models: Annotated[
        tuple[Annotated[str, doc("A name, or a glob (*, ?, [set]).", min_length=1, max_length=64)], ...],
        doc("Models, as nvidia-smi shows them: NVIDIA A100*.", min_length=1, max_length=16, openapi=ATOMIC),
    ] = ()
    uuids: Annotated[
        tuple[Annotated[str, doc("A UUID.", max_length=64, rules=rules.GPU_UUID)], ...],
        doc("UUIDs of GPUs (GPU-…) or MIG instances (MIG-…).", min_length=1, max_length=128, openapi=ATOMIC),
    ] = ()
    pci_addresses: Annotated[
        tuple[Annotated[str, doc("domain:bus:device.function.", max_length=16, rules=rules.PCI_ADDRESS)], ...],
        doc("Addresses of GPUs, such as 0000:3b:00.0.", min_length=1, max_length=64, openapi=ATOMIC),
    ] = ()
    min_memory: Annotated[int, doc("Memory of the GPU at least, in MiB.", ge=1, le=2**31 - 1)] | None = field(
        name="minMemoryMiB", default=None
    )
    max_memory: Annotated[int, doc("Memory of the GPU at most, in MiB.", ge=1, le=2**31 - 1)] | None = field(
        name="maxMemoryMiB", default=None
    )
    mig: Annotated[Mig, doc("Multi-instance GPUs.", openapi=DEFAULT_EMPTY, rules=rules.MIG)] = field(
        default_factory=Mig
    )
    device_list: Annotated[
        str,
        doc(
            "How the container runtime learns which GPUs a container has. Environment: NVIDIA_VISIBLE_DEVICES, for "
            "NVIDIA's own runtime. CDI: the names nvidia.com/gpu=<UUID> of the spec that nvidia-ctk generates; a "
            "device that is not in it is Unhealthy. Both: both.",
            openapi=enum("Environment", "CDI", "Both"),
            max_length=11,
        ),
    ] = "Environment"
    device_nodes: Annotated[
        bool,
        doc(
            "Containers get the device nodes by the kubelet too: /dev/nvidiaN, /dev/nvidiactl, /dev/nvidia-uvm, "
            "/dev/nvidia-uvm-tools, and those of MIG capabilities."
        ),
    ] = False
    ignored_xids: (
        Annotated[
            tuple[XidNumber, ...],
            doc(
                "Errors that the driver tells (Xids) and that say nothing about the GPU; all others make it Unhealthy. "
                "13, 31, 43, 45, 68 and 109, errors of programs, when neither list is given.",
                max_length=64,
                openapi=ATOMIC,
            ),
        ]
        | None
    ) = None
    critical_xids: (
        Annotated[
            tuple[XidNumber, ...],
            doc("Xids that alone make a GPU Unhealthy.", min_length=1, max_length=64, openapi=ATOMIC),
        ]
        | None
    ) = None

    def counts(self, xid: int) -> bool:
        """Whether an Xid says something about the GPU."""
        if self.critical_xids is not None:
            return xid in self.critical_xids
        return xid not in (APPLICATION_XIDS if self.ignored_xids is None else self.ignored_xids)
