"""The kubelet's registration socket, and one resource's life with it (R1–R7)."""

import asyncio
import contextlib
import logging
import math
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from device_plugin_agent import grpc_options
from device_plugin_agent.clock import Clock
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.plugin import DevicePlugin
from device_plugin_agent.pulse import Pulse
from device_plugin_agent.registered import Registered
from device_plugin_agent.signal import Signal
from device_plugin_agent.trouble import Trouble
from device_plugin_agent.watch import DirectoryWatch

KUBELET_SOCKET = "kubelet.sock"
API_VERSION = "v1beta1"

_LOOK_AGAIN = 1.0
"""Seconds between looks at the kubelet's socket behind the kernel's events, and where there are none."""

_REGISTER_DEADLINE = 30.0
"""Seconds. It bounds the kubelet's dialling back and GetDevicePluginOptions too (R3)."""

_STREAM_DEADLINE = 10.0
"""Seconds from an accepted Register to the kubelet's ListAndWatch."""

_STABLE = 10.0
"""Seconds a stream must have lived for its end to be a new event and not one more failure."""

_RETRY_FIRST, _RETRY_FACTOR, _RETRY_MOST = 0.005, 1.6, 30.0
"""Seconds. First retries are quick: between bind and listen a young kubelet refuses connections."""

_log = logging.getLogger(__name__)

Identity = tuple[int, int, int]


