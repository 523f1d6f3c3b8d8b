"""What operator and agents ask of the API server, by its audit log, against what manifests/base grants: equal."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from apiserver.agent_process import AgentProcess, NodeFolder
from apiserver.objects import API_VERSION, Json, resource
from apiserver.operator_world import AGENTS, RunningOperator, World, eventually, kubeconfig
from apiserver_fixture import Client, ControlPlane
from apiserver_fixture.audit import AGENT_USER, OPERATOR_USER, difference, events
from device_plugin_operator.settings import Settings

OPERATOR = "device-plugin-operator"
SYSTEM = "device-plugin-system"


class Audit:
    """What is asked from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._since = log.stat().st_size

    def says(self, user: str) -> str:
        """What the user uses and is not granted, or is granted and does not use; empty when there is neither."""
        return difference(events(self._log.read_bytes()[self._since :].decode()), user)


@pytest.fixture
def worlds(api: Client) -> Iterator[tuple[World, World]]:
    """Two configs that select the same node."""
    made = World(api, "permissions"), World(api, "permissions-younger")
    yield made
    for each in reversed(made):
        each.close()


@pytest.fixture
def operator(controllers: ControlPlane, api: Client) -> Iterator[RunningOperator]:
    api.delete("coordination.k8s.io/v1", "Lease", OPERATOR, namespace=SYSTEM, missing_ok=True)
    token = controllers.token_for(SYSTEM, OPERATOR)
    settings = Settings(agent_image="agent:1", http_port=0, kubeconfig=str(kubeconfig(controllers, token)))
    with RunningOperator(settings) as running:
        yield running


@pytest.fixture
def audit(controllers: ControlPlane) -> Audit:
    return Audit(controllers.audit_log)


def test_operator_and_agents_use_all_that_they_are_granted_and_nothing_else(
    audit: Audit, operator: RunningOperator, worlds: tuple[World, World], controllers: ControlPlane, tmp_path: Path
) -> None:
    first, second = worlds
    node, other = first.node("a"), first.node("b")
    uid = first.apply()["metadata"]["uid"]
    younger = second.apply(
        nodeSelector={"world": first.name, "kubernetes.io/hostname": node}, resources=[resource("example.com/other")]
    )
    first.api.patch("v1", "Node", node, {"metadata": {"labels": {"kubernetes.io/hostname": node}}})
    first.start([node, other])
    second.start([node])
    at = NodeFolder(tmp_path)
    at.plug("video0")

    # An agent reads its object and reports; the operator tells what has become of the config.
    older_agent = AgentProcess(controllers, at, (first.name, uid), node, pod_on(first, node))
    with older_agent.process:
        eventually(lambda: "status" in first.objects()[node], "the agent reports")
        # Another, whose device the first keeps, asks whether that one is gone for good.
        pair = (second.name, younger["metadata"]["uid"])
        with AgentProcess(controllers, at, pair, node, pod_on(second, node)).process:
            eventually(lambda: "status" in second.objects()[node], "the other agent reports")
            older_agent.kill()
            equal(lambda: audit.says(AGENT_USER))

    # A new content, a node that goes, a DaemonSet changed by hand, one that is another config's.
    revision = first.objects()[node]["spec"]["revision"]
    for each in (node, other):
        first.report(each)
    eventually(lambda: first.reason() == "AllNodesReady", "a transition, which an Event tells")
    first.apply(resources=[resource(), resource("example.com/second")])
    eventually(
        lambda: {item["spec"]["revision"] for item in first.objects().values()} != {revision},
        "the content reaches a node",
    )
    first.remove_node(other)
    eventually(lambda: other not in first.objects(), "the object has gone with its node")
    edit(first, "/spec/template/spec/containers/-", {"name": "sidecar", "image": "x"})
    eventually(lambda: len(first.template()["spec"]["containers"]) == 1, "the sidecar is removed")
    foreign = {"apiVersion": API_VERSION, "kind": "DevicePluginConfig", "name": second.name, "uid": pair[1]}
    edit(first, "/metadata/ownerReferences/-", foreign)
    equal(lambda: audit.says(OPERATOR_USER))


def equal(says: Callable[[], str]) -> None:
    """What is asked and what is granted become the same; fails with the difference."""
    with suppress(TimeoutError):
        eventually(lambda: not says(), "all is used")
    assert says() == ""


def pod_on(world: World, node: str) -> str:
    """The name of the agent's pod on that node."""
    (name,) = [pod["metadata"]["name"] for pod in world.pods() if pod["spec"].get("nodeName") == node]
    return str(name)


def edit(world: World, path: str, value: Json) -> None:
    """Add something to the DaemonSet by hand."""
    change = [{"op": "add", "path": path, "value": value}]
    world.api.patch("apps/v1", "DaemonSet", f"{world.name}-agent", change, namespace=AGENTS, style="json")
