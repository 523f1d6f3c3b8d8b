"""The policy on agents, asked with real tokens. RBAC grants the agent everything here: the policy has to refuse."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from apiserver.objects import API_VERSION, CONFIG, NODE, Json, config, node_object
from apiserver_fixture import ApiError, Client, ControlPlane, eventually

NAMESPACE, ACCOUNT = "device-plugin-agents", "device-plugin-agent"
RBAC = "rbac.authorization.k8s.io/v1"
OWN, OTHER = "agent-policy.node-1", "agent-policy.node-2"

STATUS = {"status": {"observedRevision": "r1", "agentVersion": "test"}}


@dataclass(frozen=True)
class Agents:
    """Clients with tokens of agents, or of what might pass for one."""

    bound: Client  # to a pod on node-1
    unbound: Client  # the same account, no pod


def subject(account: str) -> Json:
    return {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}


@pytest.fixture(scope="module")
def agents(control_plane: ControlPlane, api: Client) -> Iterator[Agents]:
    everything = {"apiGroups": ["deviceplugins.dev"], "resources": ["*"], "verbs": ["*"]}
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": "agent-policy"}, "rules": [everything]}
    binding = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "agent-policy"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "agent-policy"},
        "subjects": [subject(ACCOUNT), subject("somebody-else")],
    }
    api.create(role)
    api.create(binding)
    bound = control_plane.client(control_plane.token_for(NAMESPACE, ACCOUNT, node="node-1"))
    unbound = control_plane.client(control_plane.token_for(NAMESPACE, ACCOUNT))
    made = Agents(bound, unbound)
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {
            "resourceAttributes": {"group": "deviceplugins.dev", "resource": "nodedeviceplugins", "verb": "create"}
        },
    }
    eventually(lambda: bound.create(review)["status"]["allowed"], "RBAC grants the agent everything")
    probe = node_object("agent-policy.probe", configName="agent-policy", nodeName="probe")
    eventually(lambda: denied(lambda: bound.create(probe, dry_run=True)), "the policy on agents is in force")
    yield made
    api.delete(RBAC, "ClusterRoleBinding", "agent-policy")
    api.delete(RBAC, "ClusterRole", "agent-policy")
    api.delete("v1", "Pod", f"{ACCOUNT}-node-1", namespace=NAMESPACE)
    api.delete("v1", "Node", "node-1")


def denied(call: Callable[[], Any]) -> str:
    """The policy's words, or nothing where it let the call pass."""
    try:
        call()
    except ApiError as error:
        assert (error.status, error.reason) == (403, "Forbidden"), error
        assert "ValidatingAdmissionPolicy 'device-plugin-agent-own-node'" in error.message, "RBAC refused it"
        return error.message
    return ""


@pytest.fixture(autouse=True)
def objects(api: Client) -> Iterator[None]:
    """One object of node-1, one of node-2."""
    for name in (OWN, OTHER):
        api.create(node_object(name, configName="agent-policy", nodeName=name.partition(".")[2]))
    yield
    for name in (OWN, OTHER):
        api.delete(API_VERSION, NODE, name, missing_ok=True)


def merge(client: Client, name: str) -> Json:
    return client.patch(API_VERSION, NODE, name, STATUS, subresource="status")


def json_patch(client: Client, name: str) -> Json:
    change = [{"op": "add", "path": "/status", "value": STATUS["status"]}]
    return client.patch(API_VERSION, NODE, name, change, subresource="status", style="json")


def apply(client: Client, name: str) -> Json:
    item = {"apiVersion": API_VERSION, "kind": NODE, "metadata": {"name": name}, **STATUS}
    return client.apply(item, subresource="status", manager="agent")


def put(client: Client, name: str) -> Json:
    return client.update(client.get(API_VERSION, NODE, name) | STATUS, subresource="status")


ways = pytest.mark.parametrize("write", [merge, json_patch, apply, put], ids=["merge", "JSON patch", "apply", "update"])


@ways
def test_an_agent_writes_the_status_of_its_own_node(agents: Agents, write: Callable[[Client, str], Json]) -> None:
    assert write(agents.bound, OWN)["status"] == STATUS["status"]


@ways
def test_an_agent_does_not_write_the_status_of_another_node(
    agents: Agents, api: Client, write: Callable[[Client, str], Json]
) -> None:
    message = denied(lambda: write(agents.bound, OTHER))
    assert "spec.nodeName is node-2, the token is of node node-1" in message
    assert "an agent may only update the status of its own node" in message
    assert "status" not in api.get(API_VERSION, NODE, OTHER)


