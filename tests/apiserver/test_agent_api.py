"""The agent's own way to a real API server: its TLS, a pod's token, and the rights that the manifests give it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from apiserver.objects import API_VERSION, NODE, node_object
from apiserver_fixture import Client, ControlPlane
from device_plugin_agent.api_server import ApiError, ApiServer
from device_plugin_agent.node_api import NodeApi
from device_plugin_api.node import NodeStatus
from device_plugin_api.service_account import ServiceAccount

NAMESPACE, ACCOUNT, HOST = "device-plugin-agents", "device-plugin-agent", "node-of-agent-api"
NAME = f"agent-api.{HOST}"


@pytest.fixture
async def server(control_plane: ControlPlane, api: Client, tmp_path: Path) -> AsyncIterator[ApiServer]:
    """As the agent on HOST has it, with its object in place."""
    api.create(node_object(NAME, configName="agent-api", nodeName=HOST))
    token = tmp_path / "token"
    token.write_text(control_plane.token_for(NAMESPACE, ACCOUNT, node=HOST))
    async with ApiServer(ServiceAccount(control_plane.url, token, control_plane.ca_file), agent="test") as made:
        yield made
    api.delete(API_VERSION, NODE, NAME)
    api.delete("v1", "Pod", f"{ACCOUNT}-{HOST}", namespace=NAMESPACE)
    api.delete("v1", "Node", HOST)


async def test_an_agent_sees_its_object_and_each_change_of_it_and_reports(server: ApiServer, api: Client) -> None:
    agent = NodeApi(server, NAME)
    async with aclosing(agent.watch(60)) as versions:
        first = await anext(versions)
        assert first.uid == api.get(API_VERSION, NODE, NAME)["metadata"]["uid"]
        assert first.status == {}
        await agent.report(NodeStatus(observed_revision="r1", agent_version="test"))
        assert (await anext(versions)).status["observedRevision"] == "r1"
        api.patch(API_VERSION, NODE, NAME, {"spec": {"revision": "r2"}})
        assert (await anext(versions)).spec["revision"] == "r2"


async def test_a_watch_ends_when_it_was_asked_to(server: ApiServer) -> None:
    assert [seen.spec["nodeName"] async for seen in NodeApi(server, NAME).watch(1)] == [HOST]


async def test_another_configs_object_is_there_or_it_is_not(server: ApiServer, api: Client) -> None:
    agent = NodeApi(server, NAME)
    assert await agent.config_uid(NAME) == api.get(API_VERSION, NODE, NAME)["spec"]["configUID"]
    assert await agent.config_uid(f"nobody.{HOST}") is None


async def test_a_refusal_is_told_in_the_servers_words(
    server: ApiServer, control_plane: ControlPlane, tmp_path: Path
) -> None:
    with pytest.raises(ApiError, match=f"404: .*nobody.{HOST}.* not found"):
        await NodeApi(server, f"nobody.{HOST}").report(NodeStatus())
    (tmp_path / "token").write_text("no-token-of-this-cluster")
    with pytest.raises(ApiError, match="401: Unauthorized"):
        await anext(NodeApi(server, NAME).watch(60))
