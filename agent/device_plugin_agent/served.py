"""One resource that is served: what belongs to it, how it begins and how it ends."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from device_plugin_agent.cdi.files import CdiFile
from device_plugin_agent.clock import Clock
from device_plugin_agent.health.lookout import DEADLINE, Lookout
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.kubelet import KubeletSocket, Registration
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.plugin import DevicePlugin
from device_plugin_agent.prober import Prober, Tell
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.serving import Prepared
from device_plugin_agent.sources import Discovery
from device_plugin_agent.sources.fence import Fenced
from device_plugin_api.resource import Resource

_FAREWELL = 2.0
"""Seconds that a resource which leaves waits for the kubelet to hear of it."""

_NOT_LOOKED = Discovery(candidates=(), steps=())

_log = logging.getLogger(__name__)


class Served(msgspec.Struct, kw_only=True):
    """A resource and all that works for it."""

    resource: Resource
    source: Fenced
    inventory: Inventory
    plugin: DevicePlugin
    registration: Registration
    cdi: CdiFile
    prober: Prober
    looked: asyncio.Event
    """Whether it is known what is there."""
    task: asyncio.Task[None]
    probing: asyncio.Task[None]
    preview: bool
    """Looked at and reported, and nothing else."""
    draining: bool = False
    due: float = 0.0
    """Monotonic time of the next look."""
    discovery: Discovery = _NOT_LOOKED
    """The last look, before it is known what belongs to other configs."""


def serving(served: Mapping[str, Served]) -> dict[str, Served]:
    """All that the kubelet has or shall have."""
    return {name: each for name, each in served.items() if not each.preview}


class Starter:
    """Begins and ends what serves a resource."""

    def __init__(
        self,
        *,
        kubelet: KubeletSocket,
        plugins_dir: Path,
        socket_names: Iterator[str],
        clock: Clock,
        pulse: Pulse,
        metrics: Metrics,
        jitter: Callable[[], float],
        changed: Callable[[], None],
        handed_out: Callable[[], None],
        there: Callable[[str], bool],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._kubelet = kubelet
        self._plugins_dir = plugins_dir
        self._socket_names = socket_names
        self._clock = clock
        self._pulse = pulse
        self._metrics = metrics
        self._jitter = jitter
        self._changed = changed
        self._handed_out = handed_out
        self._there = there
        self._tasks = tasks
        self._lookout = Lookout()

    def start(
        self,
        wanted: Prepared,
        cdi: CdiFile,
        *,
        preview: bool,
        use_known: bool,
        former: asyncio.Task[None] | None,
        known: Iterable[asyncio.Event],
        tell: Tell,
        look_again: Callable[[], None],
    ) -> Served:
        """Begin. It registers once its devices were looked at, `known` has come, and its `former` self is gone."""
        resource = wanted.resource
        inventory = Inventory(resource.health, resource.sharing.replicas, use_known=use_known)
        plugin = DevicePlugin(
            resource,
            inventory,
            clock=self._clock,
            metrics=self._metrics,
            handed_out=self._handed_out,
            there=self._there,
            look_again=look_again,
        )
        registration = Registration(
            plugin,
            kubelet=self._kubelet,
            directory=self._plugins_dir,
            socket_names=self._socket_names,
            clock=self._clock,
            metrics=self._metrics,
            jitter=self._jitter,
            changed=self._changed,
        )
        prober = Prober(
            inventory,
            wanted.probes,
            loop=f"probes of {resource.name}",
            lookout=self._lookout,
            clock=self._clock,
            pulse=self._pulse,
            tell=tell,
        )
        looked = asyncio.Event()
        serving = _run_after(former, (prober.started, looked, *known), None if preview else registration)
        _log.info("Previewing" if preview else "Serving", extra={"resource": resource.name})
        return Served(
            resource=resource,
            source=wanted.source,
            inventory=inventory,
            plugin=plugin,
            registration=registration,
            cdi=cdi,
            prober=prober,
            looked=looked,
            task=self._tasks.create_task(serving),
            probing=self._tasks.create_task(prober.run()),
            preview=preview,
        )

    def end(self, served: Served, ended: Callable[[], None]) -> asyncio.Task[None]:
        """Let the kubelet hear that nothing is left, then end."""
        # An empty list is a clean end; a stream that just breaks leaves its capacity on the node for five minutes.
        served.plugin.leave()
        served.probing.cancel()  # before another begins by its name
        return self._tasks.create_task(_farewell(served, ended))


async def _farewell(served: Served, ended: Callable[[], None]) -> None:
    await asyncio.wait((served.task,), timeout=_FAREWELL)
    served.task.cancel()
    await asyncio.wait((served.task, served.probing))
    ended()


async def _run_after(
    former: asyncio.Task[None] | None, known: Iterable[asyncio.Event], registration: Registration | None
) -> None:
    """A resource that comes back waits for its former stream: the end of an older one disconnects a newer (R5)."""
    if former is not None:
        await asyncio.wait((former,))
    # Else a restart of the agent would show the kubelet every device as Unhealthy for a moment.
    with suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE):
            for event in known:
                await event.wait()
    if registration is not None:
        await registration.run()
