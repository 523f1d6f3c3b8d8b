"""The source `nvidia`: whole GPUs or MIG instances, what is wrong with them, and what containers need for them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from device_plugin_agent.clock import Clock
from device_plugin_agent.sources import pci_function, sysfs_device
from device_plugin_agent.sources.base import Candidate, Discovery, Unfit
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.identity import id_of_parts
from device_plugin_agent.sources.nvidia import proc, xid
from device_plugin_agent.sources.nvidia.cdi import Specs, qualified
from device_plugin_agent.sources.nvidia.gpu import LOST, Gpu, Instance, Seen, link_groups, with_lost
from device_plugin_agent.sources.selection import Selection, printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.nvidia import NvidiaSource, Xids
from device_plugin_api.resource import Health

_SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
"""Nodes below /dev that every container with a GPU needs."""

_OPTIONAL = ("nvidia-uvm-tools",)

NO_MONITOR = Unfit(
    reason="MigMonitorNotAllowed",
    why="how a MIG instance is can be seen only with the operator's setting allowMigMonitor",
    seen=False,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Item:
    """What may become a device."""

    gpu: Gpu
    instance: Instance | None = None

    @property
    def uuid(self) -> str:
        return self.gpu.uuid if self.instance is None else self.instance.uuid

    @property
    def id(self) -> str:
        return id_of_parts(self.uuid)


class Nvidia:
    """Each whole GPU, or each MIG instance, that fits is one device."""

    def __init__(self, spec: NvidiaSource, health: Health, host: HostView, clock: Clock) -> None:
        self._spec = spec
        self._host = host
        self._clock = clock
        self._specs = Specs(host.cdi_dirs)
        self._xids = spec.xids or Xids()
        self._quiet = float(health.period_seconds * health.success_threshold)
        """Seconds without another error after which one is over."""
        self._items: dict[str, _Item] = {}

    def begin(self, news: Callable[[], None]) -> None:
        """Ask the driver in a thread."""
        self._host.nvml.begin(self._clock, news)

    def pardon(self, devices: Iterable[str]) -> None:
        """Forget the errors of these."""
        items = [self._items[device] for device in devices if device in self._items]
        faults = self._host.nvml.seen().faults
        self._host.nvml.pardon([each for each in faults if any(each.hits(item.gpu, item.instance) for item in items)])

    def discover(self) -> Discovery:
        """What the driver told last, and /proc now. Waits for nobody."""
        seen = self._host.nvml.seen()
        if seen.pending:
            return Discovery(candidates=(), steps=(), pending=True)
        gpus, limited = self._gpus(seen)
        chosen = self._chosen(gpus, seen)
        self._items = {item.id: item for item in chosen.items}
        groups = link_groups(gpus)
        named = self._specs.names() if self._spec.device_list != "Environment" else frozenset[str]()
        now = self._clock.monotonic()
        candidates, ends = [], []
        for item in chosen.items:
            happened, over = xid.trouble(self._faults(seen, item), self._xids, self._quiet, now)
            ends += [over] if happened is not None else []
            candidates.append(self._candidate(item, seen.problem, happened, named, limited, groups))
        return Discovery(
            candidates=tuple(candidates),
            steps=tuple(chosen.steps),
            unfit=chosen.unfit,
            changes_in=min(ends, default=None),
        )

    def watched(self) -> frozenset[Path]:
        """Where device nodes and CDI specs come and go."""
        directories = [self._host.dev_root, self._host.dev_root / "nvidia-caps"] if self._spec.device_nodes else []
        if self._spec.device_list != "Environment":
            directories += self._host.cdi_dirs
        return frozenset(directory for directory in directories if directory.is_dir())

    def concerns(self, event: Uevent) -> bool:
        """Whether a function of PCI came, went or changed its driver."""
        return event.subsystem == "pci" and event.devpath.startswith("/devices/pci")

    def _gpus(self, seen: Seen) -> tuple[tuple[Gpu, ...], str]:
        """All GPUs, and why little is known of how they are."""
        listed = proc.gpus(self._host.driver_dir)
        if seen.absent is not None:
            return tuple(listed), f"limited: {seen.absent}"
        known = {gpu.pci_address for gpu in seen.gpus}
        # Known to the kernel's module, and not to NVML: lost before this agent started.
        return with_lost((gpu for gpu in listed if gpu.pci_address not in known), seen.gpus), ""

    def _chosen(self, gpus: Iterable[Gpu], seen: Seen) -> Selection[_Item]:
        spec, mode = self._spec, self._spec.mig.mode
        source = "NVML" if seen.absent is None else f"/proc/driver/nvidia ({seen.absent})"
        found = Selection(f"GPUs by {source}", [_Item(gpu=gpu) for gpu in gpus], lambda each: each.id)
        found.narrow(
            "model", spec.models, lambda each: any(fnmatchcase(each.gpu.model, glob) for glob in spec.models)
        )
        found.narrow("address", spec.pci_addresses, lambda each: each.gpu.pci_address in spec.pci_addresses)
        if spec.min_memory is not None or spec.max_memory is not None:
            low, high = spec.min_memory or 0, spec.max_memory or 2**31
            found.keep(f"memory of {low} to {high} MiB", lambda each: _other_memory(each.gpu, low, high))
        if mode == "None":
            found.keep("not in MIG mode", lambda each: "it is in MIG mode" if each.gpu.mig else None, told_as="MigMode")
        else:
            fits = [each.gpu for each in found.items]
            found.keep("in MIG mode", lambda each: None if each.gpu.mig else "it is not in MIG mode")
            found.expand("MIG instances", _instances)
            found.narrow(
                "profile", spec.mig.profiles, lambda each: _profile(each.instance) in spec.mig.profiles
            )
            if mode == "Single":
                unlike = _unlike(fits, found.items)
                found.keep("of one profile, on GPUs in MIG mode alone", lambda _: unlike, told_as="MixedProfiles")
        found.narrow("UUID", spec.uuids, lambda each: not {each.uuid, each.gpu.uuid}.isdisjoint(spec.uuids))
        return found

    def _faults(self, seen: Seen, item: _Item) -> dict[int, float]:
        """Xid → when it happened last, of what concerns the device."""
        last: dict[int, float] = {}
        for fault, at in seen.faults.items():
            if fault.hits(item.gpu, item.instance):
                last[fault.xid] = max(at, last.get(fault.xid, at))
        return last

    def _candidate(
        self,
        item: _Item,
        problem: Unfit | None,
        happened: Unfit | None,
        named: frozenset[str],
        limited: str,
        groups: dict[str, str],
    ) -> Candidate:
        gpu, instance, host = item.gpu, item.instance, self._host
        sysfs = host.sysfs_directory(host.sys_root / "bus/pci/devices" / gpu.pci_address)
        place = host.sysfs_path(sysfs) if sysfs is not None else f"/sys/bus/pci/devices/{gpu.pci_address}"
        node = "" if gpu.minor is None else f"/dev/nvidia{gpu.minor}"
        own: tuple[str, ...] = ()
        shared: tuple[str, ...] = ()
        missing: Unfit | None = None
        if self._spec.device_nodes:
            try:
                own, shared = self._nodes(item)
            except sysfs_device.NoNode as error:
                missing = Unfit(reason="NodeMissing", why=error.why)
        if instance is None:
            path, marks = node, (place, node)
        else:
            path, marks = own[0] if own else "", (f"{place}/{instance.uuid}",)
        attributes = {
            "uuid": item.uuid,
            "model": gpu.model,
            "memoryMiB": str((gpu.memory if instance is None else instance.memory) or ""),
            "pciAddress": gpu.pci_address,
            "pciRoot": "" if sysfs is None else pci_function.root_of(sysfs),
            "minor": "" if gpu.minor is None else str(gpu.minor),
            "nvlinkGroup": "" if instance is not None else groups.get(gpu.pci_address, ""),
            "migProfile": _profile(instance),
            "parentUUID": gpu.uuid if instance is not None else "",
            "health": limited or ("" if gpu.tells else "limited: it tells no errors"),
        }
        return Candidate(
            id=item.id,
            path=path,
            nodes=own,
            shared_nodes=shared,
            hardware=tuple(mark for mark in marks if mark),
            sysfs="" if sysfs is None else place,
            numa_node=None if sysfs is None else host.numa_node_of(sysfs),
            attributes={key: printable(value) for key, value in attributes.items() if value},
            trouble=problem or gpu.trouble or happened or missing or self._unnamed(item.uuid, named) or self._unseen(item),
        )

    def _unnamed(self, uuid: str, named: frozenset[str]) -> Unfit | None:
        if self._spec.device_list == "Environment" or uuid in named:
            return None
        places = " or ".join(map(str, self._host.cdi_dirs))
        why = (
            f"no CDI spec in {places} names {qualified(uuid)}: "
            "nvidia-ctk cdi generate --device-name-strategy=uuid writes one"
        )
        return Unfit(reason="CdiSpecMissing", why=why)

    def _unseen(self, item: _Item) -> Unfit | None:
        return NO_MONITOR if item.instance is not None and not self._host.allow_mig_monitor else None

    def _nodes(self, item: _Item) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Its own nodes and those that others have too; raises NoNode."""
        host, gpu = self._host, item.gpu
        if gpu.minor is None:
            raise sysfs_device.NoNode(why="the driver does not tell its device node")
        names = [f"nvidia{gpu.minor}"]
        shared = [*_SHARED]
        if item.instance is not None:
            places = item.instance.gpu_instance, item.instance.compute_instance
            shared = [*names, *shared]
            names = proc.mig_capabilities(host.driver_dir, gpu.minor, *places)
            if not names:
                raise sysfs_device.NoNode(why=f"{host.driver_dir}/nvidia-caps/mig-minors does not have it")
        there = [name for name in shared if name not in _OPTIONAL or (host.dev_root / name).exists()]
        return tuple(_checked(host, name) for name in names), tuple(_checked(host, name) for name in there)


def _checked(host: HostView, name: str) -> str:
    try:
        return sysfs_device.checked(host, name)
    except sysfs_device.NoNode as missing:
        raise sysfs_device.NoNode(why=f"/dev/{name}: {missing.why}") from None


def _instances(item: _Item) -> list[_Item]:
    return [_Item(gpu=item.gpu, instance=instance) for instance in item.gpu.instances]


def _profile(instance: Instance | None) -> str:
    return "" if instance is None else instance.profile


def _other_memory(gpu: Gpu, low: int, high: int) -> str | None:
    if gpu.memory is None:
        return "how much memory it has is not known"
    return None if low <= gpu.memory <= high else f"it has {gpu.memory} MiB"


def _unlike(gpus: Iterable[Gpu], items: Iterable[_Item]) -> str | None:
    """Why a node's instances are not of one kind, worded for people."""
    whole = [gpu.pci_address for gpu in gpus if not gpu.mig]
    if whole:
        return f"mig.mode is Single, and the GPU {whole[0]} is not in MIG mode"
    profiles = sorted({_profile(each.instance) for each in items})
    return f"mig.mode is Single, and there are the profiles {', '.join(profiles)}" if len(profiles) > 1 else None