@ways
def test_a_token_without_node_writes_nothing(agents: Agents, write: Callable[[Client, str], Json]) -> None:
    message = denied(lambda: write(agents.unbound, OWN))
    assert "the token names no node (authentication.kubernetes.io/node-name)" in message
    assert "projected token of its pod" in message


@pytest.mark.parametrize(
    ("what", "call"),
    [
        pytest.param(
            "UPDATE nodedeviceplugins",
            lambda agent: agent.patch(API_VERSION, NODE, OWN, {"spec": {"revision": "r2"}}),
            id="the spec of its own object",
        ),
        pytest.param(
            "UPDATE nodedeviceplugins",
            lambda agent: agent.patch(API_VERSION, NODE, OWN, {"metadata": {"labels": {"a": "b"}}}),
            id="labels of its own object",
        ),
        pytest.param(
            "UPDATE nodedeviceplugins",
            lambda agent: agent.patch(API_VERSION, NODE, OTHER, {"spec": {"revision": "r2"}}),
            id="the spec of another node's object",
        ),
        pytest.param(
            "DELETE nodedeviceplugins", lambda agent: agent.delete(API_VERSION, NODE, OWN), id="its own object"
        ),
        pytest.param("DELETE nodedeviceplugins", lambda agent: agent.delete(API_VERSION, NODE, OTHER), id="another's"),
        pytest.param(
            "DELETE nodedeviceplugins",
            lambda agent: agent.request("DELETE", agent.path(API_VERSION, NODE)),
            id="all objects at once",
        ),
        pytest.param(
            "CREATE nodedeviceplugins",
            lambda agent: agent.create(node_object("a.node-1", configName="a", nodeName="node-1")),
            id="a new object of its own node",
        ),
        pytest.param(
            "CREATE nodedeviceplugins",
            lambda agent: agent.apply(node_object("a.node-1", configName="a", nodeName="node-1")),
            id="a new object by apply",
        ),
        pytest.param("CREATE devicepluginconfigs", lambda agent: agent.create(config("a")), id="a config"),
    ],
)
def test_an_agent_does_not_touch(agents: Agents, api: Client, what: str, call: Callable[[Client], Any]) -> None:
    before = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in api.list(API_VERSION, NODE)}
    assert f"an agent may only update nodedeviceplugins/status, not {what}" in denied(lambda: call(agents.bound))
    after = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in api.list(API_VERSION, NODE)}
    assert after == before


def test_an_agent_does_not_write_the_status_of_a_config(agents: Agents, api: Client) -> None:
    api.create(config("agent-policy"))
    try:
        change = {"status": {"observedGeneration": 1}}
        message = denied(lambda: agents.bound.patch(API_VERSION, CONFIG, "agent-policy", change, subresource="status"))
        assert "not UPDATE devicepluginconfigs/status" in message
    finally:
        api.delete(API_VERSION, CONFIG, "agent-policy")


def test_a_node_name_sent_along_with_the_status_deceives_nobody(agents: Agents, api: Client) -> None:
    deceit = STATUS | {"spec": {"nodeName": "node-1"}}
    assert denied(lambda: agents.bound.patch(API_VERSION, NODE, OTHER, deceit, subresource="status"))
    changed = agents.bound.patch(API_VERSION, NODE, OWN, STATUS | {"spec": {"revision": "r9"}}, subresource="status")
    assert changed["spec"] == api.get(API_VERSION, NODE, OWN)["spec"]
    assert changed["spec"]["revision"] == "r1"


def test_an_agent_reads_every_object(agents: Agents) -> None:
    assert {OWN, OTHER} <= {item["metadata"]["name"] for item in agents.bound.list(API_VERSION, NODE)}


def test_the_policy_is_about_agents_only(agents: Agents, control_plane: ControlPlane) -> None:
    token = control_plane.token_for(NAMESPACE, "somebody-else")
    with control_plane.client(token) as somebody:
        assert merge(somebody, OTHER)["status"] == STATUS["status"]


@pytest.mark.parametrize("policy", ["device-plugin-agent-own-node", "device-plugin-config-guard"])
def test_the_api_server_finds_no_type_errors_in_the_policy(api: Client, controllers: ControlPlane, policy: str) -> None:
    def checked() -> Json:
        found = api.get("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", policy)
        status: Json = found.get("status", {})
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}

    assert eventually(checked, "the policy has been checked").get("typeChecking", {}).get("expressionWarnings") is None
