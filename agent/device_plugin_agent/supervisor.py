"""What this agent serves: resources come and go with the spec, fed by looks at the host and by podresources."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from msgspec.structs import replace

from device_plugin_agent.cdi.upkeep import Upkeep
from device_plugin_agent.claims.claims import Claims
from device_plugin_agent.claims.ledger import Claim, Named
from device_plugin_agent.clock import Clock, unix_time
from device_plugin_agent.devinfo.upkeep import Upkeep as DeviceInfoUpkeep
from device_plugin_agent.health.tracker import RECOVERY_PERIOD, Observation
from device_plugin_agent.http import Answer
from device_plugin_agent.inventory import ALLOCATION_GRACE
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.podresources import Use
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.served import Served, Starter
from device_plugin_agent.serving import (
    Prepared,
    Rejected,
    prepare,
    withheld,
    without_claimed,
    without_held,
    without_surplus,
    without_taken,
)
from device_plugin_agent.signal import Signal
from device_plugin_agent.sources import HostView, Source, Watching
from device_plugin_agent.status import Offer
from device_plugin_agent.uevents import Uevent, Uevents
from device_plugin_agent.watch import DirectoryWatch
from device_plugin_api import checks
from device_plugin_api.config import PREVIEW
from device_plugin_api.node import MAX_CONTESTED, MAX_RIVALS, ContestedDevice, NodeSpec, NodeStatus
from device_plugin_api.resource import Probe, Resource

_SETTLE = 0.005
"""Seconds after a first event in which its companions (mknod, chmod, udev's links) arrive; one look sees them all."""

_LOOK_INTERVAL = 0.1
"""Seconds between two looks at least, however many events there are."""

_LONGEST_TURN = 30.0
"""Seconds between two looks for work while nothing is served."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Owns every resource's inventory, plugin and registration."""

    def __init__(
        self,
        *,
        host: HostView,
        claims: Claims,
        cdi: Upkeep,
        devinfo: DeviceInfoUpkeep,
        starter: Starter,
        clock: Clock,
        pulse: Pulse,
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        self.spec: NodeSpec | None = None
        self._host = host
        self._claims = claims
        self._cdi = cdi
        self._devinfo = devinfo
        self._starter = starter
        self._use_known = asyncio.Event()
        self._began = clock.monotonic()
        self._taken_over = False
        self._kept: frozenset[Named] = frozenset()
        self._used: frozenset[Named] = frozenset()
        self._clock = clock
        self._pulse = pulse
        self._metrics = metrics
        self._changed = changed
        self._served: dict[str, Served] = {}
        self._wanted: dict[str, Prepared] = {}
        self._preview = False
        self._runtime = False
        """Whether the container runtime takes CDI devices, and their directory is there."""
        self._ending: dict[str, tuple[Served, asyncio.Task[None]]] = {}
        self._events = Signal()
        self._looked = float("-inf")

    def apply(self, spec: NodeSpec) -> None:
        """Serve this spec. Only what differs is touched. Raises Rejected, and then nothing is."""
        if self.spec is not None and _content(spec) == _content(self.spec):
            self.spec = spec
            self._cordon(spec)
            return
        wrong = "; ".join(checks.together(spec.resources))
        if wrong:
            raise Rejected(wrong)
        prepared = {resource.name: prepare(resource, self._host, self._clock) for resource in spec.resources}
        self._claims.dated(spec.config_creation_time)
        self._wanted = {name: wanted for name, wanted in prepared.items() if name not in withheld(spec)}
        self._preview = spec.mode == PREVIEW
        self._runtime = spec.cdi and self._cdi.possible
        for name, wanted in self._wanted.items():
            known = self._served.get(name)
            if known is None:
                self._start(wanted, preview=self._preview)
            elif known.preview != self._preview:
                self._drain(known)  # when nothing is left of it, it starts again as it shall be
            elif known.resource != wanted.resource or known.draining:
                self._update(known, wanted)
        for name in self._served.keys() - self._wanted.keys():
            self._drain(self._served[name])
        for served in self._served.values():
            if not served.draining:
                self._choose_cdi(served)
        self.spec = spec
        self._cordon(spec)
        self._look()
        self._events.fire()

    def resume(self, leaving: Iterable[Resource]) -> None:
        """Go on draining what left the configuration before this process began."""
        for resource in leaving:
            try:
                prepared = prepare(resource, self._host, self._clock)
            except Rejected as error:
                _log.warning("Could not go on draining", extra={"resource": resource.name, "err": str(error)})
                continue
            self._drain(self._start(prepared, preview=False, resumed=True))

    def leaving(self) -> tuple[Resource, ...]:
        """What left the configuration while a container had a device of it."""
        return tuple(served.resource for served in self._serving().values() if served.draining)

    def adopt(self, status: NodeStatus) -> None:
        """Take over what the last agent process reported of the same configuration."""
        for reported in status.resources:
            served = self._served.get(reported.name)
            if served is None:
                continue
            since = {}
            for device in reported.devices:
                try:
                    since[device.id] = unix_time(device.last_transition_time)
                except ValueError:
                    since[device.id] = self._clock.now()
            # In Preview nobody would tell when a container that has it ends.
            devices = [replace(device, allocated_to=()) if served.preview else device for device in reported.devices]
            served.inventory.adopt(devices, since, monotonic=self._clock.monotonic())
        self._all_due()
        self._look()

    def offers(self) -> list[Offer]:
        """Everything served now, and what the kubelet still hears of."""
        ending = {name: served for name, (served, _) in self._ending.items()}
        return [
            Offer(
                name=name,
                inventory=served.inventory,
                registration=served.registration.state,
                draining=served.draining,
                preview=served.preview,
                cdi=served.plugin.cdi is not None,
                cdi_trouble=served.cdi.trouble,
            )
            for name, served in (ending | self._served).items()
        ]

    def told(self) -> dict[str, frozenset[str]]:
        """What the kubelet shall be able to hand out of each resource that it has."""
        return {
            name: frozenset(slot for slot, healthy in served.inventory.all_slots() if healthy)
            for name, served in self._served.items()
            if served.registration.state.now
        }

    def quiet(self) -> bool:
        """Whether podresources names everything that was handed out, also by the process before this one."""
        entries = (entry for served in self._served.values() for entry in served.inventory.entries.values())
        pending = any(entry.allocated_at for entry in entries)
        settled = self._clock.monotonic() - self._began >= ALLOCATION_GRACE
        return self._use_known.is_set() and settled and not pending

    def contested(self) -> tuple[ContestedDevice, ...]:
        """What other configs of this node want or own as well."""
        return tuple(
            ContestedDevice(resource=resource, device=device, owner=owner, configs=tuple(configs[:MAX_RIVALS]))
            for (resource, device), (owner, configs) in sorted(self._claims.contested().items())[:MAX_CONTESTED]
        )

    def use(self, use: Use, asked: float) -> bool:
        """Take in who has what, as podresources knew when it was asked; whether any device of ours is in use."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        in_use = False
        serving = self._serving()
        for name, served in serving.items():
            holders = use.get(name, {})
            in_use = in_use or bool(holders)
            with self._news(served):
                served.inventory.use(holders, now=now, monotonic=monotonic, asked=asked)
        first = not self._use_known.is_set()
        self._use_known.set()
        self._end_drained()
        self._cdi.heard(use.keys(), serving.keys())
        self._devinfo.heard(use, serving.keys())
        if first or self._kept - self._in_inventory():
            self._claim()
        before, self._used = self._used, self._in_use()
        if first or before - self._used:
            # What was held back for a container may be offered now.
            self._events.fire()
        return in_use

    async def run(self) -> None:
        """Look at the host at each event and once a period, until cancelled."""
        watch = DirectoryWatch(self._events.fire)
        uevents = Uevents(self._happened)
        uevents.open()
        try:
            while True:
                seen = self._events.count
                # Before the look: what appears after it then wakes us.
                watched = {path for served in self._served.values() for path in served.source.watched()}
                watch.follow({self._claims.directory, *watched})
                self._look()
                wait = self._until_due()
                self._pulse.turned("host", wait)
                if await self._events.after(seen, wait) != seen:
                    await asyncio.sleep(_SETTLE)
                    self._all_due()
                    await self._pace()
        finally:
            self._host.nvml.end()
            uevents.close()
            watch.close()

    def _happened(self, event: Uevent | None) -> None:
        if event is None or any(served.source.concerns(event) for served in self._served.values()):
            self._events.fire()

    def ready(self) -> Answer:
        """Whether every resource that shall be offered is registered and its stream open."""
        if self.spec is None:
            return Answer(False, "waiting for this node's configuration")
        missing = [
            f"{name}: {served.registration.state.message}"
            for name, served in sorted(self._serving().items())
            if not served.draining and not served.registration.state.now
        ]
        if missing:
            return Answer(False, "; ".join(missing))
        return Answer(True, "looking; nothing is to be registered" if self._preview else "every resource is registered")

    def _cordon(self, spec: NodeSpec) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        for name, served in self._served.items():
            reasons = {cordon.device: cordon.reason for cordon in spec.cordoned_devices if cordon.resource == name}
            with self._news(served):
                lifted = served.inventory.cordon(reasons, now=now, monotonic=monotonic)
            if lifted and isinstance(served.source, Watching):
                served.source.pardon(lifted)
                self._events.fire()

    def _serving(self) -> dict[str, Served]:
        """All that the kubelet has or shall have."""
        return {name: served for name, served in self._served.items() if not served.preview}

    def _choose_cdi(self, served: Served) -> None:
        by_cdi = not served.preview and served.resource.allocation.by_cdi(runtime=self._runtime)
        served.plugin.cdi = served.cdi if by_cdi else None

    def _start(self, wanted: Prepared, *, preview: bool, resumed: bool = False) -> Served:
        name = wanted.resource.name
        self._begin(wanted.source)
        _, former = self._ending.pop(name, (None, None))
        served = self._served[name] = self._starter.start(
            wanted,
            self._cdi.file(name),
            preview=preview,
            resumed=resumed,
            former=former,
            known=(self._use_known,) if resumed else (),
            tell=lambda seen: self._probed(name, seen),
        )
        self._choose_cdi(served)
        return served

    def _begin(self, source: Source) -> None:
        if isinstance(source, Watching):
            loop = asyncio.get_running_loop()

            def news() -> None:
                with suppress(RuntimeError):  # the agent has ended meanwhile
                    loop.call_soon_threadsafe(self._events.fire)

            source.begin(news)

    def _probed(self, name: str, seen: Mapping[tuple[str, Probe], Observation]) -> None:
        served = self._served.get(name)
        if served is not None:
            with self._news(served):
                served.inventory.probed(seen, now=self._clock.now(), monotonic=self._clock.monotonic())

    def _update(self, served: Served, wanted: Prepared) -> None:
        resource = wanted.resource
        if served.draining:
            served.draining = False
            served.inventory.restore()
        if served.resource.source != resource.source:
            served.inventory.reselect()
        served.resource, served.source, served.due = resource, wanted.source, 0.0
        self._begin(wanted.source)
        served.inventory.health = resource.health
        served.prober.replace(wanted.probes)
        served.plugin.resource = resource
        served.plugin.changed.fire()
        with self._news(served):
            served.inventory.share(resource.sharing.replicas)

    def _drain(self, served: Served) -> None:
        if not served.draining:
            served.draining = True
            now, monotonic = self._clock.now(), self._clock.monotonic()
            with self._news(served):
                served.inventory.drain(now=now, monotonic=monotonic)
            _log.info("Draining", extra={"resource": served.resource.name})
        self._end_drained()

    def _end_drained(self) -> None:
        for name, served in list(self._served.items()):
            known = self._use_known.is_set() or not served.resumed
            if served.draining and known and not served.inventory.entries:
                self._write_files(served)
                del self._served[name]
                self._ending[name] = served, self._starter.end(served, partial(self._ended, served))
                _log.info("No longer serving", extra={"resource": name})
                if name in self._wanted:
                    self._start(self._wanted[name], preview=self._preview)
                    self._events.fire()

    def _ended(self, served: Served) -> None:
        name = served.resource.name
        if name in self._ending and self._ending[name][0] is served:
            del self._ending[name]
        self._changed()

    def _look(self) -> None:
        """Look at every resource whose time has come. Nothing in here waits: readers never see half a change."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        self._looked = monotonic
        looked: dict[str, Served] = {}
        taken: dict[str, str] = {}
        for name, served in self._served.items():
            if monotonic >= served.due:
                with self._metrics.scan.labels(name).time():
                    found = served.source.discover()
                if found.pending:
                    served.due = monotonic + RECOVERY_PERIOD
                else:
                    fitting = without_surplus(found, served.resource.sharing.replicas)
                    served.discovery = without_taken(fitting, taken)
                    looked[name] = served
            if not served.draining:
                taken |= {mark: name for device in served.discovery.candidates for mark in device.marks}
        withheld = self._claim()
        held = self._claims.held(self._in_use() if self._use_known.is_set() else None)
        for name, served in looked.items():
            found = without_held(served.discovery, _of(name, held))
            with self._news(served):
                served.inventory.observe(without_claimed(found, _of(name, withheld)), now=now, monotonic=monotonic)
            served.looked.set()
            self._write_files(served)
            period = served.resource.health.period_seconds if served.inventory.settled else RECOVERY_PERIOD
            by_itself = served.discovery.changes_in
            served.due = monotonic + (period if by_itself is None else min(period, max(by_itself, _LOOK_INTERVAL)))
        self._end_drained()
        self._take_over(now, monotonic)
        if self._kept - self._in_inventory():
            self._claim()

    def _take_over(self, now: float, monotonic: float) -> None:
        """What was ours when the last agent process ended and is not here now is missing, and so it stays ours."""
        if self._taken_over or self.spec is None or not self._claims.known:
            return
        self._taken_over = True
        candidates = (found for served in self._served.values() for found in served.discovery.candidates)
        missed = self._claims.missed({mark for found in candidates for mark in found.marks})
        for name, served in self._serving().items():
            with self._news(served):
                devices = [device for resource, device in missed if resource == name]
                served.inventory.miss(devices, now=now, monotonic=monotonic)

    def _claim(self) -> dict[Named, str]:
        """Claim what is selected and let go of what is no longer here; what must not be offered, and why."""
        wants = [
            Claim(resource=name, device=found.id, wanted=found.marks)
            for name, served in self._serving().items()
            if not served.draining
            for found in served.discovery.candidates
            if found.marks
        ]
        self._kept = self._in_inventory()
        before = self._claims.contested()
        withheld = self._claims.settle(wants, self._kept if self._use_known.is_set() and self._taken_over else None)
        if self._claims.contested() != before:
            self._changed()
        if self._claims.busy:
            asyncio.get_running_loop().call_later(_LOOK_INTERVAL, self._events.fire)
        return withheld

    def _in_inventory(self) -> frozenset[Named]:
        return frozenset(
            (name, device) for name, served in self._serving().items() for device in served.inventory.entries
        )

    def _in_use(self) -> frozenset[Named]:
        return frozenset(
            (name, device)
            for name, served in self._served.items()
            for device, entry in served.inventory.entries.items()
            if entry.taken
        )

    @contextmanager
    def _news(self, served: Served) -> Iterator[None]:
        """Tell everybody, and the log, what the block changed."""
        before = served.inventory.version
        known = {device_id: entry.track for device_id, entry in served.inventory.entries.items()}
        yield
        if served.inventory.version == before:
            return
        for device_id, entry in served.inventory.entries.items():
            track = known.get(device_id)
            if track is None or (track.state, track.reason) != (entry.track.state, entry.track.reason):
                state, reason = entry.track.state.value, entry.track.reason
                self._metrics.transitions.labels(served.resource.name, state, reason).inc()
                _log.info(
                    "Device changed",
                    extra={
                        "resource": served.resource.name,
                        "device": device_id,
                        "state": state,
                        "reason": reason,
                    },
                )
        self._write_files(served)  # before the kubelet can hand out what is new
        served.plugin.changed.fire()
        served.prober.changed.fire()
        self._changed()

    def _write_files(self, served: Served) -> None:
        if served.preview:
            return
        settings = None if served.plugin.cdi is None else served.resource.allocation
        self._cdi.settle(served.cdi, served.inventory, settings)
        network = served.resource.source.network is not None
        self._devinfo.settle(served.resource.name, served.inventory, told=network)

    def _all_due(self) -> None:
        for served in self._served.values():
            served.due = 0.0

    def _until_due(self) -> float:
        if not self._served:
            return _LONGEST_TURN
        return max(0.0, min(served.due for served in self._served.values()) - self._clock.monotonic())

    async def _pace(self) -> None:
        """Keep looks apart when events come thick and fast."""
        await asyncio.sleep(max(0.0, self._looked + _LOOK_INTERVAL - self._clock.monotonic()))


def _content(spec: NodeSpec) -> object:
    """All of it that takes more than a cordon to change."""
    return spec.mode, spec.resources, withheld(spec), spec.cdi


def _of(name: str, reasons: Mapping[Named, str]) -> dict[str, str]:
    """Those of one resource, by device."""
    return {device: why for (resource, device), why in reasons.items() if resource == name}
