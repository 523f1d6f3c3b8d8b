"""Operators that begin, stand by and end: what each finds, says of itself and leaves behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.request import urlopen

import pytest

from apiserver.objects import API_VERSION
from apiserver.operator_world import AGENTS, RunningOperator, World, eventually, versions
from apiserver_fixture import ControlPlane
from device_plugin_operator.settings import Settings


@pytest.fixture
def operator(settings: Settings) -> Iterator[RunningOperator]:
    with RunningOperator(settings) as running:
        yield running


def test_metrics_tell_of_configs_and_of_the_work(operator: RunningOperator, world: World) -> None:
    name = world.node("a")
    world.apply()
    world.start([name])
    world.report(name, broken=["video7"])
    eventually(lambda: world.reason() == "SomeUnhealthy", "it has settled")

    def scrape() -> str:
        with urlopen(f"http://127.0.0.1:{operator.http_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    labels = f'config="{world.name}",resource="example.com/camera",state="unhealthy"'
    eventually(lambda: f"device_plugin_config_devices{{{labels}}} 1.0" in scrape(), "the gauges follow the status")
    text = scrape()
    assert 'leader_election_master_status{name="device-plugin-operator"} 1.0' in text
    assert 'controller_runtime_reconcile_errors_total{controller="devicepluginconfig"} 0.0' in text
    assert f'{{condition="Degraded",config="{world.name}",reason="SomeUnhealthy"}} 1.0' in text
    world.api.delete(API_VERSION, "DevicePluginConfig", world.name)
    eventually(lambda: world.name not in scrape(), "what is gone is not told of")


def test_who_leads_and_who_stands_by_are_both_ready_and_say_what_they_do(
    operator: RunningOperator, settings: Settings
) -> None:
    def readiness(of: RunningOperator) -> str:
        with urlopen(f"http://127.0.0.1:{of.http_port}/readyz", timeout=5) as answer:
            return str(answer.read().decode())

    with RunningOperator(settings) as another:
        assert readiness(operator) == "watching\n"
        assert readiness(another).startswith("standing by for ")


def test_a_second_look_writes_nothing_nor_does_a_new_operator(settings: Settings, world: World) -> None:
    with RunningOperator(settings) as running:
        world.apply(tolerations=[{"key": "gpu", "operator": "Exists"}])
        name = world.node("a")
        world.start([name])
        world.report(name, broken=["video7"])
        eventually(lambda: world.reason() == "SomeUnhealthy", "it has settled")
        time.sleep(1)
        before, writes = versions(world), len(running.writes)
        for _ in range(5):
            running.look(world.name)
        assert running.writes[writes:] == []
        assert versions(world) == before
    with RunningOperator(settings) as another:
        another.look(world.name)
        another.look(world.name)
        assert another.writes == []
        assert versions(world) == before


def test_a_config_that_is_made_anew_while_the_operator_is_away_starts_afresh(settings: Settings, world: World) -> None:
    name = world.node("a")
    with RunningOperator(settings):
        world.apply()
        world.start([name])
    world.api.delete(API_VERSION, "DevicePluginConfig", world.name)
    uid = world.apply()["metadata"]["uid"]
    with RunningOperator(settings):
        eventually(
            lambda: (
                (found := world.daemonset) is not None
                and [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [uid]
            ),
            "the DaemonSet is the new one's",
            within=20,
        )
        for pod in world.pods():
            if "deletionTimestamp" in pod["metadata"]:
                world.api.delete("v1", "Pod", pod["metadata"]["name"], namespace=AGENTS, missing_ok=True)
        eventually(lambda: [pod for pod in world.pods() if "nodeName" not in pod["spec"]], "a new pod waits")
        world.schedule()
        eventually(
            lambda: [item["spec"]["configUID"] for item in world.objects().values()] == [uid],
            "so are the objects",
            within=20,
        )


def test_devices_of_an_agent_that_stays_away_become_unknown_and_a_new_operator_knows_since_when(
    operator: RunningOperator, settings: Settings, world: World
) -> None:
    first, second = world.node("a"), world.node("b")
    world.apply()
    world.start([first, second])
    world.report(first)
    world.report(second)
    eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    (pod,) = [pod for pod in world.pods() if pod["spec"]["nodeName"] == second]
    world.api.delete("v1", "Pod", pod["metadata"]["name"], namespace=AGENTS)
    eventually(lambda: world.reason() == "Starting", "it is told that the agent is away")
    assert world.config["status"]["devices"]["unknown"] == 0
    operator.clock.ahead = 31
    operator.look(world.name)
    eventually(lambda: world.reason() == "AgentsUnavailable", "it stays away")
    status = world.config["status"]
    assert status["devices"] == {"total": 4, "healthy": 2, "unhealthy": 0, "unknown": 2, "cordoned": 0, "allocated": 0}
    (problem,) = status["problems"]
    assert (problem["node"], problem["state"]) == (second, "Unknown")
    operator.__exit__()
    with RunningOperator(settings) as another:
        another.clock.ahead = 40
        another.look(world.name)
        eventually(lambda: world.config["status"].get("problems") == [problem], "it says the same")


def test_a_daemonset_that_the_api_server_refuses_is_told_in_the_status(settings: Settings, world: World) -> None:
    with RunningOperator(replace(settings, agent_image_pull_policy="Sometimes")):
        world.apply()
        eventually(lambda: world.reason() == "AgentsUnavailable", "the refusal is told")
        (message,) = [found["message"] for found in world.config["status"]["conditions"] if found["type"] == "Ready"]
        assert "imagePullPolicy" in message
    with RunningOperator(settings):
        eventually(lambda: world.reason() == "NoMatchingNodes", "the corrected operator goes on")


def test_its_process_ends_well_when_told_and_badly_when_it_cannot_begin(controllers: ControlPlane) -> None:
    command = [sys.executable, "-m", "device_plugin_operator", "--agent-image=x", "--http-port=0", "--kubeconfig"]
    good = subprocess.Popen([*command, str(controllers.kubeconfig)], stderr=subprocess.PIPE, text=True)
    assert good.stderr is not None
    assert json.loads(good.stderr.readline())["msg"] == "Starting"  # it listens to signals from here on
    good.send_signal(signal.SIGTERM)
    _, log = good.communicate(timeout=20)
    assert good.returncode == 0
    assert [json.loads(line)["msg"] for line in log.splitlines()][-1] == "Stopped"
    bad = subprocess.run([*command, "/nowhere"], capture_output=True, text=True, timeout=20, check=False)
    assert bad.returncode == 1
    assert "--kubeconfig" in json.loads(bad.stderr.splitlines()[-1])["msg"]
