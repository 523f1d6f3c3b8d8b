"""Carries faults out, on one config and its devices on the cluster's workers."""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import assert_never

from apiserver_fixture.client import ApiError
from chaos_bed.oracle import Oracle, processes
from chaos_bed.plan import (
    CutApi,
    Edit,
    EndPod,
    Fault,
    JoinApi,
    KillAgent,
    Plug,
    Pull,
    ReplaceAgent,
    RestartKubelet,
    StartPod,
    World,
)
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import AGENTS, CONTROL_PLANE, SYSTEM, Json, on_node, run

_TABLE = "inet deviceplugins_chaos"


class Chaos:
    """What it breaks it can mend: mend() puts everything back that would outlive the test."""

    def __init__(self, bed: Bed, world: World, oracles: Mapping[str, Oracle]) -> None:
        self.cut: set[str] = set()
        """Nodes that do not reach the API server."""
        self._bed = bed
        self._world = world
        self._oracles = oracles
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        self._api_server = run("docker", "inspect", "--format", form, CONTROL_PLANE).strip()

    def do(self, fault: Fault) -> None:
        """Carry it out; returns when it is so."""
        match fault:
            case Pull(node, device):
                self._oracles[node].pull(device)
            case Plug(node, device):
                self._oracles[node].plug(device)
            case KillAgent(node):
                self._kill(node)
            case ReplaceAgent(node):
                self._replace(node)
            case RestartKubelet(node):
                on_node(node, "systemctl restart kubelet")
            case CutApi(""):
                on_node(CONTROL_PLANE, "pkill -STOP -x kube-apiserver")
            case JoinApi(""):
                on_node(CONTROL_PLANE, "pkill -CONT -x kube-apiserver")
            case CutApi(node):
                self._cut(node)
            case JoinApi(node):
                self._join(node)
            case Edit():
                self._persist(lambda: self._bed.change(self.spec(fault)))
            case StartPod(node, name, shared):
                self._persist(lambda: self._start(node, name, shared))
            case EndPod(name):
                self._persist(lambda: self._delete("Pod", name, self._bed.name))
            case _:
                assert_never(fault)

    def mend(self) -> None:
        """Whatever was broken, and by whomever."""
        with suppress(AssertionError):
            on_node(CONTROL_PLANE, "pkill -CONT -x kube-apiserver")
        for node in self._world.nodes:
            on_node(node, f"nft delete table {_TABLE} 2>/dev/null || true")
        self.cut.clear()

    def spec(self, edit: Edit) -> Json:
        """The config as edited. All nodes get it at once: how a rollout waits is the business of other tests."""
        name = self._bed.name
        exclude = [f"/dev/{edit.excluded}"] if edit.excluded else []
        plain = {"include": [f"/dev/{name}-*"], "exclude": exclude}
        shared = {
            "name": self.shared_resource,
            "source": {"paths": {"include": [f"/dev/{name}s-*"]}},
            "sharing": {"replicas": 2},
        }
        return {
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "resources": [{"name": self._bed.resource, "source": {"paths": plain}}, *([shared] if edit.shares else [])],
            "cordonedDevices": [
                {"node": node, "resource": self._bed.resource, "device": device, "reason": "chaos"}
                for node, device in sorted(edit.cordoned)
            ],
            "rollout": {"maxUnavailable": "100%", "onRegression": "Continue"},
        }

    @property
    def shared_resource(self) -> str:
        """The resource whose devices are shared."""
        return f"{self._bed.resource}-shared"

    def _kill(self, node: str) -> None:
        for agent in processes(self._bed.name, self._bed.name).agents:
            if agent.node == node:
                with suppress(ProcessLookupError):
                    os.kill(agent.pid, signal.SIGKILL)

    def _replace(self, node: str) -> None:
        def delete() -> None:
            for pod in self._bed.agents():
                if pod["spec"].get("nodeName") == node:
                    self._delete("Pod", pod["metadata"]["name"], AGENTS)

        self._persist(delete)

    def _cut(self, node: str) -> None:
        """Kubelet and agents of that node. The operator is let through: who takes over from it is another test's."""
        pods = self._bed.client.list("v1", "Pod", namespace=SYSTEM, fieldSelector=f"spec.nodeName={node}")
        operators = ", ".join(pod["status"]["podIP"] for pod in pods if "podIP" in pod["status"])
        server = self._api_server
        rules = [f"ip saddr {{ {operators} }} accept", f"ip daddr {{ {operators} }} accept"] if operators else []
        rules += [f"ip daddr {server} tcp dport 6443 drop", f"ip saddr {server} tcp sport 6443 drop"]
        lines = [f"add table {_TABLE}"]
        for hook in ("input", "forward", "output"):
            lines.append(f"add chain {_TABLE} {hook} {{ type filter hook {hook} priority 0; }}")
            lines += [f"add rule {_TABLE} {hook} {rule}" for rule in rules]
        self.cut.add(node)
        on_node(node, "\n".join(["nft -f - <<'END'", *lines, "END"]))

    def _join(self, node: str) -> None:
        on_node(node, f"nft delete table {_TABLE}")
        self.cut.discard(node)

    def _start(self, node: str, name: str, shared: bool) -> None:
        fields = {"NODE": "spec.nodeName", "NAMESPACE": "metadata.namespace", "POD": "metadata.name"}
        container = {
            "name": "c0",
            "image": "busybox:1.37",
            "imagePullPolicy": "IfNotPresent",
            # Its last word tells the oracle that it is one of ours.
            "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait", self._bed.name],
            "env": [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": field}}} for key, field in fields.items()],
            "resources": {"limits": {self.shared_resource if shared else self._bed.resource: "1"}},
        }
        self._bed.client.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": self._bed.name},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": node},
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                    "automountServiceAccountToken": False,
                    "containers": [container],
                },
            }
        )

    def _delete(self, kind: str, name: str, namespace: str) -> None:
        # With the pod's own grace: taken away at once, its device could be given to another one while it still runs.
        self._bed.client.request("DELETE", self._bed.client.path("v1", kind, name, namespace=namespace))

    def _persist(self, act: Callable[[], object]) -> None:
        """Until it is done: of an answer that was lost nobody knows whether it was done already."""

        def done() -> bool:
            try:
                act()
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
            return True

        until(done, "the API server takes it", every=0.2)
