"""Machines with GPUs. tests/recorded/README.md says where every value comes from."""

from nvml_double import Card, Instance, NvmlDouble

A100 = "NVIDIA A100-SXM4-40GB"
A100_MEMORY = 42949672960

ADDRESSES = ("07", "0f", "47", "4e", "87", "90", "b7", "bd")
"""Buses of the GPUs of a DGX A100."""

SWITCHES = [f"00000000:{bus}:00.0" for bus in ("C4", "C5", "C6", "C7", "C8", "C9")]


def gpu_uuid(node: int, number: int) -> str:
    return f"GPU-0000000{node}-0000-4000-8000-00000000000{number}"


def mig_uuid(node: int, gpu: int, number: int) -> str:
    return f"MIG-0000000{node}-0000-5000-8000-0000000000{gpu}{number}"


def card(number: int, node: int = 0) -> Card:
    """One of eight A100 behind NVSwitches."""
    return Card(
        uuid=gpu_uuid(node, number),
        bus_id=f"00000000:{ADDRESSES[number].upper()}:00.0",
        minor=number,
        name=A100,
        memory=A100_MEMORY,
        mig=False,
        links=[switch for switch in SWITCHES for _ in range(2)],
    )


def eight(node: int = 0) -> NvmlDouble:
    """Eight whole GPUs."""
    return NvmlDouble(*(card(number, node) for number in range(8)))


def sliced(number: int, *slices: int, node: int = 0) -> Card:
    """A GPU in MIG mode, with instances of so many slices."""
    made = card(number, node)
    made.mig = True
    made.instances = [
        Instance(
            uuid=mig_uuid(node, number, index),
            gpu_instance=index + 7,
            slices=each,
            memory={1: 4864, 2: 9984, 3: 20096, 7: 40192}[each],
        )
        for index, each in enumerate(slices)
    ]
    return made


def mixed(node: int = 1) -> NvmlDouble:
    """Eight GPUs, the last two in MIG mode: seven of one slice, and two with three of two kinds."""
    double = eight(node)
    double.cards[6] = sliced(6, 1, 1, 1, 1, 1, 1, 1, node=node)
    double.cards[7] = sliced(7, 3, 2, 1, node=node)
    return double
