"""The agent's loops, put together: spec in, devices served, status out."""

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable

import msgspec

from device_plugin_agent.agreement import Agreement, Slots
from device_plugin_agent.cdi.upkeep import Upkeep
from device_plugin_agent.claims.claims import Claims
from device_plugin_agent.claims.gone import Departures
from device_plugin_agent.claims.ledger import Claimant
from device_plugin_agent.claims.store import Store
from device_plugin_agent.clock import Clock
from device_plugin_agent.desired import Desired, LastGood
from device_plugin_agent.devinfo.upkeep import Upkeep as DeviceInfoUpkeep
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_agent.http import Answer, HttpServer, all_of
from device_plugin_agent.kubelet import KubeletSocket, remove_leftovers, socket_names
from device_plugin_agent.leaving import leave
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.node_api import NodeApi, Seen, Unavailable
from device_plugin_agent.podresources import PodResources, Use
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.report import Report, decode_status, describe
from device_plugin_agent.served import Starter
from device_plugin_agent.serving import Rejected, withheld
from device_plugin_agent.settings import Settings
from device_plugin_agent.slots import device_of
from device_plugin_agent.status import node_status
from device_plugin_agent.supervisor import Supervisor
from device_plugin_agent.trouble import Trouble
from device_plugin_api import __version__
from device_plugin_api.names import node_device_plugin_name
from device_plugin_api.node import NodeSpec, NodeStatus

_WATCH_SECONDS = 1200
"""A watch lives this long, and up to half as long again; then the object is read anew: the slow resync."""

_RETRY_FIRST, _RETRY_MOST = 0.5, 10.0
"""Seconds between attempts to watch while the API server is away; doubled each time, with jitter."""

_INHERIT_INTERVAL = 2.0
"""Seconds between two looks whether a config that keeps devices from us is gone."""

_log = logging.getLogger(__name__)


