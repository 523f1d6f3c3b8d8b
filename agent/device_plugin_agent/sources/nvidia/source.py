"""The source `nvidia`: whole GPUs or MIG instances, and what is wrong with them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from device_plugin_agent.clock import Clock
from device_plugin_agent.sources import pci_function, sysfs_device
from device_plugin_agent.sources.base import Candidate, Discovery, Unfit
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.nvidia import proc, xid
from device_plugin_agent.sources.nvidia.cdi import Specs, qualified
from device_plugin_agent.sources.nvidia.choice import Item, chosen
from device_plugin_agent.sources.nvidia.gpu import DOUBLE_BIT_ECC, Gpu, Seen, link_groups, with_lost
from device_plugin_agent.sources.nvidia.nodes import nodes
from device_plugin_agent.sources.selection import printable
from device_plugin_agent.uevents import Uevent
from device_plugin_api.nvidia import NvidiaSource
from device_plugin_api.resource import Health

_LOOK = 5.0
"""Seconds between two looks at what NVML told: that it hangs, nobody tells."""

_NO_MONITOR = Unfit(
    reason="MigMonitorNotAllowed",
    why="how a MIG instance is can be seen only with the operator's setting allowMigMonitor",
    seen=False,
)


class _Look(msgspec.Struct, frozen=True, kw_only=True):
    """What all devices of one look are judged by."""

    seen: Seen
    limited: str
    """Why little is known of how they are."""
    groups: dict[str, str]
    named: frozenset[str] | None
    """What CDI specs name; None when that does not matter."""
    now: float


class Nvidia:
    """Each whole GPU, or each MIG instance, that fits is one device."""

    def __init__(self, spec: NvidiaSource, health: Health, host: HostView, clock: Clock) -> None:
        self._spec = spec
        self._host = host
        self._clock = clock
        self._specs = Specs(host.cdi_dirs)
        self._quiet = float(health.period_seconds * health.success_threshold)
        """Seconds without another error after which one is over."""
        self._items: dict[str, Item] = {}

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
        gpus = self._gpus(seen)
        found = chosen(self._spec, gpus, "NVML" if seen.absent is None else f"/proc/driver/nvidia ({seen.absent})")
        self._items = {item.id: item for item in found.items}
        by_cdi = self._spec.device_list != "Environment"
        look = _Look(
            seen=seen,
            limited="" if seen.absent is None else f"limited: {seen.absent}",
            groups=link_groups(gpus),
            named=self._specs.names() if by_cdi else None,
            now=self._clock.monotonic(),
        )
        over = [left for item in found.items for left in self._happened(item, look).values()]
        return Discovery(
            candidates=tuple(self._candidate(item, look) for item in found.items),
            steps=tuple(found.steps),
            unfit=found.unfit,
            changes_in=min((*over, _LOOK)),
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

    def _gpus(self, seen: Seen) -> tuple[Gpu, ...]:
        listed = proc.gpus(self._host.driver_dir)
        if seen.absent is not None:
            return tuple(listed)
        known = {gpu.pci_address for gpu in seen.gpus}
        # Known to the kernel's module, and not to NVML: lost before this agent started.
        return with_lost((gpu for gpu in listed if gpu.pci_address not in known), seen.gpus)

    def _candidate(self, item: Item, look: _Look) -> Candidate:
        gpu, instance, host = item.gpu, item.instance, self._host
        sysfs = host.sysfs_directory(host.sys_root / "bus/pci/devices" / gpu.pci_address)
        place = f"/sys/bus/pci/devices/{gpu.pci_address}" if sysfs is None else host.sysfs_path(sysfs)
        node = "" if gpu.minor is None else f"/dev/nvidia{gpu.minor}"
        attributes = {
            "uuid": item.uuid,
            "model": gpu.model,
            "memoryMiB": str(item.memory or ""),
            "pciAddress": gpu.pci_address,
            "pciRoot": "" if sysfs is None else pci_function.root_of(sysfs),
            "minor": "" if gpu.minor is None else str(gpu.minor),
            "nvlinkGroup": "" if instance is not None else look.groups.get(gpu.pci_address, ""),
            "migProfile": item.profile,
            "parentUUID": "" if instance is None else gpu.uuid,
            "health": look.limited or ("" if gpu.tells else "limited: it does not tell its errors"),
        }
        found = Candidate(
            id=item.id,
            path=node if instance is None else "",
            # Whoever offers the node, or the PCI function, offers the GPU; instances of one are told apart.
            hardware=tuple(filter(None, (place, node))) if instance is None else (f"{place}/{instance.uuid}",),
            sysfs="" if sysfs is None else place,
            numa_node=None if sysfs is None else host.numa_node_of(sysfs),
            attributes={key: printable(value) for key, value in attributes.items() if value},
            trouble=self._trouble(item, look),
        )
        return self._with_nodes(found, item) if self._spec.device_nodes else found

    def _with_nodes(self, found: Candidate, item: Item) -> Candidate:
        try:
            own, shared = nodes(self._host, item.gpu, item.instance)
        except sysfs_device.NoNode as missing:
            return replace(found, trouble=found.trouble or Unfit(reason="NodeMissing", why=str(missing)))
        return replace(found, path=own[0], nodes=own, shared_nodes=shared)

    def _trouble(self, item: Item, look: _Look) -> Unfit | None:
        """The worst that is known of it."""
        told = look.seen.problem or item.gpu.trouble or xid.trouble(self._happened(item, look))
        if told is not None:
            return told
        if look.named is not None and item.uuid not in look.named:
            places = " or ".join(map(str, self._host.cdi_dirs))
            remedy = "nvidia-ctk cdi generate --device-name-strategy=uuid writes one"
            return Unfit(reason="CdiSpecMissing", why=f"no CDI spec in {places} names {qualified(item.uuid)}: {remedy}")
        return _NO_MONITOR if item.instance is not None and not self._host.allow_mig_monitor else None

    def _happened(self, item: Item, look: _Look) -> dict[int, float]:
        """Xids of it that count now, and in how many seconds each is over."""
        left: dict[int, float] = {}
        for fault, at in look.seen.faults.items():
            remaining = at + self._quiet - look.now
            counts = fault.xid == DOUBLE_BIT_ECC or self._spec.counts(fault.xid)
            if remaining > 0 and counts and fault.hits(item.gpu, item.instance):
                left[fault.xid] = max(remaining, left.get(fault.xid, 0.0))
        return left
