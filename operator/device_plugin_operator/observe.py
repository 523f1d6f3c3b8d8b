"""A key → one frozen snapshot of all that matters about that config. Reads, and remembers what reading cannot tell."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from device_plugin_api import names
from device_plugin_operator import decode, paths
from device_plugin_operator.client import REFUSALS, ApiError, Client
from device_plugin_operator.clock import Clock
from device_plugin_operator.facts import AgentPod, Config, Daemons, Machine, NodeObject, Snapshot
from device_plugin_operator.fleet import Fleet
from device_plugin_operator.plan import agents, daemonset, nodes, status
from device_plugin_operator.plan.changes import AT_ONCE
from device_plugin_operator.plan.nodes import Checked
from device_plugin_operator.roster import Roster
from device_plugin_operator.settings import Settings

Json = dict[str, Any]

_PARALLEL = 16
_NOT_FOUND = 404


@dataclass
class _Memory:
    """What is known about one config from earlier looks."""

    uid: str
    unready: dict[str, float] | None = None
    checked: dict[str, Checked] = field(default_factory=dict)
    roster: Roster | None = None
    expected: tuple[str, Json] | None = None
    """Digest of the wanted DaemonSet, and its spec with the API server's defaults."""


class Observer:
    """Makes snapshots."""

    def __init__(self, client: Client, fleet: Fleet, settings: Settings, clock: Clock) -> None:
        self._client = client
        self._fleet = fleet
        self._settings = settings
        self._clock = clock
        self._memories: dict[str, _Memory] = {}
        self._slots = asyncio.Semaphore(_PARALLEL)

    def forget(self, name: str) -> None:
        """The config is gone."""
        self._memories.pop(name, None)
        self._fleet.touched(name)

    def doubt(self, name: str) -> None:
        """What the API server makes of our DaemonSet is to be asked again."""
        if name in self._memories:
            self._memories[name].expected = None

    async def observe(self, name: str) -> Snapshot | None:
        """The config as it is now; None when it is gone. Raises RequestFailed."""
        # Both at once: under load an answer may take a while, and each look waits for it.
        content, live = await asyncio.gather(
            self._get(paths.config(name)),
            self._get(paths.daemonset(self._settings.agents_namespace, names.daemonset_name(name))),
        )
        if content is None:
            return None
        config = decode.config(content, self._settings.source_images)
        memory = self._memories.get(name)
        if memory is None or memory.uid != config.uid:
            memory = self._memories[name] = _Memory(config.uid)
        now = self._clock.now()
        if config.terminating:
            return Snapshot(now=now, config=config, fleet_complete=self._fleet.complete, daemons=None)
        daemons = await self._daemons(config, memory, None if live is None else msgspec.json.decode(live, type=Json))
        if not self._fleet.complete:
            return Snapshot(now=now, config=config, fleet_complete=False, daemons=daemons)
        return await self._fleet_of(config, memory, daemons, now)

    async def _fleet_of(self, config: Config, memory: _Memory, daemons: Daemons | None, now: float) -> Snapshot:
        roster = self._roster(config, memory)
        there = sorted(roster.restless)
        objects = [found for node in there for found in self._fleet.nodes.on(config.name, node)]
        pods = tuple(pod for node in there for pod in self._fleet.pods.on(config.name, node))
        own = {found.node: found for found in objects if found.config_uid == config.uid}
        on_node = agents.by_node(pods)
        desired = status.placement(daemons).desired
        memory.unready = agents.unready(
            memory.unready,
            own,
            on_node,
            config.status,
            short=desired is not None and desired > len(on_node) + len(roster),
            now=now,
        )
        machines, unseen = await self._machines(config, memory, own, on_node, now)
        return Snapshot(
            now=now,
            config=config,
            fleet_complete=True,
            daemons=daemons,
            nodes=own,
            strangers=tuple(found for found in objects if found.config_uid != config.uid and not found.terminating),
            pods=pods,
            unready=memory.unready,
            machines=machines,
            unseen=unseen,
            rivals={node: self._fleet.rivals(config.name, node) for node in there},
            calm=roster.calm(),
        )

    def _roster(self, config: Config, memory: _Memory) -> Roster:
        """With everything that has changed since the last look."""
        touched = self._fleet.touched(config.name)
        if memory.roster is None or not memory.roster.fits(config):
            memory.roster = Roster(config)
            touched = self._fleet.everywhere(config.name)
        for node in touched | memory.roster.restless:
            objects, pods = self._fleet.nodes.on(config.name, node), self._fleet.pods.on(config.name, node)
            rivals = self._fleet.rivals(config.name, node)
            memory.roster.judge(node, objects, pods, memory.checked.get(node), rivals)
            if not objects and not pods:
                memory.checked.pop(node, None)
        return memory.roster

    async def _daemons(self, config: Config, memory: _Memory, live: Json | None) -> Daemons | None:
        if config.spec is None:
            return None
        wanted = daemonset.wanted(config, config.spec, self._settings)
        digest = daemonset.digest(wanted)
        if memory.expected is None or memory.expected[0] != digest:
            try:
                memory.expected = (digest, await self._with_defaults(wanted))
            except ApiError as error:
                if error.status not in REFUSALS | {_NOT_FOUND}:  # not found: the agents' namespace
                    raise
                # It belongs into the status: nobody reads the operator's log first.
                return Daemons(live=live, wanted=wanted, expected=None, refusal=error.message)
        return Daemons(live=live, wanted=wanted, expected=memory.expected[1], refusal="")

    async def _with_defaults(self, wanted: Json) -> Json:
        """What the API server would make of it if nothing were there: asked once, not written.

        Only so can be told what others have added, without a list of defaults that the next Kubernetes makes wrong.
        """
        metadata = {key: value for key, value in wanted["metadata"].items() if key != "name"}
        body = {**wanted, "metadata": {**metadata, "generateName": f"{wanted['metadata']['name']}-"}}
        content = await self._client.request(
            "POST",
            paths.daemonsets(self._settings.agents_namespace),
            params={"dryRun": "All", "fieldManager": daemonset.MANAGER},
            body=body,
        )
        spec: Json = msgspec.json.decode(content, type=Json)["spec"]
        return spec

    async def _machines(
        self,
        config: Config,
        memory: _Memory,
        own: dict[str, NodeObject],
        on_node: dict[str, AgentPod],
        now: float,
    ) -> tuple[dict[str, Machine | None], int]:
        needed = nodes.purposes(config, own, on_node)
        wanted = nodes.lookups(needed, own, on_node, memory.checked, now)
        found = await asyncio.gather(*(self._machine(node) for node in wanted[:AT_ONCE]))
        for node, machine in zip(wanted, found, strict=False):
            memory.checked[node] = Checked(machine=machine, purpose=needed[node], at=now)
        known = {
            node: memory.checked[node].machine
            for node, purpose in needed.items()
            if node in memory.checked and memory.checked[node].purpose == purpose
        }
        return known, max(0, len(wanted) - AT_ONCE)

    async def _machine(self, name: str) -> Machine | None:
        async with self._slots:
            content = await self._get(paths.node(name))
        return None if content is None else decode.machine(content)

    async def _get(self, path: str) -> bytes | None:
        try:
            return await self._client.request("GET", path)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
