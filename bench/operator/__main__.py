"""Measures the operator with a fleet of simulated agents and prints a table: python -m bench.operator.

A real etcd and kube-apiserver (KUBEBUILDER_ASSETS names their folder), neither kubelets nor a controller manager: this
program makes the agents' pods and is the agents, each with a token bound to its node.
"""

import argparse
import asyncio
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from apiserver_fixture import ControlPlane
from apiserver_fixture.control_plane import free_ports
from bench.figures import ms, percentile, row
from bench.operator.agent import Agent
from bench.operator.api import MERGE, Api
from bench.operator.cluster import LABELS, Cluster
from bench.operator.config import Config, Told
from bench.operator.counters import Counters, moved
from bench.operator.delays import Change, Seen, delays
from bench.operator.span import Span
from bench.operator.subject import Operator
from device_plugin_agent.metrics import Metrics
from device_plugin_api import group, names
from device_plugin_operator import paths

_NAME = "bench"
_RATES = (20, 100)
_TURN = 3
"""Devices of a node that one rate may use: with those of others they would count as flapping."""

_DEVICES = 1 + _TURN * len(_RATES)

_SINGLE = 20
"""Changes of a fleet at rest."""


class Bench:
    """One control plane, one operator, one config, and its agents."""

    def __init__(self, plane: ControlPlane, nodes: int) -> None:
        metrics = Metrics()
        self.api = Api(plane.url, plane.ca_file, plane.admin_token)
        self.agents = [
            Agent(self.api, _NAME, f"node-{number:04d}.example.internal", _DEVICES, metrics) for number in range(nodes)
        ]
        self.cluster = Cluster(self.api, self.agents, names.daemonset_name(_NAME))
        self.config = Config(self.api, _NAME)
        self.operator = Operator(plane, free_ports(1)[0])
        self._server = plane.pids[1]

    def span(self, what: str) -> Span:
        """To measure what goes on in it."""
        return Span(what, self.api, self._server, self.operator, self.config)

    async def run(self, rest: float, changing: float) -> None:
        """All measurements, one after the other."""
        begun = time.monotonic()
        await self.cluster.make_nodes()
        row("nodes made (by this program)", f"{time.monotonic() - begun:.1f} s")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.config.follow())
                await self._measure(rest, changing, tasks)
                raise _Done
        except* _Done:
            await self.operator.stop()
        finally:
            await self.api.close()

    async def _measure(self, rest: float, changing: float, tasks: asyncio.TaskGroup) -> None:
        self.operator.start()
        await self.operator.until_ready()
        await self._start(tasks)
        await self._settled()
        await self._sizes()
        async with self.span("at rest"):
            await asyncio.sleep(rest)
        await self._singly()
        for turn, rate in enumerate(_RATES):
            await self._steadily(rate, changing, 1 + turn * _TURN)
        await self._rollout()
        await self._restart()
        async with self.span("at rest, at the end"):
            await asyncio.sleep(rest)

    async def _start(self, tasks: asyncio.TaskGroup) -> None:
        async with self.span("start"):
            applied = time.monotonic()
            body = {
                "apiVersion": group.API_VERSION,
                "kind": group.CONFIG_KIND,
                "metadata": {"name": _NAME},
                "spec": {"nodeSelector": LABELS, "resources": _resources(period=10)},
            }
            await self.api.request("POST", paths.CONFIGS, body=body)
            await self.cluster.place(tasks)
            row("apply → all pods made (by this program)", _since(applied))
            for agent in self.agents:
                await agent.seen.wait()
            row("apply → all NodeDevicePlugins made", _since(applied))
            await self._reported("")
            row("apply → all agents reported", _since(applied))
            while not self.cluster.all_ready:
                await asyncio.sleep(0.02)
            row("apply → all pods ready (by this program)", _since(applied))
            ready = await self.config.until(self._all_ready(generation=1))
            row("apply → Ready", f"{ready.at - applied:.1f} s")

    async def _sizes(self) -> None:
        name = names.node_device_plugin_name(_NAME, self.agents[0].node)
        content = await self.api.request("GET", paths.node_device_plugin(name))
        fields = msgspec.json.encode(msgspec.json.decode(content)["metadata"]["managedFields"])
        row("a NodeDevicePlugin, of it managedFields", f"{len(content)}, {len(fields)} bytes")
        row("the config", f"{len(await self.api.request('GET', paths.config(_NAME)))} bytes")

    async def _singly(self) -> None:
        """One change after the other, each when all is at rest."""
        taken = _Taken()
        for agent in random.sample(self.agents, min(_SINGLE, len(self.agents))):
            for move in (agent.pull, agent.plug):
                await self._changes([partial(move, 0)], 0.0, taken)
                # Longer than agents and operator keep two writes apart.
                await asyncio.sleep(1.0 + random.random())
        taken.print("at rest")

    async def _steadily(self, rate: int, seconds: float, first: int) -> None:
        """Devices, from the `first` on, go on one node after the other, and then come back."""
        count = min(int(rate * seconds / 2), len(self.agents) * _TURN)
        agents = random.sample(self.agents, len(self.agents))
        chosen = [(agents[number % len(agents)], first + number // len(agents)) for number in range(count)]
        what = f"{rate} changes/s"
        taken = _Taken()
        async with self.span(what):
            await self._changes([partial(agent.pull, device) for agent, device in chosen], 1 / rate, taken)
            await self._changes([partial(agent.plug, device) for agent, device in chosen], 1 / rate, taken)
        taken.print(what)

    async def _changes(self, moves: Sequence[Callable[[], None]], apart: float, taken: "_Taken") -> None:
        """Changes that all go in one direction; returns when the status includes the last."""
        since = len(self.config.history)
        base = self.config.history[-1].status.devices.unhealthy

        def included(told: Told) -> int:
            return abs(told.status.devices.unhealthy - base)

        begun = time.monotonic()
        for number, move in enumerate(moves):
            await asyncio.sleep(begun + number * apart - time.monotonic())
            move()
        await self.config.until(lambda told: included(told) == len(moves), since)
        changes: list[Change] = []
        while len(changes) < len(moves):
            for agent in self.agents:
                changes += agent.changes
                agent.changes = []
            await asyncio.sleep(0.01)
        seen = [Seen(included=included(told), at=told.at) for told in self.config.history[since:]]
        taken.told += delays(changes, seen)
        taken.stored += [change.stored - change.at for change in changes]

    async def _rollout(self) -> None:
        """Another content of `resources`, by the default of a tenth of the nodes at a time."""
        before = self.agents[0].revision
        async with self.span("rollout"):
            applied = time.monotonic()
            body = {"spec": {"resources": _resources(period=20)}}
            await self.api.request("PATCH", paths.config(_NAME), body=body, content_type=MERGE)
            await self._reported(before)
            row("rollout: apply → all agents run it", _since(applied))
            ready = await self.config.until(self._all_ready(generation=2))
            row("rollout: apply → Ready", f"{ready.at - applied:.1f} s")
        await self._settled()

    async def _restart(self) -> None:
        """A device goes while no operator is there."""
        await self.operator.stop()
        since = len(self.config.history)
        unhealthy = self.config.history[-1].status.devices.unhealthy
        self.agents[0].pull(0)
        while not self.agents[0].changes:
            await asyncio.sleep(0.01)
        started = self.operator.start()
        told = await self.config.until(lambda told: told.status.devices.unhealthy == unhealthy + 1, since)
        row("restart: process start → first correct status", f"{told.at - started:.2f} s")
        row("restart: statuses before that", str(self.config.history[since:].index(told)))
        row("restart: CPU until then", f"{self.operator.usage.cpu:.2f} s")
        row("restart: requests until then", _requests(await self.operator.counters()))
        await self._settled()

    async def _reported(self, other_than: str) -> None:
        while any(agent.reported in ("", other_than) for agent in self.agents):
            await asyncio.sleep(0.05)

    async def _settled(self) -> None:
        count = -1
        while count != len(self.config.history):
            count = len(self.config.history)
            await asyncio.sleep(3.0)

    def _all_ready(self, generation: int) -> Callable[[Told], bool]:
        def so(told: Told) -> bool:
            current = told.status.observed_generation == generation
            return told.ready and current and told.status.nodes.updated == len(self.agents)

        return so


class _Taken:
    """How long changes took, in seconds."""

    def __init__(self) -> None:
        self.stored: list[float] = []
        self.told: list[float] = []

    def print(self, what: str) -> None:
        """In the order in which it happens."""
        count = f"{what}, {len(self.told)} changes: p50 / p99 / worst"
        row(f"change → stored by the API server, {count}", _spread(self.stored))
        row(f"change → config's status, {count}", _spread(self.told))


class _Done(Exception):
    """All is measured."""


def _requests(counters: Counters) -> str:
    counted = moved({}, counters, "rest_client_requests_total", ("method",))
    return ", ".join(f"{count:.0f} {method}" for method, count in counted.items())


def _resources(*, period: int) -> list[dict[str, Any]]:
    return [
        {
            "name": "example.com/bench",
            "source": {"paths": {"include": ["/dev/video*"]}},
            "health": {"periodSeconds": period},
        }
    ]


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.1f} s"


def _spread(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return " / ".join(ms(value) for value in (percentile(ordered, 50), percentile(ordered, 99), ordered[-1]))


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.operator", description=__doc__)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS", help="how long to watch it do nothing")
    parser.add_argument("--busy", type=float, default=20.0, metavar="SECONDS", help="how long devices come and go")
    given = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        parser.error(
            "KUBEBUILDER_ASSETS must name the folder with etcd and kube-apiserver: make bench-operator sets it"
        )
    row("nodes", str(given.nodes))
    with (
        tempfile.TemporaryDirectory(prefix="dp-bench-") as folder,
        ControlPlane(Path(assets), Path(folder)) as plane,
    ):
        plane.install()
        asyncio.run(_run(plane, given))


async def _run(plane: ControlPlane, given: argparse.Namespace) -> None:
    await Bench(plane, given.nodes).run(given.idle, given.busy)


if __name__ == "__main__":
    main()
