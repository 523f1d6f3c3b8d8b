"""The real operator on a real API server; nodes, kubelets and agents are played by the test."""

import asyncio
import re
import threading
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from apiserver.objects import API_VERSION, CONFIG, NODE, Json, config
from apiserver_fixture import ApiError, Client, ControlPlane, eventually
from device_plugin_operator import access
from device_plugin_operator.client import Client as OperatorClient
from device_plugin_operator.clock import SystemClock
from device_plugin_operator.runtime import Operator
from device_plugin_operator.settings import Settings

AGENTS = "device-plugin-agents"
STAMP = "2026-11-23T12:00:00Z"


def kubeconfig(plane: ControlPlane, token: str) -> Path:
    """The operator's own: its ServiceAccount's rights are all it has."""
    made = yaml.safe_load(plane.kubeconfig.read_text())
    made["users"][0]["user"] = {"token": token}
    path = plane.folder / "operator-kubeconfig"
    path.write_text(yaml.safe_dump(made))
    return path


class ShiftedClock(SystemClock):
    """The machine's clock, ahead by as much as a test says."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class RunningOperator:
    """The operator in a thread, with every request it makes. `with` waits until it is ready, if that is wished."""

    def __init__(self, settings: Settings, *, until_ready: bool = True) -> None:
        self.clock = ShiftedClock()
        self.requests: list[tuple[str, str, int]] = []
        self._settings = settings
        self._until_ready = until_ready
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="operator")

    def __enter__(self) -> "RunningOperator":
        self._thread.start()
        assert self._started.wait(10)
        try:
            eventually(lambda: self._error or not self._until_ready or self.ready, "the operator is ready")
        except TimeoutError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._operator.stop)
            self._thread.join(20)
            assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        client = OperatorClient(await access.find(self._settings.kubeconfig, {}), on_answer=self._record)
        try:
            self._operator = Operator(self._settings, client, self.clock)
            self._started.set()
            await self._operator.run()
        finally:
            await client.close()
            await asyncio.sleep(0.3)  # TLS connections, ours and kopf's, need a moment to end

    def _record(self, method: str, path: str, status: int) -> None:
        self.requests.append((method, path, status))

    @property
    def runs(self) -> bool:
        """Whether it still does."""
        return self._thread.is_alive()

    @property
    def ready(self) -> bool:
        """Whether it says that it is."""
        return self._operator.ready()[0]

    @property
    def http_port(self) -> int:
        """Where it answers probes and scrapes."""
        return self._operator.http_port

    def look(self, name: str) -> None:
        """Have it reconcile that config once more, and wait until it has."""
        path = f"/apis/{API_VERSION}/devicepluginconfigs/{name}"
        before = self.requests.count(("GET", path, 200))
        self._loop.call_soon_threadsafe(self._operator.changed, name)
        eventually(lambda: self.requests.count(("GET", path, 200)) > before, "it looked again")
        time.sleep(0.3)  # what it would write comes right behind

    def later(self, seconds: float) -> None:
        """Let time pass: what is due by then is done."""
        self.clock.ahead += seconds
        # Who waits for the next due one waits by the machine's clock, until something comes.
        self._loop.call_soon_threadsafe(self._operator.changed, "nobody")

    def looks(self, name: str, count: int) -> None:
        """Have it reconcile that config so many times, as fast as its pace allows: time passes quickly meanwhile."""
        look = ("GET", f"/apis/{API_VERSION}/devicepluginconfigs/{name}", 200)
        done = self.requests.count(look)
        for number in range(1, count + 1):
            self.clock.ahead += 1.0
            self._loop.call_soon_threadsafe(self._operator.changed, name)
            eventually(partial(self._looked, look, done + number), "it looked again", every=0.005)
        time.sleep(0.3)  # what it would write comes right behind

    def _looked(self, look: tuple[str, str, int], times: int) -> bool:
        return self.requests.count(look) >= times

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Of all requests those that write. Asking what defaults would be filled in is none, nor is the Lease."""
        return [
            (method, path)
            for method, path, _ in self.requests
            if method not in ("GET", "WATCH")
            and "/leases" not in path
            and not (method == "POST" and path.endswith("/daemonsets"))
        ]


def world_name(test: str) -> str:
    """A config's name that a test of that name can have for its own."""
    return re.sub("[^a-z0-9]+", "-", test.lower().removeprefix("test_"))[-40:].strip("-")


