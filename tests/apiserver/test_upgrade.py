"""Operator, agents and CRDs of neighbouring versions together: each keeps what it does not know, and settles."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from apiserver.agent_process import AgentProcess, NodeFolder
from apiserver.objects import API_VERSION, CONFIG, NODE, Json, resource
from apiserver.operator_world import RunningOperator, World, eventually, kubeconfig, versions, world_name
from apiserver_fixture import Client, ControlPlane
from apiserver_fixture.control_plane import ROOT
from device_plugin_operator.settings import Settings

FUTURE = {"type": "string", "maxLength": 64}


def definitions() -> dict[str, Json]:
    """The CRDs by kind."""
    made = (yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("deviceplugins.dev_*.yaml"))
    return {item["spec"]["names"]["kind"]: item for item in made}


def members(definition: Json, *path: str) -> Json:
    """The properties of spec, status or what is in them."""
    (version,) = definition["spec"]["versions"]
    found: Json = version["schema"]["openAPIV3Schema"]["properties"]
    for name in path:
        found = found[name]
        found = found.get("items", found)["properties"]
    return found


def of_the_next_version() -> dict[str, Json]:
    """CRDs with a member more in everything."""
    made = definitions()
    for kind in (CONFIG, NODE):
        for path in (["spec"], ["spec", "resources"], ["status"], ["status", "resources"]):
            members(made[kind], *path)["future"] = FUTURE
    return made


def of_the_former_version() -> dict[str, Json]:
    """CRDs that lack what this version's operator and agents write."""
    made = definitions()
    del members(made[NODE], "spec")["configCreationTime"]
    del members(made[NODE], "spec")["cordonedDevices"]
    del members(made[NODE], "status")["contestedDevices"]
    del members(made[CONFIG], "status")["problemsTruncated"]
    del members(made[CONFIG], "status", "resources")["devices"]
    return made


@pytest.fixture
def plane(spare_plane: ControlPlane) -> Iterator[ControlPlane]:
    """With this version installed, also afterwards."""
    spare_plane.install()
    yield spare_plane
    spare_plane.install()


