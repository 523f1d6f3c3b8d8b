"""What this agent serves: resources come and go with the spec, fed by looks at the host and by podresources."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from device_plugin_agent.cdi.upkeep import Upkeep
from device_plugin_agent.claims.claims import Claims
from device_plugin_agent.clock import Clock, unix_time
from device_plugin_agent.devinfo.upkeep import Upkeep as DeviceInfoUpkeep
from device_plugin_agent.health.tracker import Observation
from device_plugin_agent.http import Answer
from device_plugin_agent.looking import Looking
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.ownership import Ownership
from device_plugin_agent.podresources import Use
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.served import Served, Starter, serving
from device_plugin_agent.serving import Prepared, Rejected, prepare, withheld
from device_plugin_agent.signal import Signal
from device_plugin_agent.sources import HostView
from device_plugin_agent.sources.fence import Fenced
from device_plugin_agent.status import Offer
from device_plugin_agent.telling import Telling
from device_plugin_api import checks
from device_plugin_api.config import PREVIEW
from device_plugin_api.node import ContestedDevice, NodeSpec, NodeStatus
from device_plugin_api.resource import Probe, Resource

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
        handed_over: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        """`handed_over`: whether podresources names by now what the process before this one handed out last."""
        self.spec: NodeSpec | None = None
        self._host = host
        self._cdi = cdi
        self._starter = starter
        self._clock = clock
        self._handed_over = handed_over
        self._changed = changed
        self._served: dict[str, Served] = {}
        self._wanted: dict[str, Prepared] = {}
        self._preview = False
        self._runtime = False
        """Whether the container runtime takes CDI devices, and their directory is there."""
        self._ending: dict[str, tuple[Served, asyncio.Task[None]]] = {}
        self._events = Signal()
        self._telling = Telling(cdi=cdi, devinfo=devinfo, metrics=metrics, changed=changed)
        self._ownership = Ownership(claims, self._served, changed=changed, again=self._events.fire)
        self._looking = Looking(
            self._served,
            events=self._events,
            ownership=self._ownership,
            telling=self._telling,
            metrics=metrics,
            clock=clock,
            pulse=pulse,
            there=host.there,
            looked=self._end_drained,
        )

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
        self._ownership.configured(spec.config_creation_time)
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
        self._looking.look()
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
        return tuple(served.resource for served in serving(self._served).values() if served.draining)

    def adopt(self, status: NodeStatus, *, alike: bool) -> None:
        """Take over what the last agent process reported; `alike`: of the same configuration as this."""
        for reported in status.resources:
            served = self._served.get(reported.name)
            if served is None:
                continue
            since, now = {}, self._clock.now()
            for device in reported.devices:
                try:
                    # The clock may have been set back meanwhile.
                    since[device.id] = min(unix_time(device.last_transition_time), now)
                except ValueError:
                    since[device.id] = now
            # In Preview nobody would tell when a container that has it ends.
            devices = [replace(device, allocated_to=()) if served.preview else device for device in reported.devices]
            served.inventory.adopt(devices, since, alike=alike, monotonic=self._clock.monotonic())
        self._looking.all_due()
        self._looking.look()

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

    def judged(self) -> bool:
        """Whether every device is told of as the configuration wants it judged."""
        return all(served.draining or served.inventory.judged for served in self._served.values())

    def quiet(self) -> bool:
        """Whether podresources names everything that was handed out, also by the process before this one."""
        entries = (entry for served in self._served.values() for entry in served.inventory.entries.values())
        pending = any(entry.allocated_at for entry in entries)
        return self._ownership.use_known.is_set() and self._handed_over() and not pending

    def contested(self) -> tuple[ContestedDevice, ...]:
        """What other configs of this node want or own as well."""
        return self._ownership.contested()

    def use(self, use: Use, asked: float) -> bool:
        """Take in who has what, as podresources knew when it was asked; whether any device of ours is in use."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        in_use = False
        for name, served in serving(self._served).items():
            holders = use.get(name, {})
            in_use = in_use or bool(holders)
            with self._telling.news(served):
                served.inventory.use(holders, now=now, monotonic=monotonic, asked=asked)
        more = self._ownership.heard()
        self._end_drained()
        self._telling.heard(use, serving(self._served).keys())
        if more:
            self._events.fire()
        return in_use

    def withdraw(self, use: Use) -> None:
        """Remove the files of what is served, but for those that a container may start again with."""
        self._telling.heard(use, ())

    async def run(self) -> None:
        """Look at the host until cancelled."""
        try:
            await self._looking.run()
        finally:
            self._host.nvml.end()

    def ready(self) -> Answer:
        """Whether every resource that shall be offered is registered and its stream open."""
        if self.spec is None:
            return Answer(False, "waiting for this node's configuration")
        missing = [
            f"{name}: {served.registration.state.message}"
            for name, served in sorted(serving(self._served).items())
            if not served.draining and not served.registration.state.now
        ]
        if missing:
            return Answer(False, "; ".join(missing))
        return Answer(True, "looking; nothing is to be registered" if self._preview else "every resource is registered")

    def _cordon(self, spec: NodeSpec) -> None:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        for name, served in self._served.items():
            reasons = {cordon.device: cordon.reason for cordon in spec.cordoned_devices if cordon.resource == name}
            with self._telling.news(served):
                lifted = served.inventory.cordon(reasons, now=now, monotonic=monotonic)
            if lifted:
                served.source.pardon(lifted)
                self._events.fire()

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
            use_known=preview or self._ownership.use_known.is_set(),  # a preview has no use
            former=former,
            known=(self._ownership.use_known,) if resumed else (),
            tell=lambda seen: self._probed(name, seen),
            look_again=self._events.fire,
        )
        self._choose_cdi(served)
        return served

    def _begin(self, source: Fenced) -> None:
        loop = asyncio.get_running_loop()

        def news() -> None:
            with suppress(RuntimeError):  # the agent has ended meanwhile
                loop.call_soon_threadsafe(self._events.fire)

        source.begin(news)

    def _probed(self, name: str, seen: Mapping[tuple[str, Probe], Observation]) -> None:
        served = self._served.get(name)
        if served is not None:
            with self._telling.news(served):
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
        with self._telling.news(served):
            served.inventory.share(resource.sharing.replicas)

    def _drain(self, served: Served) -> None:
        if not served.draining:
            served.draining = True
            now, monotonic = self._clock.now(), self._clock.monotonic()
            with self._telling.news(served):
                served.inventory.drain(now=now, monotonic=monotonic)
            _log.info("Draining", extra={"resource": served.resource.name})
        self._end_drained()

    def _end_drained(self) -> None:
        for name, served in list(self._served.items()):
            if served.inventory.drained:
                self._telling.write_files(served)
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


def _content(spec: NodeSpec) -> object:
    """All of it that takes more than a cordon to change."""
    return spec.mode, spec.resources, withheld(spec), spec.cdi