class World:
    """One config of its own name, and the nodes it selects."""

    def __init__(self, api: Client, name: str) -> None:
        self.api = api
        self.name = name
        self._nodes: set[str] = set()

    def apply(self, **spec: Any) -> Json:
        """Apply the config; it selects the nodes of this world."""
        return self.api.apply(config(self.name, **({"nodeSelector": {"world": self.name}} | spec)))

    def node(self, name: str) -> str:
        """Make a Node that the config selects; its whole name."""
        whole = f"{self.name}-{name}"
        labels = {"world": self.name, "kubernetes.io/os": "linux"}
        self.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": whole, "labels": labels}})
        self._nodes.add(whole)
        return whole

    def remove_node(self, whole: str) -> None:
        """The machine is gone, and with it its pod."""
        self.api.delete("v1", "Node", whole)
        for pod in self.pods():
            if pod["spec"].get("nodeName") == whole:
                self.api.delete("v1", "Pod", pod["metadata"]["name"], namespace=AGENTS, missing_ok=True)

    @property
    def config(self) -> Json:
        """The DevicePluginConfig."""
        return self.api.get(API_VERSION, CONFIG, self.name)

    @property
    def daemonset(self) -> Json | None:
        """The agents' DaemonSet."""
        return self.api.find("apps/v1", "DaemonSet", f"{self.name}-agent", namespace=AGENTS)

    def template(self) -> Json:
        """The agents' template."""
        assert self.daemonset is not None
        return dict(self.daemonset["spec"]["template"])

    def pods(self) -> list[Json]:
        """The agents' pods."""
        return self.api.list("v1", "Pod", namespace=AGENTS, labelSelector=f"deviceplugins.dev/config={self.name}")

    def objects(self) -> dict[str, Json]:
        """The NodeDevicePlugins by node."""
        found = self.api.list(API_VERSION, NODE, labelSelector=f"deviceplugins.dev/config={self.name}")
        return {item["spec"]["nodeName"]: item for item in found}

    def reason(self) -> str:
        """What `kubectl get dpc` shows as STATUS."""
        conditions = self.config.get("status", {}).get("conditions", [])
        return next((str(found["reason"]) for found in conditions if found["type"] == "Ready"), "")

    def events(self) -> list[tuple[str, str]]:
        """Type and reason of the Events about the config, oldest first."""
        told = self.api.list("v1", "Event", namespace="default", fieldSelector=f"involvedObject.name={self.name}")
        return [(event["type"], event["reason"]) for event in sorted(told, key=lambda event: event["eventTime"])]

    def schedule(self) -> None:
        """Play scheduler and kubelets: bind each agent's pod to its node and make it ready."""
        for pod in self.pods():
            name = pod["metadata"]["name"]
            if "nodeName" not in pod["spec"] and "deletionTimestamp" not in pod["metadata"]:
                terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                target = terms["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
                body = {
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"name": name},
                    "target": {"kind": "Node", "name": target},
                }
                self.api.request("POST", f"/api/v1/namespaces/{AGENTS}/pods/{name}/binding", body=body)
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": STAMP}
                body = {"status": {"phase": "Running", "conditions": [ready]}}
                self.api.patch("v1", "Pod", name, body, namespace=AGENTS, subresource="status")

    def start(self, nodes: Iterable[str]) -> None:
        """Agents run on all these nodes and each has its object."""
        wanted = set(nodes)
        eventually(lambda: len(self.pods()) >= len(wanted), "the DaemonSet controller made the pods")
        self.schedule()
        eventually(lambda: self.objects().keys() >= wanted, "each node has its object")

    def report(
        self,
        node: str,
        *,
        healthy: int = 2,
        broken: Iterable[str] = (),
        unregistered: str = "",
        resources: Iterable[str] = ("example.com/camera",),
    ) -> None:
        """Play the agent: say what the node has of each resource, and why it is not registered."""
        item = self.objects()[node]
        lost, names = list(broken), list(resources)
        counts = {
            "total": healthy + len(lost),
            "healthy": healthy,
            "unhealthy": len(lost),
            "unknown": 0,
            "allocated": 0,
        }
        devices = [
            {"id": f"video{number}", "state": "Healthy", "reason": "Present", "lastTransitionTime": STAMP}
            for number in range(healthy)
        ] + [
            {"id": name, "state": "Unhealthy", "reason": "DeviceMissing", "lastTransitionTime": STAMP} for name in lost
        ]
        good = {"status": "True", "reason": "Good", "message": "", "lastTransitionTime": STAMP}
        registered = good | ({"status": "False", "reason": unregistered} if unregistered else {})
        status = {
            "observedRevision": item["spec"]["revision"],
            "agentVersion": "test",
            "conditions": [{"type": "ConfigAccepted"} | good, {"type": "Registered"} | registered],
            "counts": {key: len(names) * count for key, count in counts.items()},
            "resources": [
                {"name": name, "registered": not unregistered, "counts": counts, "devices": devices} for name in names
            ]
            if devices
            else [],
        }
        self.api.patch(API_VERSION, NODE, item["metadata"]["name"], {"status": status}, subresource="status")

    def close(self) -> None:
        """Remove everything, whoever would have."""
        self.api.delete(API_VERSION, CONFIG, self.name, missing_ok=True)
        self.api.delete("apps/v1", "DaemonSet", f"{self.name}-agent", namespace=AGENTS, missing_ok=True)
        for item in self.objects().values():
            self.api.delete(API_VERSION, NODE, item["metadata"]["name"], missing_ok=True)
        for pod in self.pods():
            self.api.delete("v1", "Pod", pod["metadata"]["name"], namespace=AGENTS, missing_ok=True)
        for node in self._nodes:
            self.api.delete("v1", "Node", node, missing_ok=True)


def settled(world: World) -> str:
    """One node that works; its name."""
    node = world.node("a")
    world.apply()
    world.start([node])
    world.report(node)
    eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    return node


def versions(world: World) -> dict[str, str]:
    """The resourceVersion of everything the operator writes for that config."""
    everything = [world.config, *world.objects().values()]
    if world.daemonset is not None:
        everything.append(world.daemonset)
    return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in everything}


__all__ = ["AGENTS", "ApiError", "RunningOperator", "World", "eventually", "kubeconfig", "versions", "world_name"]
