"""One test's own corner of the cluster: a namespace, a config, a resource, devices in the nodes."""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import grpc
from prometheus_client.parser import text_string_to_metric_families

from apiserver_fixture.client import ApiError, Client
from e2e_bed.cluster import AGENTS, GROUP, WORKERS, Json, on_node, quantity
from e2e_bed.kubelet_view import KubeletView
from e2e_bed.times import Times

T = TypeVar("T")


def until(look: Callable[[], T], what: str, limit: float = 60.0, every: float = 0.05) -> T:
    """Look until the answer is true; fails with what was seen last. Errors on the way count as "not yet"."""
    deadline = time.monotonic() + limit
    last: object = None
    while time.monotonic() < deadline:
        try:
            answer = look()
        except (ApiError, grpc.RpcError, OSError, KeyError, IndexError) as error:
            last = error
        else:
            if answer:
                return answer
            last = answer
        time.sleep(every)
    raise AssertionError(f"not within {limit:.0f} s: {what}; last seen: {last!r}")


class Bed:
    """What a test makes here is gone after it; names are its own, so that tests do not meet."""

    def __init__(self, client: Client, views: dict[str, KubeletView], times: Times, name: str = "") -> None:
        self.client = client
        self.views = views
        self.times = times
        self.name = name or f"e2e-{secrets.token_hex(3)}"
        self.resource = f"example.com/{self.name}"
        self.env = self.name.upper().replace("-", "_")
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})

    def rival(self) -> "Bed":
        """A corner for another config; the devices are ours."""
        return Bed(self.client, self.views, self.times, f"rival-{self.name}")

    # Devices

    def plug(self, node: str, *numbers: int, kind: str = "") -> None:
        """Make character devices /dev/<name><kind>-<number> in a node; they read as zeros."""
        on_node(node, "; ".join(f"mknod -m 0666 /dev/{self.name}{kind}-{number} c 1 5" for number in numbers))

    def pull(self, node: str, *numbers: int, kind: str = "") -> None:
        """Take them away."""
        on_node(node, "rm -f " + " ".join(f"/dev/{self.name}{kind}-{number}" for number in numbers))

    def device(self, number: int) -> str:
        """A device's ID."""
        return f"{self.name}-{number}"

    # The config

    def spec(self, selector: dict[str, str] | None = None, **resource: Any) -> Json:
        """A config for this test's devices, by default on the first worker."""
        return {
            "nodeSelector": selector or {"kubernetes.io/hostname": WORKERS[0]},
            "resources": [
                {"name": self.resource, "source": {"paths": {"include": [f"/dev/{self.name}-*"]}}, **resource}
            ],
        }

    def apply(self, spec: Json | None = None) -> None:
        """Make the config."""
        self.client.create(
            {
                "apiVersion": GROUP,
                "kind": "DevicePluginConfig",
                "metadata": {"name": self.name},
                "spec": spec or self.spec(),
            }
        )

    def change(self, spec: Json) -> None:
        """Merge into its spec."""
        self.client.patch(GROUP, "DevicePluginConfig", self.name, {"spec": spec})

    def config(self) -> Json:
        """It, as it is now."""
        return self.client.get(GROUP, "DevicePluginConfig", self.name)

    def reason(self) -> str:
        """The reason of Ready, once it is about the current spec."""
        config = self.config()
        if config.get("status", {}).get("observedGeneration") != config["metadata"]["generation"]:
            return ""
        return next(str(each["reason"]) for each in config["status"]["conditions"] if each["type"] == "Ready")

    def settled(self, reason: str = "AllNodesReady") -> None:
        """Wait until Ready has this reason."""
        until(lambda: self.reason() == reason, f"{self.name} says {reason}")

    def report(self, node: str = WORKERS[0]) -> Json:
        """The NodeDevicePlugin of a node."""
        return self.client.get(GROUP, "NodeDevicePlugin", f"{self.name}.{node}")

    def reported(self, node: str = WORKERS[0], resource: str | None = None) -> dict[str, Json]:
        """Device ID → what its agent says."""
        status = self.report(node).get("status", {})
        return {
            device["id"]: device
            for each in status.get("resources", [])
            if each["name"] == (resource or self.resource)
            for device in each.get("devices", [])
        }

    def contested(self, node: str = WORKERS[0]) -> list[Json]:
        """What other configs select too, as its agent says."""
        return list(self.report(node).get("status", {}).get("contestedDevices", []))

    def reports(self) -> set[str]:
        """The nodes that have a NodeDevicePlugin of this config."""
        found = self.client.list(GROUP, "NodeDevicePlugin", labelSelector=f"deviceplugins.dev/config={self.name}")
        return {item["spec"]["nodeName"] for item in found}

    # Nodes and agents

    def offered(self, node: str = WORKERS[0], resource: str | None = None) -> int:
        """Node.status.allocatable."""
        status = self.client.get("v1", "Node", node)["status"]
        return quantity(status["allocatable"].get(resource or self.resource))

    def capacity(self, node: str = WORKERS[0]) -> int:
        """Node.status.capacity."""
        return quantity(self.client.get("v1", "Node", node)["status"]["capacity"].get(self.resource))

    def kubelet_has(self, *numbers: int, node: str = WORKERS[0]) -> None:
        """Wait until the kubelet's own view is these devices."""
        wanted = {self.device(number) for number in numbers}
        until(
            lambda: self.views[node].allocatable(self.resource) == wanted,
            f"the kubelet of {node} has {sorted(wanted)}",
            every=0.02,
        )

    def agents(self) -> list[Json]:
        """Agent pods that are not being deleted."""
        pods = self.client.list("v1", "Pod", namespace=AGENTS, labelSelector=f"deviceplugins.dev/config={self.name}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def agent(self, node: str = WORKERS[0]) -> Json:
        """The agent pod of a node; KeyError while there is none."""
        return {pod["spec"].get("nodeName"): pod for pod in self.agents()}[node]

    def agent_log(self, node: str = WORKERS[0]) -> list[str]:
        """What the agent of a node wrote since its container was started, line by line."""
        path = f"/api/v1/namespaces/{AGENTS}/pods/{self.agent(node)['metadata']['name']}/log"
        return str(self.client.request("GET", path).get("text", "")).splitlines()

    def agent_says(self, path: str, node: str = WORKERS[0]) -> str:
        """What the agent of a node answers over HTTP; ApiError with its words when something is not well."""
        name = self.agent(node)["metadata"]["name"]
        return str(self.client.request("GET", f"/api/v1/namespaces/{AGENTS}/pods/{name}:8081/proxy{path}")["text"])

    def measured(self, metric: str, node: str = WORKERS[0], **labels: str) -> float:
        """A metric of the agent of a node, of this test's resource; KeyError while there is none."""
        wanted = {"resource": self.resource, **labels}
        families = text_string_to_metric_families(self.agent_says("/metrics", node))
        samples = (sample for family in families for sample in family.samples if sample.name == metric)
        return {tuple(sorted(each.labels.items())): each.value for each in samples}[tuple(sorted(wanted.items()))]

    def restarts(self, node: str = WORKERS[0]) -> int:
        """How often the kubelet of a node has started the agent's container anew."""
        (container,) = self.agent(node)["status"]["containerStatuses"]
        return int(container["restartCount"])

    def agent_pid(self, node: str = WORKERS[0]) -> str:
        """PID, in the node, of the agent's process; empty while there is none. Needs no API server."""
        # The brackets keep the pattern from matching the shell that carries it.
        return on_node(node, f"pgrep -f '[-]-config-name={self.name}' || true").strip()

    # Pods

    def pod(
        self,
        name: str,
        *counts: int,
        node: str | None = None,
        script: str = "",
        user: Json | None = None,
        resource: str | None = None,
        beside: Iterable[str] = (),
    ) -> None:
        """A pod whose containers c0, c1 … ask for so many devices each, tell what they got, and wait.

        `user` is a security context of the pod. Of each resource of `beside` each container wants one device too.
        """
        shown = f"env | grep ^{self.env}_ | sort; ls /dev | grep ^{self.name} | sort; {script}"
        spec: Json = {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": f"c{number}",
                    "image": "busybox:1.37",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", f"{shown} echo told; exec sleep 3600"],
                    "resources": {"limits": {**dict.fromkeys(beside, "1"), resource or self.resource: str(count)}},
                }
                for number, count in enumerate(counts)
            ],
        }
        if node:
            spec["nodeSelector"] = {"kubernetes.io/hostname": node}
            spec["tolerations"] = [{"operator": "Exists"}]  # the control plane's and the virtual machine's taints
        if user:
            spec["securityContext"] = user
        self.client.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": self.name}, "spec": spec}
        )

    def look(self, name: str) -> Json:
        """A pod."""
        return self.client.get("v1", "Pod", name, namespace=self.name)

    def pods(self) -> list[str]:
        """The names of all pods that were made here."""
        return [pod["metadata"]["name"] for pod in self.client.list("v1", "Pod", namespace=self.name)]

    def running(self, *names: str) -> None:
        """Wait until these pods run."""

        def phases() -> set[str]:
            return {self.look(name)["status"]["phase"] for name in names}

        until(lambda: phases() == {"Running"}, f"{', '.join(names)} run", limit=180)

    def told(self, pod: str, container: str = "c0") -> list[str]:
        """The lines that a container wrote."""

        def lines() -> Sequence[str]:
            path = f"/api/v1/namespaces/{self.name}/pods/{pod}/log"
            answer = self.client.request("GET", path, query={"container": container})
            text = str(answer.get("text", "")).split("\n")
            return text if "told" in text else []

        return [line for line in until(lines, f"{pod}/{container} has told") if line not in ("", "told")]

    def pod_says(self, name: str) -> str:
        """The health of the one device of a pod's one container, as the pod's own status has it."""
        (status,) = self.look(name)["status"]["containerStatuses"]
        (resource,) = status["allocatedResourcesStatus"]
        return str(resource["resources"][0]["health"])

    def undisturbed(self, name: str) -> Callable[[], None]:
        """Call what this returns later: the pod is the same, runs, and was never restarted."""
        before = self.look(name)

        def check() -> None:
            now = self.look(name)
            assert now["metadata"]["uid"] == before["metadata"]["uid"]
            assert now["status"]["phase"] == "Running"
            assert [each["restartCount"] for each in now["status"]["containerStatuses"]] == [0] * len(
                now["spec"]["containers"]
            )

        return check

    def end(self) -> None:
        """Take everything away; what a test broke shows in the test, not here."""
        self.client.delete(GROUP, "DevicePluginConfig", self.name, missing_ok=True)
        self.client.delete("v1", "Namespace", self.name, missing_ok=True)
        for node in WORKERS:
            on_node(node, f"rm -rf /dev/{self.name}*")