class KubeletSocket:
    """Whether, and as which file, the kubelet's registration socket is there.

    Told by inotify on the directory, and by looks from time to time. The same path with another inode or ctime is
    another kubelet process.
    """

    def __init__(self, directory: Path, pulse: Pulse) -> None:
        self.path = directory / KUBELET_SOCKET
        self.identity: Identity | None = None
        self.restarts = 0
        self._last: Identity | None = None
        self._followed = (directory,)
        self._pulse = pulse
        self._changed = Signal()

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        watch = DirectoryWatch(lambda: self._follow(watch))
        # A timer of the loop's own: what is done each second is what an agent at rest costs.
        timer = loop.call_soon(lambda: look_again())

        def look_again() -> None:
            nonlocal timer
            timer = loop.call_later(_LOOK_AGAIN, look_again)
            self._follow(watch)
            self._pulse.turned("kubelet", _LOOK_AGAIN)

        try:
            await loop.create_future()
        finally:
            timer.cancel()
            watch.close()

    async def present(self) -> Identity:
        """Wait until the socket is there."""
        while True:
            seen = self._changed.count
            if self.identity is not None:
                return self.identity
            await self._changed.after(seen)

    async def another_than(self, identity: Identity | None, timeout: float) -> bool:
        """Wait until the socket is another file, or gone; False when `timeout` seconds passed first."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self.identity == identity:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await self._changed.after(self._changed.count, None if left == math.inf else left)
        return True

    def _follow(self, watch: DirectoryWatch) -> None:
        watch.follow(self._followed)
        self._look()

    def _look(self) -> None:
        try:
            seen = os.stat(self.path)
        except OSError:
            identity = None
        else:
            identity = (seen.st_dev, seen.st_ino, seen.st_ctime_ns)
        if identity == self.identity:
            return
        if identity is not None:
            if self._last not in (None, identity):
                self.restarts += 1
            self._last = identity
        self.identity = identity
        self._changed.fire()


class KubeletReplaced(Exception):
    """The kubelet that was being spoken to is gone."""


class Registration:
    """Keeps one resource registered: serve first, then Register, and again whenever the kubelet's stream ends."""

    def __init__(
        self,
        plugin: DevicePlugin,
        *,
        kubelet: KubeletSocket,
        directory: Path,
        socket_names: Iterator[str],
        clock: Clock,
        metrics: Metrics,
        jitter: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self.state = Registered()
        self._trouble = Trouble(_log, "Registration failed", resource=plugin.resource.name)
        self._plugin = plugin
        self._kubelet = kubelet
        self._directory = directory
        self._socket_names = socket_names
        self._clock = clock
        self._metrics = metrics
        self._jitter = jitter
        self._changed = changed
        self._server: grpc.aio.Server | None = None
        self._socket: Path | None = None

    async def run(self) -> None:
        """Keep it registered until cancelled, or until it leaves; then close the streams."""
        failures = 0
        try:
            while not self._plugin.leaving:
                identity = await self._kubelet.present()
                lived, why = await self._once(identity)
                failures = 1 if lived >= _STABLE else failures + 1
                if not self.state.now:
                    self._metrics.register_failures.add(self._plugin.resource.name)
                self._set(Registered(message=why, at=self.state.at))
                if not self._plugin.leaving and await self._kubelet.another_than(
                    identity, pause(failures, self._jitter())
                ):
                    failures = 0
        finally:
            await self._stop_serving()

    async def _once(self, identity: Identity) -> tuple[float, str]:
        """One registration and the life of its stream: how long that was, in seconds, and why it ended."""
        try:
            endpoint = await self._serve()
            asked = self._clock.monotonic()
            stream = self._plugin.streams.expect(self._plugin.options)
            await self._unless_replaced(identity, self._register(endpoint))
            async with asyncio.timeout(_STREAM_DEADLINE):
                await self._unless_replaced(identity, stream.opened.wait())
        except KubeletReplaced as replaced:
            return 0.0, str(replaced)
        except TimeoutError:
            # The stream may come yet. Beside that of the next registration it would be one too many (R5).
            await self._stop_serving()
            return 0.0, self._failed("the kubelet accepted it but did not ask for the devices")
        except grpc.aio.AioRpcError as error:
            # The kubelet's own words; a refused connection is its normal state between two processes.
            why = f"the kubelet refused it: {error.details()}"
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                await self._stop_serving()  # it may have accepted it all the same: as above
            return 0.0, why if error.code() is grpc.StatusCode.UNAVAILABLE else self._failed(why)
        except OSError as error:
            return 0.0, self._failed(f"cannot listen in {self._directory}: {error.strerror or error}")
        opened = self._clock.monotonic()
        self._trouble.worked()
        self._metrics.register.observe(self._plugin.resource.name, seconds=opened - asked)
        self._set(Registered(now=True, message="", at=self._clock.now()))
        _log.info("Registered", extra={"resource": self._plugin.resource.name})
        await stream.closed.wait()
        _log.info("The kubelet closed its stream", extra={"resource": self._plugin.resource.name})
        return self._clock.monotonic() - opened, "the kubelet closed its stream of devices"

    async def _unless_replaced(self, identity: Identity, waiting: Coroutine[Any, Any, object]) -> None:
        """Wait, but not for a kubelet that is gone: a connection it never answered would hold up the next one."""
        task = asyncio.ensure_future(waiting)
        replaced = asyncio.ensure_future(self._kubelet.another_than(identity, math.inf))
        try:
            await asyncio.wait((task, replaced), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise KubeletReplaced("the kubelet was replaced meanwhile")
            await task
        finally:
            for each in (task, replaced):
                each.cancel()
            await asyncio.gather(task, replaced, return_exceptions=True)

    async def _serve(self) -> str:
        """Make sure that a socket of ours is there and served; its name in the directory."""
        if self._server is not None and self._socket is not None and self._socket.exists():
            return self._socket.name
        await self._stop_serving()
        # A new name each time: a stopping server unlinks whatever lies at its path, a successor's socket too.
        path = self._directory / next(self._socket_names)
        server = grpc_options.server(f"unix:{path}")
        rpc.add_DevicePluginServicer_to_server(self._plugin, server)
        self._server, self._socket = server, path  # known before it runs: who cancels the start has it stopped
        starting = asyncio.ensure_future(server.start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await starting  # one turn of the loop; grpc fails in its stop when its start was broken off
            raise
        return path.name

    async def _stop_serving(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None
        if self._socket is not None:
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()
            self._socket = None

    async def _register(self, endpoint: str) -> None:
        # A pool of its own: a shared subchannel would make the next attempt wait out grpc's own back-off.
        own = ("grpc.use_local_subchannel_pool", 1)
        async with grpc_options.channel(f"unix:{self._kubelet.path}", own) as channel:
            request = api.RegisterRequest(
                version=API_VERSION, endpoint=endpoint, resource_name=self._plugin.resource.name
            )
            await rpc.RegistrationStub(channel).Register(request, timeout=_REGISTER_DEADLINE)

    def _failed(self, why: str) -> str:
        self._trouble.failed(why)
        return why

    def _set(self, state: Registered) -> None:
        if state != self.state:
            self.state = state
            self._changed()


def pause(failures: int, jitter: float) -> float:
    """Seconds before the next attempt to register, after so many that failed in a row; `jitter` is 0 to 1."""
    exponent = min(failures - 1, 40)
    return min(_RETRY_FIRST * _RETRY_FACTOR**exponent, _RETRY_MOST) * (1 + 0.2 * jitter)


def socket_names(owner: str, process: str) -> Iterator[str]:
    """Names for this process' sockets, short (a path ends at 107 bytes) and never used twice.

    `owner` tells configs apart, `process` one start from the next.
    """
    number = 0
    while True:
        number += 1
        yield f"dp-{owner}-{process}-{number}.sock"


def remove_leftovers(directory: Path, owner: str) -> None:
    """Remove the sockets that a predecessor of this config on this node left when it was killed."""
    for path in directory.glob(f"dp-{owner}-*.sock"):
        if path.is_socket():
            path.unlink(missing_ok=True)