class Agent:
    """One process: one config on one node."""

    def __init__(self, settings: Settings, *, clock: Clock, jitter: Callable[[], float]) -> None:
        self.http = HttpServer({})
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self._saved = LastGood(settings.state_dir, settings.config_uid)
        self._agreement = Agreement()
        self._changed: Callable[[], None] = lambda: None
        self._rejection: str | None = None
        self._uid: str | None = None

    async def run(self, api: NodeApi | None, spec: NodeSpec | None = None) -> None:
        """Serve until cancelled: `spec` where given, else the API server's, and the saved one until that answers."""
        settings = self._settings
        owner = hashlib.sha256(settings.config_uid.encode()).hexdigest()[:8]
        remove_leftovers(settings.device_plugins_dir, owner)
        pulse = Pulse(self._clock, "host", "kubelet", "podresources")
        kubelet = KubeletSocket(settings.device_plugins_dir, pulse)
        claims = Claims(
            Store(settings.state_dir / "claims", settings.config_uid),
            Claimant(config=settings.config_name, uid=settings.config_uid),
        )
        departures = Departures()
        metrics = Metrics()

        began = self._clock.monotonic()
        first = spec is None and not self._saved.preceded

        def handed_over() -> bool:
            return first or self._clock.monotonic() - began >= ALLOCATION_GRACE

        def used(use: Use, asked: float) -> bool:
            everything = [(resource, device_of(slot)) for resource, slots in use.items() for slot in slots]
            departures.heard(everything, monotonic=self._clock.monotonic())
            in_use = supervisor.use(use, asked)
            # Who waits for a device asks as often as who has one.
            return in_use or bool(claims.in_the_way())

        def scraped() -> Answer:
            # Loaded when it is first asked for: see metrics.
            from device_plugin_agent.census import Census, page

            spec = supervisor.spec
            return page(
                Census(
                    metrics,
                    supervisor.offers(),
                    revision=spec.revision if spec is not None else "",
                    kubelet_restarts=kubelet.restarts,
                    now=self._clock.now(),
                    version=__version__,
                )
            )

        async with contextlib.AsyncExitStack() as leaving, asyncio.TaskGroup() as tasks:
            pod_resources = PodResources(
                settings.pod_resources_socket,
                used,
                self._compare,
                clock=self._clock,
                pulse=pulse,
                own_pod=settings.pod_name,
            )
            report = (
                Report(api, self._build, clock=self._clock, metrics=metrics, jitter=self._jitter)
                if api is not None
                else None
            )
            if report is not None:
                self._changed = report.changed.fire
            supervisor = self._supervisor = Supervisor(
                host=settings.host,
                claims=claims,
                cdi=Upkeep(settings.cdi_dir, settings.config_uid, handed_over),
                devinfo=DeviceInfoUpkeep(settings.devinfo_dir, settings.config_uid, handed_over),
                starter=Starter(
                    kubelet=kubelet,
                    plugins_dir=settings.device_plugins_dir,
                    socket_names=socket_names(owner, secrets.token_hex(4)),
                    clock=self._clock,
                    pulse=pulse,
                    metrics=metrics,
                    jitter=self._jitter,
                    changed=self._changed,
                    handed_out=pod_resources.ask_soon,
                    there=settings.host.there,
                    tasks=tasks,
                ),
                clock=self._clock,
                pulse=pulse,
                metrics=metrics,
                handed_over=handed_over,
                changed=self._changed,
            )
            leaving.push_async_callback(
                leave,
                gone=lambda: self._gone(api),
                use=pod_resources.now,
                supervisor=supervisor,
                claims=claims,
                saved=self._saved,
            )
            self.http.answers |= {
                "/readyz": lambda: supervisor.ready() if report is None else all_of(supervisor.ready(), report.ready()),
                "/livez": pulse.alive,
                "/metrics": scraped,
            }
            tasks.create_task(kubelet.run())
            tasks.create_task(supervisor.run())
            tasks.create_task(pod_resources.run())
            tasks.create_task(self.http.run(settings.http_port))
            if spec is not None:
                supervisor.apply(spec)
            elif (saved := self._saved.load()) is not None:
                supervisor.resume(saved.leaving)
                self._accept(saved.spec)
            if report is not None and api is not None:
                tasks.create_task(report.run())
                tasks.create_task(self._follow(api, report))
                tasks.create_task(self._inherit(api, claims, departures))

    async def _gone(self, api: NodeApi | None) -> bool:
        """Whether this node shall run the config no more; may raise Unavailable."""
        if api is None:
            return False
        name = node_device_plugin_name(self._settings.config_name, self._settings.node_name)
        return await api.config_uid(name) != self._settings.config_uid

    def _compare(self, has: Slots) -> bool:
        """Take in what the kubelet has; whether that is what it was told."""
        agreement = self._agreement
        before = agreement.compared, agreement.difference
        agreement.compare(self._supervisor.told(), has, monotonic=self._clock.monotonic())
        if (agreement.compared, agreement.difference) != before:
            self._changed()
        if agreement.difference and agreement.difference != before[1]:
            _log.warning("The kubelet has other devices than it was told", extra={"err": agreement.difference})
        return not self._agreement.pending

    async def _inherit(self, api: NodeApi, claims: Claims, departures: Departures) -> None:
        """Find out whether those who keep devices from us are gone for good."""
        while True:
            in_the_way = claims.in_the_way()
            departures.asked_for(in_the_way)
            for claimant in in_the_way:
                name = node_device_plugin_name(claimant.config, self._settings.node_name)
                try:
                    here = claims.lives(claimant.uid) or await api.config_uid(name) == claimant.uid
                except Unavailable as error:
                    _log.debug(
                        "Could not ask for another config", extra={"config": claimant.config, "err": describe(error)}
                    )
                    continue
                quiet = claims.quiet(claimant.uid)
                in_use = departures.seen(claimant, here=here, quiet=quiet, monotonic=self._clock.monotonic())
                if in_use is not None:
                    claims.bury(claimant.uid, in_use)
            await asyncio.sleep(_INHERIT_INTERVAL)

    async def _follow(self, api: NodeApi, report: Report) -> None:
        failures, trouble = 0, Trouble(_log, "Could not watch this node's object")
        while True:
            seconds = int(_WATCH_SECONDS * (1 + 0.5 * self._jitter()))
            known = False
            try:
                async with asyncio.timeout(seconds + 30):  # a server that vanished without a word
                    async for seen in api.watch(seconds):
                        failures = 0
                        trouble.worked()
                        self._take(seen, report, fresh=not known)
                        known = True
            except Unavailable as error:
                if not known:
                    trouble.failed(describe(error))
            if not known:  # nor is a watch that ends and told nothing worth asking for at once
                failures += 1
            pause = min(_RETRY_FIRST * 2 ** max(failures - 1, 0), _RETRY_MOST)
            await asyncio.sleep(pause * (1 + 0.5 * self._jitter()))

    def _take(self, seen: Seen, report: Report, *, fresh: bool) -> None:
        status = decode_status(seen.status)
        first = self._uid is None
        try:
            spec = msgspec.convert(seen.spec, NodeSpec)
        except msgspec.ValidationError as error:
            self._reject(str(seen.spec.get("revision", "")), f"this agent ({__version__}) cannot read it: {error}")
        else:
            self._accept(spec)
            if first:
                self._supervisor.adopt(status, alike=status.observed_revision == spec.revision)
        if fresh or seen.uid != self._uid:
            self._uid = seen.uid
            report.found(seen.uid, status)
        report.changed.fire()

    def _accept(self, spec: NodeSpec) -> None:
        before = self._supervisor.spec
        try:
            self._supervisor.apply(spec)
        except Rejected as error:
            self._reject(spec.revision, str(error))
            return
        self._rejection = None
        if spec != before:
            self._saved.save(Desired(spec=spec, leaving=self._supervisor.leaving()))

    def _reject(self, revision: str, why: str) -> None:
        if why != self._rejection:
            _log.warning("Rejected a configuration", extra={"revision": revision, "err": why})
        self._rejection = why

    def _build(self, stored: NodeStatus) -> NodeStatus:
        spec = self._supervisor.spec
        revision = spec.revision if spec is not None else ""
        if not self._supervisor.judged():
            # Who says that it runs a configuration has to know what that makes of its devices: a rollout goes by it.
            revision = stored.observed_revision
        return node_status(
            self._supervisor.offers(),
            self._supervisor.contested(),
            self._agreement,
            withheld=withheld(spec) if spec is not None else {},
            revision=revision,
            rejection=self._rejection,
            agent_version=__version__,
            known=stored.conditions,
            now=self._clock.now(),
        )
