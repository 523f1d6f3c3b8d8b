"""One agent without a kubelet: its devices, its status and when it is written are the real one's code."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from bench.operator.api import MERGE, Api
from bench.operator.delays import Change
from device_plugin_agent.agreement import Agreement
from device_plugin_agent.clock import SystemClock
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.node_api import FIELD_MANAGER, NodeApi
from device_plugin_agent.registered import Registered
from device_plugin_agent.report import Report, decode_status
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_agent.status import Offer, node_status
from device_plugin_api.names import node_device_plugin_name
from device_plugin_api.node import NodeSpec, NodeStatus, SelectionStep
from device_plugin_api.resource import Health
from device_plugin_operator import paths

_WATCH_SECONDS = 1800
_BACK = 1.5
"""Seconds between looks at a device on its way back: so far apart they count."""


class _Metadata(msgspec.Struct):
    uid: str
    resource_version: str = msgspec.field(name="resourceVersion")


class _Object(msgspec.Struct):
    metadata: _Metadata
    spec: NodeSpec
    status: dict[str, Any] = {}


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Written(msgspec.Struct):
    metadata: _Metadata


class SharedApi(NodeApi):
    """The agent's way to the API server, over connections that all agents of this process share."""

    def __init__(self, api: Api, name: str, written: Callable[[int], None]) -> None:
        self._api = api
        self._path = paths.node_device_plugin(name)
        self._written = written
        self.token = ""

    async def report(self, status: msgspec.Struct) -> None:
        """As the real one writes it: the same body, the same manager, an identity of its own."""
        content = await self._api.request(
            "PATCH",
            f"{self._path}/status?fieldManager={FIELD_MANAGER}",
            body={"status": msgspec.to_builtins(status)},
            content_type=MERGE,
            token=self.token,
        )
        self._written(int(msgspec.json.decode(content, type=_Written).metadata.resource_version))


class Agent:
    """The agent of one node. Times are of time.monotonic(), in seconds."""

    def __init__(self, api: Api, config: str, node: str, devices: int, metrics: Metrics) -> None:
        self.node = node
        self.seen = asyncio.Event()
        """Set when its NodeDevicePlugin is there."""
        self.revision = ""
        self.reported = ""
        """The revision that the API server knows it to run."""
        self.changes: list[Change] = []
        """What has changed here and is stored."""
        self._name = node_device_plugin_name(config, node)
        self._api = api
        self._node_api = SharedApi(api, self._name, self._stored)
        self._report = Report(self._node_api, self._build, clock=SystemClock(), metrics=metrics, jitter=random.random)
        self._candidates = tuple(
            Candidate(
                id=f"video{index}",
                path=f"/dev/video{index}",
                numa_node=index % 2,
                attributes={"vendor": "046d", "product": "0825", "serial": f"{node}-{index}", "driver": "uvcvideo"},
            )
            for index in range(devices)
        )
        self._inventory = Inventory(Health())
        self._missing: set[int] = set()
        self._resource = ""
        self._registered = Registered()
        self._unwritten: list[float] = []
        self._on_its_way: list[float] = []
        self._building = ""

    async def run(self, token: str) -> None:
        """Until cancelled, as the bearer of that token."""
        self._node_api.token = token
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report.run())
            tasks.create_task(self._follow(token))

    def pull(self, device: int) -> None:
        """That device goes."""
        self._missing.add(device)
        self._look(0)
        self._changed()

    def plug(self, device: int) -> None:
        """It comes back, and has been looked at often enough."""
        self._missing.discard(device)
        for look in range(3):
            self._look(look * _BACK)
        self._changed()

    async def _follow(self, token: str) -> None:
        params = {"fieldSelector": f"metadata.name={self._name}", "timeoutSeconds": str(_WATCH_SECONDS)}
        while True:
            fresh = True
            with suppress(OSError):
                async for line in self._api.watch(paths.NODE_DEVICE_PLUGINS, params, token=token):
                    event = msgspec.json.decode(line, type=_Event)
                    if event.type in ("ADDED", "MODIFIED"):
                        self._take(msgspec.json.decode(event.object, type=_Object), fresh=fresh)
                        fresh = False
            await asyncio.sleep(random.random())

    def _take(self, found: _Object, *, fresh: bool) -> None:
        if found.spec.revision != self.revision:
            self.revision = found.spec.revision
            self._resource = found.spec.resources[0].name
            self._inventory.health = found.spec.resources[0].health
            self._registered = Registered(now=True, message="", at=time.time())
            self._look(0)
        self.seen.set()
        if fresh:
            self._report.found(found.metadata.uid, decode_status(found.status))
        self._report.changed.fire()

    def _look(self, later: float) -> None:
        there = tuple(each for index, each in enumerate(self._candidates) if index not in self._missing)
        steps = (
            SelectionStep(step="include /dev/video*", kept=len(there)),
            SelectionStep(step="character devices", kept=len(there)),
        )
        self._inventory.observe(
            Discovery(candidates=there, steps=steps), now=time.time(), monotonic=time.monotonic() + later
        )

    def _changed(self) -> None:
        self._unwritten.append(time.monotonic())
        self._report.changed.fire()

    def _build(self, stored: NodeStatus) -> NodeStatus:
        self._on_its_way += self._unwritten
        self._unwritten = []
        self._building = self.revision
        offer = Offer(
            name=self._resource,
            inventory=self._inventory,
            registration=self._registered,
            draining=False,
            preview=False,
            cdi=False,
        )
        agreement = Agreement()
        agreement.compared = True
        return node_status(
            [offer],
            (),
            agreement,
            withheld={},
            revision=self.revision,
            rejection=None,
            agent_version="bench",
            known=stored.conditions,
            now=time.time(),
        )

    def _stored(self, version: int) -> None:
        self.reported = self._building
        self.changes += [Change(version=version, at=at, stored=time.monotonic()) for at in self._on_its_way]
        self._on_its_way = []
