"""A Lease that cannot be had for a while: who leads goes on, or ends and says why before another leads."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver.api_proxy import ApiProxy, Ask, Fault, through
from apiserver.operator_world import World, eventually, kubeconfig, settled
from apiserver.replica import Replica, leader_and_next, taken_over
from apiserver_fixture import Client, ControlPlane


@pytest.fixture
def replicas(
    controllers: ControlPlane, proxy: ApiProxy, api: Client, tmp_path: Path
) -> Iterator[tuple[Replica, Replica]]:
    """A leader, behind the proxy, and one that stands by."""
    direct = kubeconfig(controllers, controllers.token_for("device-plugin-system", "device-plugin-operator"))
    with leader_and_next(api, tmp_path, through(proxy, controllers), direct) as both:
        yield both


def renews(ask: Ask) -> bool:
    return ask.method == "PUT" and "/leases/" in ask.path


def test_who_leads_goes_on_although_some_of_its_requests_for_the_lease_fail(
    replicas: tuple[Replica, Replica], world: World, proxy: ApiProxy
) -> None:
    first, second = replicas
    node = settled(world)
    # After a write that was done and not answered the next one fails: its version is too old.
    left = [
        Fault(status=429, retry_after=1),
        Fault(status=500),
        None,
        Fault(cut=0.0),
        None,
        Fault(cut=0.5),
        None,
        None,
    ]
    with proxy.following(lambda ask: left.pop(0) if renews(ask) and left else None):
        eventually(lambda: not left, "it has renewed the Lease in spite of all", within=30)
    world.report(node, healthy=1, broken=["video7"])
    eventually(lambda: world.reason() == "SomeUnhealthy", "it goes on")
    problems = [str(line["err"]) for line in first.lines() if line["msg"] == "Could not renew the Lease"]
    assert "made-up 429" in problems[0]
    assert "made-up 500" in problems[1]
    assert not first.ended()
    assert not second.said("Leading")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(Fault(status=500), "made-up 500", id="fails"),
        pytest.param(Fault(late=30.0), "no answer", id="takes 30 s"),
    ],
)
def test_who_leads_ends_and_says_why_before_another_leads_when_each_request_for_the_lease(
    fault: Fault, reason: str, replicas: tuple[Replica, Replica], world: World, proxy: ApiProxy
) -> None:
    first, second = replicas
    node = settled(world)
    since = time.monotonic()
    with proxy.following(lambda ask: fault if "/leases/" in ask.path else None):
        eventually(first.ended, "the first has ended")
        taken_over(world, node, since, first, second)
    assert first.process.code == 1
    (ended,) = [line for line in first.lines() if line["msg"] == "Ending, to be started anew"]
    assert re.search(f"the Lease could not be renewed for 10 s: .*{reason}", str(ended["err"]))
    (led,) = [line for line in second.lines() if line["msg"] == "Leading"]
    assert float(str(ended["ts"])) < float(str(led["ts"]))
