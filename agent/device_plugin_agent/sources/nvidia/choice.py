"""Which GPUs, or which of their MIG instances, a config wants. Pure."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from device_plugin_agent.sources.identity import id_of_parts
from device_plugin_agent.sources.nvidia.gpu import Gpu, Instance
from device_plugin_agent.sources.selection import Selection
from device_plugin_api.nvidia import NvidiaSource


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What may become a device: a whole GPU, or an instance of one."""

    gpu: Gpu
    instance: Instance | None = None

    @property
    def uuid(self) -> str:
        """Its own."""
        return self.gpu.uuid if self.instance is None else self.instance.uuid

    @property
    def id(self) -> str:
        """The UUID, but for that of an instance by an old driver, which has `/` in it."""
        return id_of_parts(self.uuid)

    @property
    def memory(self) -> int | None:
        """Its own, in MiB."""
        return self.gpu.memory if self.instance is None else self.instance.memory

    @property
    def profile(self) -> str:
        """Empty for a whole GPU."""
        return "" if self.instance is None else self.instance.profile


def chosen(spec: NvidiaSource, gpus: Iterable[Gpu], told_by: str) -> Selection[Item]:
    """What fits, step by step."""
    found = Selection(f"GPUs by {told_by}", [Item(gpu=gpu) for gpu in gpus], lambda each: each.id)
    found.narrow("model", spec.models, lambda each: any(fnmatchcase(each.gpu.model, glob) for glob in spec.models))
    found.narrow("address", spec.pci_addresses, lambda each: each.gpu.pci_address in spec.pci_addresses)
    if spec.min_memory is not None or spec.max_memory is not None:
        low, high = spec.min_memory or 0, spec.max_memory or 2**31
        found.keep(f"memory of {low} to {high} MiB", lambda each: _other_memory(each.gpu, low, high))
    if spec.mig.mode == "None":
        found.keep("not in MIG mode", lambda each: "it is in MIG mode" if each.gpu.mig else None, told_as="MigMode")
    else:
        _instances(spec, found)
    found.narrow("UUID", spec.uuids, lambda each: not {each.uuid, each.gpu.uuid}.isdisjoint(spec.uuids))
    return found


def _instances(spec: NvidiaSource, found: Selection[Item]) -> None:
    # Of one that is lost nobody knows whether it is in MIG mode.
    whole = next((each.gpu.pci_address for each in found.items if not each.gpu.mig and not each.gpu.trouble), None)
    found.keep("in MIG mode", lambda each: None if each.gpu.mig else "it is not in MIG mode")
    found.expand(
        "MIG instances", lambda each: (Item(gpu=each.gpu, instance=instance) for instance in each.gpu.instances)
    )
    profiles = sorted({each.profile for each in found.items})
    found.narrow("profile", spec.mig.profiles, lambda each: each.profile in spec.mig.profiles)
    if spec.mig.mode == "Single":
        unlike = None
        if whole is not None:
            unlike = f"mig.mode is Single, and the GPU {whole} is not in MIG mode"
        elif len(profiles) > 1:
            unlike = f"mig.mode is Single, and there are the profiles {', '.join(profiles)}"
        found.keep("all of one kind", lambda _: unlike, told_as="MigNotUniform")


def _other_memory(gpu: Gpu, low: int, high: int) -> str | None:
    if gpu.memory is None:
        return "how much memory it has is not known"
    return None if low <= gpu.memory <= high else f"it has {gpu.memory} MiB"
