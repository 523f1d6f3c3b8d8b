"""One agent on one made-up node: a kubelet double, a /dev of its own, and an API server that tests script."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from device_plugin_agent.agent import Agent
from device_plugin_agent.clock import SystemClock
from device_plugin_agent.node_api import NodeApi, Seen
from device_plugin_agent.settings import Settings
from device_plugin_api.names import node_device_plugin_name
from device_plugin_api.node import CordonedDevice, NodeSpec, NodeStatus, ResourceStatus
from device_plugin_api.resource import Resource
from device_plugin_api.sources import PathsSource, Source
from kubelet_double.double import KubeletDouble
from kubelet_double.pods import Pod

CAMERA = "example.com/camera"
NUMBERS = {"video0": (1, 3), "video1": (1, 5), "video2": (1, 7), "video3": (1, 8), "video4": (1, 9), "other0": (1, 3)}


class ScriptedApi(NodeApi):
    """Holds the one object; `down` makes every call fail as a cut connection does."""

    def __init__(self, objects: dict[str, str]) -> None:
        self.objects = objects
        """The UID of the config of each NodeDevicePlugin of the node, by name."""
        self.spec: NodeSpec | None = None
        self.raw_spec: dict[str, Any] | None = None
        self.status: dict[str, Any] = {}
        self.uid = "uid-1"
        self.down = False
        self.writes = 0
        self._changed = asyncio.Event()

    def put(self, spec: NodeSpec) -> None:
        """The operator writes the spec."""
        self.objects[node_device_plugin_name(spec.config_name, spec.node_name)] = spec.config_uid
        self.put_raw(msgspec.to_builtins(spec))

    def put_raw(self, spec: dict[str, Any]) -> None:
        """The operator writes whatever it likes."""
        self.raw_spec = spec
        self.poke()

    def poke(self) -> None:
        """Wake the watch."""
        self._changed.set()

    async def watch(self, server_timeout: int) -> AsyncGenerator[Seen]:
        """Every version from the current one on."""
        while True:
            if self.down:
                raise OSError("connection refused")
            self._changed.clear()
            if self.raw_spec is not None:
                yield Seen(uid=self.uid, spec=self.raw_spec, status=self.status)
            await self._changed.wait()

    async def config_uid(self, name: str) -> str | None:
        """Which config another object is of."""
        if self.down:
            raise OSError("connection refused")
        return self.objects.get(name)

    async def report(self, status: msgspec.Struct) -> None:
        """Replace the status."""
        if self.down:
            raise OSError("connection refused")
        self.writes += 1
        self.status = msgspec.to_builtins(status)

    def reported(self) -> NodeStatus:
        """The status as stored."""
        return msgspec.convert(self.status, NodeStatus)


class Door(asyncio.Event):
    """An event that tells how often it was waited for: whether somebody stands before it is then no guess."""

    knocks = 0

    async def wait(self) -> Literal[True]:
        """Stand before it."""
        self.knocks += 1
        return await super().wait()


class MovableClock(SystemClock):
    """The machine's clock, and time can be made to pass."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._set = 0.0

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the clock, which is not the same as time."""
        self._set += seconds

    def now(self) -> float:
        """Unix time in seconds."""
        return super().now() + self._ahead + self._set

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return super().monotonic() + self._ahead


class Bench:
    """The node. `agent()` runs one agent process on it."""

    def __init__(self, root: Path, kubelet: KubeletDouble) -> None:
        self.kubelet = kubelet
        kubelet.limit.keep(SystemClock())  # the agent asks in the machine's time
        self.api = ScriptedApi({})
        self.clock = MovableClock()
        self.dev = root / "dev"
        self.state = root / "state"
        self.settings = Settings(
            config_name="cameras",
            config_uid="config-uid",
            node_name="node",
            log_level="debug",
            device_plugins_dir=kubelet.directory,
            pod_resources_socket=kubelet.podresources_socket,
            dev_root=self.dev,
            sys_root=root / "sys",
            state_dir=self.state,
            net_dir=root / "net",
            cdi_dir=root / "cdi",
            static_cdi_dir=root / "etc/cdi",
            driver_dir=root / "proc/driver",
            devinfo_dir=root / "devinfo/dp",
            heartbeat_dir=root / "run",
            http_port=0,
            allow_block_devices=False,
            allow_memory_devices=False,
        )
        self.dev.mkdir()
        self.state.mkdir()
        self.settings.cdi_dir.mkdir()
        self.settings.heartbeat_dir.mkdir()

    def neighbour(self, config_name: str) -> "Bench":
        """The same node for another config."""
        other = copy(self)
        other.settings = replace(self.settings, config_name=config_name, config_uid=f"{config_name}-uid")
        other.api = ScriptedApi(self.api.objects)
        return other

    def plug(self, *names: str) -> None:
        """Make device nodes."""
        for name in names:
            os.mknod(self.dev / name, 0o020666, os.makedev(*NUMBERS[name]))

    def pull(self, *names: str) -> None:
        """Take device nodes away."""
        for name in names:
            (self.dev / name).unlink()

    def agent(self, api: NodeApi | None = None) -> AbstractAsyncContextManager[Agent]:
        """An agent process from its start to its SIGTERM."""
        return self._running(api or self.api, None)

    def alone(self, spec: NodeSpec) -> AbstractAsyncContextManager[Agent]:
        """The same without an API server."""
        return self._running(None, spec)

    @asynccontextmanager
    async def _running(self, api: NodeApi | None, spec: NodeSpec | None) -> AsyncIterator[Agent]:
        agent = Agent(self.settings, clock=self.clock, jitter=lambda: 0.0)
        task = asyncio.create_task(agent.run(api, spec))
        waiting = asyncio.current_task()
        assert waiting is not None

        def interrupt(_: object) -> None:
            waiting.cancel("the agent ended by itself")

        task.add_done_callback(interrupt)
        try:
            yield agent
        finally:
            task.remove_done_callback(interrupt)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled():
                task.result()

    async def until(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        """Wait until the condition holds; kubelet, API server and agent all live on this event loop."""
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(0.002)

    async def offers(self, healthy: int, total: int, resource: str = CAMERA) -> None:
        """Wait until the kubelet has these numbers."""
        await self.kubelet.wait_for_counts(resource, healthy, total)

    async def hand_out(self, pod: Pod, name: str = CAMERA, *, ago: float = 0.0) -> None:
        """A pod got a device of a resource so many seconds ago, and the status tells so."""
        await self.kubelet.admit(pod, "c", {name: 1})
        await self.until(lambda: self.api.reported().counts.allocated == 1)
        self.clock.pass_(ago)

    def resource_status(self, name: str = CAMERA) -> ResourceStatus:
        """What was reported of a resource."""
        return next(status for status in self.api.reported().resources if status.name == name)

    def states(self, name: str = CAMERA) -> dict[str, str]:
        """Device → reason, as reported."""
        if not self.api.status:
            return {}
        return {
            device.id: device.reason
            for status in self.api.reported().resources
            if status.name == name
            for device in status.devices
        }


def resource(name: str = CAMERA, include: str = "/dev/video*", **more: Any) -> Resource:
    """A resource of device nodes."""
    return Resource(name=name, source=Source(paths=PathsSource(include=(include,))), **more)


def spec(
    *resources: Resource, revision: str = "r1", cordoned: dict[str, str] | None = None, cdi: bool = False
) -> NodeSpec:
    """What the node shall run."""
    return NodeSpec(
        config_name="cameras",
        config_uid="config-uid",
        node_name="node",
        node_uid="node-uid",
        cdi=cdi,
        revision=revision,
        resources=resources or (resource(),),
        cordoned_devices=tuple(
            CordonedDevice(resource=CAMERA, device=device, reason=reason) for device, reason in (cordoned or {}).items()
        ),
    )
