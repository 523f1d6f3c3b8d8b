"""Nodes, and what the DaemonSet controller and kubelets would do about the agents' pods."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from bench.operator.agent import Agent
from bench.operator.api import MERGE, Api, Refused
from device_plugin_operator import paths

Json = dict[str, Any]

AGENTS = "device-plugin-agents"
LABELS = {"bench": "true"}
_PARALLEL = 32
_TELL = 0.5
"""Seconds between two writes of the DaemonSet's status."""


class Cluster:
    """So many nodes with an agent each."""

    def __init__(self, api: Api, agents: Iterable[Agent], daemonset: str) -> None:
        self._api = api
        self._agents = list(agents)
        self._daemonset = paths.daemonset(AGENTS, daemonset)
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._live: Json = {}
        self._bound = self._ready = self._told_ready = 0

    @property
    def all_ready(self) -> bool:
        """Whether all pods are, and the DaemonSet's status says so."""
        return self._told_ready == len(self._agents)

    async def make_nodes(self) -> None:
        """As a kubelet would register them."""

        async def make(agent: Agent) -> None:
            body = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": agent.node, "labels": LABELS | {"kubernetes.io/os": "linux"}},
                "status": {"nodeInfo": {"containerRuntimeVersion": "containerd://2.3.3"}},
            }
            await self._api.request("POST", "/api/v1/nodes", body=body)

        await self._each(make)

    async def place(self, tasks: asyncio.TaskGroup) -> None:
        """Wait for the DaemonSet, then make a pod on every node and start its agent; returns when all pods are bound.

        Each agent has a token of its own, bound to its pod and by that to its node.
        """
        while not self._live:
            with suppress(Refused):
                self._live = msgspec.json.decode(await self._api.request("GET", self._daemonset))
            await asyncio.sleep(0.02)
        telling = tasks.create_task(self._tell())

        async def start(agent: Agent) -> None:
            pod = await self._make_pod(agent.node)
            self._bound += 1
            tasks.create_task(agent.run(await self._token(pod)))
            tasks.create_task(self._get_ready(agent, pod))

        await self._each(start)
        tasks.create_task(self._end(telling))

    async def _make_pod(self, node: str) -> Json:
        template = self._live["spec"]["template"]
        affinity = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        required = {"nodeSelectorTerms": [affinity]}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{self._live['metadata']['name']}-{node}",
                "labels": template["metadata"]["labels"] | {"controller-revision-hash": "5f7d8c9b6d"},
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "DaemonSet",
                        "name": self._live["metadata"]["name"],
                        "uid": self._live["metadata"]["uid"],
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": {
                **template["spec"],
                "nodeName": node,
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
            },
        }
        made: Json = msgspec.json.decode(await self._api.request("POST", paths.pods(AGENTS), body=body))
        return made

    async def _token(self, pod: Json) -> str:
        """As a kubelet asks for it."""
        metadata = pod["metadata"]
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 7200, "boundObjectRef": bound},
        }
        path = f"/api/v1/namespaces/{AGENTS}/serviceaccounts/{pod['spec']['serviceAccountName']}/token"
        return str(msgspec.json.decode(await self._api.request("POST", path, body=body))["status"]["token"])

    async def _get_ready(self, agent: Agent, pod: Json) -> None:
        """A pod is ready when its agent has registered, which it does as soon as it has its configuration."""
        await agent.seen.wait()
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": stamp}
        body = {"status": {"phase": "Running", "conditions": [ready]}}
        path = f"{paths.pods(AGENTS)}/{pod['metadata']['name']}/status"
        async with self._slots:
            await self._api.request("PATCH", path, body=body, content_type=MERGE)
        self._ready += 1

    async def _tell(self) -> None:
        told: Json = {}
        while True:
            status = {
                "observedGeneration": self._live["metadata"]["generation"],
                "desiredNumberScheduled": len(self._agents),
                "currentNumberScheduled": self._bound,
                "updatedNumberScheduled": self._bound,
                "numberMisscheduled": 0,
                "numberReady": self._ready,
                "numberAvailable": self._ready,
                "numberUnavailable": len(self._agents) - self._ready,
            }
            if status != told:
                path = f"{self._daemonset}/status"
                await self._api.request("PATCH", path, body={"status": status}, content_type=MERGE)
                told = status
                self._told_ready = status["numberReady"]
            await asyncio.sleep(_TELL)

    async def _end(self, telling: asyncio.Task[None]) -> None:
        while not self.all_ready:
            await asyncio.sleep(_TELL)
        telling.cancel()

    async def _each(self, work: Callable[[Agent], Awaitable[None]]) -> None:
        async def one(agent: Agent) -> None:
            async with self._slots:
                await work(agent)

        async with asyncio.TaskGroup() as group:
            for agent in self._agents:
                group.create_task(one(agent))
