"""Two real operator processes and one API server: one writes, and the other takes over when it cannot."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from apiserver.operator_world import World, eventually, kubeconfig, settled
from apiserver.replica import Replica, leader_and_next, taken_over
from apiserver.tcp_proxy import TcpProxy
from apiserver_fixture import Client, ControlPlane

SYSTEM = "device-plugin-system"


@pytest.fixture
def own_kubeconfig(controllers: ControlPlane) -> Path:
    return kubeconfig(controllers, controllers.token_for(SYSTEM, "device-plugin-operator"))


@pytest.fixture
def replicas(tmp_path: Path, own_kubeconfig: Path, api: Client, proxy: TcpProxy) -> Iterator[tuple[Replica, Replica]]:
    """A leader, behind the proxy, and one that stands by."""
    made = yaml.safe_load(own_kubeconfig.read_text())
    made["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    through = tmp_path / "through-proxy"
    through.write_text(yaml.safe_dump(made))
    with leader_and_next(api, tmp_path, through, own_kubeconfig) as both:
        yield both


@pytest.fixture
def proxy(controllers: ControlPlane) -> Iterator[TcpProxy]:
    where = urlsplit(controllers.url)
    with TcpProxy(where.hostname or "", where.port or 0) as made:
        yield made


def test_a_killed_leader_is_followed_within_20_s(replicas: tuple[Replica, Replica], world: World) -> None:
    first, second = replicas
    node = settled(world)
    since = time.monotonic()
    os.kill(first.process.pid, signal.SIGKILL)
    taken_over(world, node, since, first, second)


def test_a_frozen_leader_writes_nothing_when_it_goes_on_and_ends(
    replicas: tuple[Replica, Replica], world: World
) -> None:
    first, second = replicas
    node = settled(world)
    since = time.monotonic()
    os.kill(first.process.pid, signal.SIGSTOP)
    taken_over(world, node, since, first, second)
    # Everything it did not see now comes to it at once.
    world.report(node)
    os.kill(first.process.pid, signal.SIGCONT)
    eventually(first.ended, "it has seen that it leads no more")
    assert max(first.writes()) < min(second.writes())
    (reason,) = [line["err"] for line in first.lines() if line["msg"] == "Ending, to be started anew"]
    assert "Lease" in str(reason)
    eventually(lambda: world.reason() == "AllNodesReady", "the second goes on")


def test_a_leader_without_the_api_server_ends_before_another_leads(
    replicas: tuple[Replica, Replica], world: World, proxy: TcpProxy
) -> None:
    first, second = replicas
    node = settled(world)
    since = time.monotonic()
    proxy.cut()
    taken_over(world, node, since, first, second)
    eventually(first.ended, "the one that was cut off has ended")
    (ended,) = [line for line in first.lines() if line["msg"] == "Ending, to be started anew"]
    assert "could not be renewed for 10 s" in str(ended["err"])
    (led,) = [line for line in second.lines() if line["msg"] == "Leading"]
    assert float(str(ended["ts"])) < float(str(led["ts"]))


def test_a_leader_that_is_told_to_end_is_followed_at_once(replicas: tuple[Replica, Replica], world: World) -> None:
    first, second = replicas
    settled(world)
    first.process.stop(within=15)
    eventually(lambda: second.said("Leading"), "the Lease was released", within=10)  # a Lease that was kept lasts 15 s
    assert first.said("Stopped")


def test_who_stands_by_is_asked_for_nothing_but_the_lease(replicas: tuple[Replica, Replica], world: World) -> None:
    _, second = replicas
    settled(world)
    asked = {str(line["path"]) for line in second.lines() if line["msg"] == "Requested"}
    assert {path for path in asked if "/leases/" not in path} == {"/apis/deviceplugins.dev/v1alpha1"}


def test_who_stands_by_ends_at_once_when_told(replicas: tuple[Replica, Replica]) -> None:
    _, second = replicas
    os.kill(second.process.pid, signal.SIGTERM)
    eventually(second.ended, "it ended", within=15)
    assert second.said("Stopped")
