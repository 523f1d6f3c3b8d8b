"""The /proc, /sys and /dev of a machine with GPUs; README.md says where every value comes from."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from device_plugin_agent.sources import HostView
from device_plugin_agent.sources.nvidia.worker import Nvml
from nvml_double import Card, Instance, NvmlDouble

ROOTS = ("pci0000:00", "pci0000:40", "pci0000:80", "pci0000:b0")
"""Two GPUs hang on each."""

_OF_GPU, _OF_GPU_INSTANCE = 135, 9
"""How many capability devices the driver numbers for each: 15 GPU instances, each with 8 compute instances."""


class Machine:
    """Two NUMA nodes, and the GPUs of the double spread over four PCI roots."""

    def __init__(self, root: Path, double: NvmlDouble, *, proc: bool = True) -> None:
        self.root, self.double = root, double
        self.sys, self.dev, self.proc = root / "sys", root / "dev", root / "proc/driver"
        self.cdi = root / "cdi"
        self.nvml = Nvml(lambda: double)
        (self.sys / "bus/pci/devices").mkdir(parents=True)
        self.dev.mkdir(exist_ok=True)
        self.cdi.mkdir(exist_ok=True)
        for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"):
            self.node(name)
        for number, card in enumerate(double.cards):
            self._function(number, card)
            self.node(f"nvidia{card.minor}")
            if proc:
                self.information(card)

    @property
    def host(self) -> HostView:
        return HostView(
            dev_root=self.dev,
            sys_root=self.sys,
            driver_dir=self.proc,
            cdi_dirs=(self.cdi,),
            nvml=self.nvml,
            allow_mig_monitor=True,
        )

    def information(self, card: Card, **other: str) -> None:
        """What the kernel's module says of a GPU."""
        directory = self.proc / "nvidia/gpus" / address(card)
        directory.mkdir(parents=True, exist_ok=True)
        facts = {
            "Model": card.name,
            "IRQ": "259",
            "GPU UUID": card.uuid,
            "Video BIOS": "92.00.45.00.03",
            "Bus Type": "PCIe",
            "DMA Size": "47 bits",
            "DMA Mask": "0x7fffffffffff",
            "Bus Location": address(card),
            "Device Minor": str(card.minor),
            "GPU Firmware": "550.54.15",
            "GPU Excluded": "No",
        } | other
        (directory / "information").write_text("".join(f"{key}: \t {value}\n" for key, value in facts.items()))

    def library(self) -> Path:
        """The GPUs in a file, for `nvml_double.module`."""
        file = self.root / "nvml.json"
        file.write_text(json.dumps([asdict(card) for card in self.double.cards]))
        return file

    def mig_minors(self, *lines: str) -> None:
        """Which capability devices there are."""
        (self.proc / "nvidia-caps").mkdir(parents=True, exist_ok=True)
        (self.proc / "nvidia-caps/mig-minors").write_text("\n".join(("config 1", "monitor 2", *lines, "")))

    def capabilities(self) -> None:
        """The capability devices of all MIG instances, with their nodes."""
        lines = []
        for card in self.double.cards:
            for each in card.instances:
                gpu = f"gpu{card.minor}/gi{each.gpu_instance}"
                for part, number in zip(("", f"/ci{each.compute_instance}"), capabilities(card, each), strict=True):
                    lines.append(f"{gpu}{part}/access {number}")
                    self.node(f"nvidia-caps/nvidia-cap{number}")
        self.mig_minors(*dict.fromkeys(lines))

    def node(self, name: str) -> None:
        """A device node."""
        path = self.dev / name
        path.parent.mkdir(parents=True, exist_ok=True)
        major = 195 if path.parent == self.dev else 237
        os.mknod(path, 0o020666, os.makedev(major, len(os.listdir(path.parent))))

    def spec(self, *names: str, file: str = "nvidia.yaml") -> None:
        """A CDI spec as nvidia-ctk writes it."""
        devices = "".join(
            f"- containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia0\n  name: {name}\n" for name in names
        )
        text = f"---\ncdiVersion: 0.5.0\ncontainerEdits:\n  env:\n  - NVIDIA_VISIBLE_DEVICES=void\ndevices:\n{devices}"
        (self.cdi / file).write_text(f"{text}kind: nvidia.com/gpu\n")

    def _function(self, number: int, card: Card) -> None:
        directory = self.sys / "devices" / ROOTS[number // 2] / address(card)
        directory.mkdir(parents=True)
        (directory / "numa_node").write_text(f"{number // 4}\n")
        (self.sys / "bus/pci/devices" / address(card)).symlink_to(
            f"../../../devices/{ROOTS[number // 2]}/{address(card)}"
        )


def capabilities(card: Card, instance: Instance) -> tuple[int, int]:
    """The numbers of the capability devices of a MIG instance: its GPU instance's and its compute instance's."""
    first = 3 + _OF_GPU * card.minor + _OF_GPU_INSTANCE * instance.gpu_instance
    return first, first + 1 + instance.compute_instance


def address(card: Card) -> str:
    """Where sysfs has it."""
    return card.bus_id.lower().removeprefix("0000")