@pytest.fixture
def world(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(plane.client(), world_name(request.node.name))
    yield made
    made.close()


@pytest.fixture
def settings(plane: ControlPlane) -> Settings:
    token = plane.token_for("device-plugin-system", "device-plugin-operator")
    return Settings(agent_image="agent:1", http_port=0, kubeconfig=str(kubeconfig(plane, token)))


def install(plane: ControlPlane, made: dict[str, Json]) -> None:
    """Apply these CRDs, and wait until they are what the API server tells of itself."""
    admin = plane.client()
    for definition in made.values():
        admin.apply(definition, manager="install")
    wanted = {kind: members(made[kind], "spec").keys() | members(made[kind], "status").keys() for kind in made}
    eventually(lambda: published(admin) == wanted, "the API server has taken them")


def published(admin: Client) -> dict[str, set[str]]:
    """The members of spec and status of both kinds, by the API server's own OpenAPI document."""
    schemas = admin.request("GET", f"/openapi/v3/apis/{API_VERSION}")["components"]["schemas"]
    found = {}
    for kind in (CONFIG, NODE):
        properties = schemas[f"dev.deviceplugins.v1alpha1.{kind}"]["properties"]
        found[kind] = {*properties["spec"]["properties"], *properties["status"]["properties"]}
    return found


def quiet(operator: RunningOperator, world: World) -> bool:
    """Whether another look changes nothing."""
    before = versions(world)
    operator.look(world.name)
    return versions(world) == before


def future(item: Json) -> tuple[str | None, str | None]:
    """What spec and status of it hold of the next version."""
    return item["spec"].get("future"), item.get("status", {}).get("future")


def test_members_of_the_next_version_are_kept_by_operator_and_agent(
    plane: ControlPlane, settings: Settings, world: World, tmp_path: Path
) -> None:
    install(plane, of_the_next_version())
    with RunningOperator(settings) as operator:
        node = world.node("a")
        uid = world.apply(future="a", resources=[resource(future="b")])["metadata"]["uid"]
        world.start([node])
        # As the next version's operator and agent have left it.
        (name,) = (item["metadata"]["name"] for item in world.objects().values())
        world.api.patch(API_VERSION, NODE, name, {"spec": {"future": "c"}})
        world.api.patch(API_VERSION, NODE, name, {"status": {"future": "d"}}, subresource="status")
        world.api.patch(API_VERSION, CONFIG, world.name, {"status": {"future": "e"}}, subresource="status")
        at = NodeFolder(tmp_path)
        at.plug("video0")
        (pod,) = world.pods()
        with AgentProcess(plane, at, (world.name, uid), node, pod["metadata"]["name"]).process:
            eventually(lambda: "agentVersion" in world.objects()[node]["status"], "the agent has reported")
            cordon = {"node": node, "resource": "example.com/camera", "device": "video0", "reason": "lens broken"}
            world.apply(future="a", resources=[resource(future="b")], cordonedDevices=[cordon])
            eventually(
                lambda: world.config["status"]["devices"]["cordoned"] == 1, "operator and agent have changed something"
            )
        assert future(world.config) == ("a", "e")
        assert world.config["spec"]["resources"][0]["future"] == "b"
        assert future(world.objects()[node]) == ("c", "d")
        eventually(lambda: quiet(operator, world), "a look changes nothing")


def test_an_operator_on_the_crds_of_the_former_version_settles_and_tells_all_when_they_follow(
    plane: ControlPlane, settings: Settings, world: World
) -> None:
    install(plane, of_the_former_version())
    with RunningOperator(settings) as operator:
        node = world.node("a")
        world.apply()
        world.start([node])
        world.report(node)
        eventually(lambda: world.reason() == "AllNodesReady", "it settles")
        cordon = {"node": node, "resource": "example.com/camera", "device": "video0", "reason": "lens broken"}
        world.apply(cordonedDevices=[cordon])
        eventually(lambda: quiet(operator, world), "a look changes nothing")
        assert "cordonedDevices" not in world.objects()[node]["spec"]
        # One after the other, as by kubectl; that of configs alone calls for another look.
        install(plane, of_the_former_version() | {CONFIG: definitions()[CONFIG]})
        eventually(lambda: "devices" in world.config["status"]["resources"][0], "the whole status is told")
        eventually(lambda: quiet(operator, world), "a look changes nothing")
        install(plane, definitions())
        operator.later(30)
        eventually(lambda: "cordonedDevices" in world.objects()[node]["spec"], "the node gets all that it shall run")
        assert world.reason() == "AllNodesReady"
    assert operator.runs is False


def test_to_the_next_version_and_back_only_the_agents_change(settings: Settings, world: World) -> None:
    nodes = [world.node("a"), world.node("b")]
    with RunningOperator(settings):
        world.apply(rollout={"maxUnavailable": 2})
        world.start(nodes)
        for node in nodes:
            world.report(node)
        eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    objects = {node: item["metadata"]["resourceVersion"] for node, item in world.objects().items()}

    def runs(version: Settings) -> None:
        with RunningOperator(version) as operator:
            image = version.agent_image
            eventually(lambda: world.template()["spec"]["containers"][0]["image"] == image, "its agents are wanted")
            operator.look(world.name)
            assert {node: item["metadata"]["resourceVersion"] for node, item in world.objects().items()} == objects
            assert world.config["status"]["devices"]["healthy"] == 4

    runs(replace(settings, agent_image="agent:2"))
    runs(settings)


def test_agents_of_several_versions_make_one_fleet(settings: Settings, world: World) -> None:
    nodes = [world.node(letter) for letter in "abc"]
    with RunningOperator(settings):
        world.apply()
        world.start(nodes)
        for node in nodes:
            world.report(node)
        older, _, newer = (world.objects()[node]["metadata"]["name"] for node in nodes)
        # One that tells less, and one that has states and conditions that nobody here knows.
        world.api.patch(API_VERSION, NODE, older, {"status": {"agentVersion": "0.0.9"}}, subresource="status")
        status: dict[str, Any] = deepcopy(world.objects()[nodes[2]]["status"])
        status["agentVersion"] = "9.0.0"
        status["conditions"].append({**status["conditions"][0], "type": "Calibrated", "status": "False"})
        world.api.patch(API_VERSION, NODE, newer, {"status": status}, subresource="status")
        eventually(lambda: world.reason() == "AllNodesReady", "all are ready")
        assert world.config["status"]["devices"]["total"] == 6
