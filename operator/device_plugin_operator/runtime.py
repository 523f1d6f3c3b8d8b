"""All parts of the operator, put together."""

import asyncio
import logging
import os
import random
import secrets
import signal
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import msgspec
from prometheus_client import ProcessCollector

from device_plugin_api import group
from device_plugin_operator import health, paths
from device_plugin_operator.apply import Applier
from device_plugin_operator.census import Census
from device_plugin_operator.client import Client, RequestFailed
from device_plugin_operator.clock import Clock, SystemClock
from device_plugin_operator.controller import Controller
from device_plugin_operator.events import Recorder
from device_plugin_operator.fleet import Fleet
from device_plugin_operator.leader import RELEASE, Fence, Leader
from device_plugin_operator.metrics import Metrics
from device_plugin_operator.observe import Observer
from device_plugin_operator.queue import Request, WorkQueue
from device_plugin_operator.reconcile import ConfigReconciler
from device_plugin_operator.settings import Settings
from device_plugin_operator.watch import watch

_WORKERS = 4
_DRAIN = 8.0
"""Seconds that reconciles under way get at the end, and then all loops."""

LONGEST_END = 2 * _DRAIN + RELEASE
"""Seconds from SIGTERM until the Lease is released, at most: the pod's grace has to be longer."""

_CRD_PAUSE = 2.0

_log = logging.getLogger(__name__)


class Failed(Exception):
    """A part of the operator ended that must not end."""


class Operator:
    """One operator in one event loop."""

    def __init__(
        self, settings: Settings, client: Client, clock: Clock | None = None, metrics: Metrics | None = None
    ) -> None:
        clock = clock or SystemClock()
        metrics = metrics or Metrics()
        self._settings = settings
        self._client = client
        self._stop = asyncio.Event()
        self._kopf_ready = asyncio.Event()
        self.http_port = 0
        self.queue = WorkQueue(clock, random.random, metrics)
        instance = os.environ.get("POD_NAME") or socket.gethostname()
        self._leader = Leader(
            client,
            SystemClock(),  # a test may set the operator's own time; other candidates live in the real one
            random.random,
            namespace=settings.namespace,
            # A container that was started anew has the name of the former one.
            identity=f"{instance}_{secrets.token_hex(4)}",
        )
        fenced = Fence(client, self._leader)
        self.fleet = Fleet(client, settings, self.changed, random.random)
        reconciler = ConfigReconciler(
            Observer(client, self.fleet, settings, clock),
            Applier(fenced, self.fleet, settings),
            Recorder(fenced, clock, instance),
            self.queue,
            settings,
            clock,
        )
        self._controller = Controller(self.queue, reconciler, metrics)
        metrics.max_workers.set(_WORKERS)
        self._registry = metrics.registry
        self._registry.register(
            Census(queue=self.queue, leads=lambda: self._leader.leads, statuses=lambda: reconciler.statuses)
        )
        ProcessCollector(registry=self._registry)

    def changed(self, name: str) -> None:
        """Something has happened to that config."""
        self.queue.add(Request(name))

    def stop(self) -> None:
        """Come to an end in good order."""
        self._stop.set()

    def ready(self) -> health.Answer:
        """Whether we stand by for a leader, or lead and watch everything, so that what the status says is whole."""
        if not self._leader.leads:
            holder = self._leader.holder
            return holder != "", f"standing by for {holder}" if holder else "no Lease yet"
        if not self.fleet.complete:
            return False, "the first list of agents and NodeDevicePlugins is not complete"
        if not self._kopf_ready.is_set():
            return False, "configs and DaemonSets are not watched yet"
        return True, "watching"

    async def run(self) -> None:
        """Until `stop`. Raises Failed when a part of it fails."""
        runner, self.http_port = await health.serve(
            self._settings.http_port, {"/healthz": lambda: (True, "alive"), "/readyz": self.ready}, self._registry
        )
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await self._until(stopped, self._crds())
            # Who stands by watches nothing: the lists take a second or two, and thousands of objects cost memory.
            await self._until(stopped, self._leader.acquire())
            if not self._stop.is_set():
                await self._serve(stopped)
        finally:
            stopped.cancel()
            await self._leader.release()
            await runner.cleanup()

    async def _serve(self, stopped: asyncio.Task[Any]) -> None:
        # Kopf cancels what was made after its start: so all of ours are made before.
        own = [asyncio.create_task(self._leader.hold(), name="leader")]
        own += [asyncio.create_task(self.fleet.run(), name="fleet")]
        own += [asyncio.create_task(self._controller.work(), name="worker") for _ in range(_WORKERS)]
        kopf_stop = asyncio.Event()
        kopf = asyncio.create_task(
            watch(
                self._client.access,
                self._settings.agents_namespace,
                self.changed,
                stop=kopf_stop,
                ready=self._kopf_ready,
            ),
            name="watch",
        )
        started = asyncio.create_task(self._kopf_ready.wait())
        await asyncio.wait({started, kopf, stopped, *own}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        self.handle_signals()  # kopf has put its own in their place
        await asyncio.wait({kopf, stopped, *own}, return_when=asyncio.FIRST_COMPLETED)
        ended = next((task for task in (kopf, *own) if task.done()), None)
        if ended is None:
            _log.info("Stopping")
            try:
                async with asyncio.timeout(_DRAIN):
                    await self._controller.drain()
            except TimeoutError:
                _log.warning("Stopped in the middle of a reconcile")
        kopf_stop.set()
        for task in own:
            task.cancel()
        # Cut off from the API server, kopf may take longer than is good.
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                await asyncio.gather(kopf, *own, return_exceptions=True)
        if ended is not None:
            error = None if ended.cancelled() else ended.exception()
            # Some errors have no text of their own.
            reason = "without an error" if error is None else str(error) or repr(error)
            raise Failed(f"{ended.get_name()} ended: {reason}") from error

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT stop us; in a thread, as in tests, signals are not ours."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _crds(self) -> None:
        """Wait until the API server knows both kinds: kopf would take their absence for good."""
        wanted = {group.CONFIG_PLURAL, group.NODE_PLURAL}
        while True:
            try:
                content = await self._client.request("GET", paths.GROUP)
                resources = msgspec.json.decode(content, type=dict[str, Any]).get("resources", [])
                if wanted <= {resource["name"] for resource in resources}:
                    return
                problem = "they are not installed: kubectl apply -k crds"
            except (RequestFailed, msgspec.DecodeError) as error:
                problem = str(error)
            _log.warning("Waiting for the CustomResourceDefinitions", extra={"err": problem})
            await asyncio.sleep(_CRD_PAUSE)

    async def _until(self, stopped: asyncio.Task[Any], work: Coroutine[Any, Any, None]) -> None:
        if self._stop.is_set():
            work.close()
            return
        task = asyncio.create_task(work)
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            return
        await task
