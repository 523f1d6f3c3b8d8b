"""An agent between a kubelet and a real API server whose answers go wrong on the way.

Not on kind: there an agent speaks TLS to the service's address, and only who has the
cluster's own key could stand between.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec import structs

from apiserver.api_proxy import ApiProxy, Ask, Fault
from apiserver.objects import API_VERSION, NODE, node_object
from apiserver_fixture import Client, ControlPlane
from contract.agent_bench import Bench
from device_plugin_agent.api_server import ApiServer
from device_plugin_agent.node_api import NodeApi
from device_plugin_api.service_account import ServiceAccount
from kubelet_double.double import KubeletDouble

CONFIG, NAMESPACE, ACCOUNT, HOST = "agent-faults", "device-plugin-agents", "device-plugin-agent", "node-of-agent-faults"
NAME = f"{CONFIG}.{HOST}"

FAULTS = {
    **{str(code): Fault(status=code) for code in (401, 403, 409, 410, 422, 500)},
    "429": Fault(status=429, retry_after=1),
    "half an answer": Fault(cut=0.5),
    "nothing": Fault(cut=0.0),
    "a watch that is too old": Fault(error_event=410),
    "a watch that fails": Fault(error_event=500),
}


class Spoilt:
    """Does this to every request until it is over."""

    def __init__(self, fault: Fault) -> None:
        self.over = False
        self.done = 0
        self._fault = fault

    def __call__(self, ask: Ask) -> Fault | None:
        if self.over or (self._fault.error_event is not None and not ask.watches):
            return None
        self.done += 1
        return self._fault


@dataclass(frozen=True)
class Between:
    """A node, and its agent's way to the API server."""

    bench: Bench
    proxy: ApiProxy
    agent: NodeApi
    api: Client

    async def reported(self, healthy: int) -> None:
        """Wait until the API server has so many healthy devices."""
        for _ in range(600):
            status = (await asyncio.to_thread(self.api.get, API_VERSION, NODE, NAME)).get("status", {})
            if status.get("counts", {}).get("healthy") == healthy:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{healthy} healthy devices are not reported; reported is {status}")


@pytest.fixture
async def between(
    control_plane: ControlPlane, api: Client, tmp_path: Path, kubelet: KubeletDouble
) -> AsyncIterator[Between]:
    bench = Bench(tmp_path, kubelet)
    bench.settings = structs.replace(bench.settings, config_name=CONFIG, node_name=HOST)
    api.create(node_object(NAME, configName=CONFIG, configUID="config-uid", nodeName=HOST))
    token = tmp_path / "token"
    token.write_text(control_plane.token_for(NAMESPACE, ACCOUNT, node=HOST))
    with ApiProxy(control_plane.url, control_plane.ca_file) as proxy:
        async with ApiServer(ServiceAccount(proxy.url, token), agent="test") as server:
            yield Between(bench, proxy, NodeApi(server, NAME), api)
    api.delete(API_VERSION, NODE, NAME)
    api.delete("v1", "Pod", f"{ACCOUNT}-{HOST}", namespace=NAMESPACE)
    api.delete("v1", "Node", HOST)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_whatever_the_answers_devices_are_served_and_what_changed_is_told_afterwards(
    between: Between, fault: Fault
) -> None:
    bench, spoilt = between.bench, Spoilt(fault)
    bench.plug("video0")
    async with bench.agent(between.agent):
        await bench.offers(1, 1)
        await between.reported(1)
    with between.proxy.following(spoilt):
        async with bench.agent(between.agent):  # it starts with what the one before has saved
            await bench.offers(1, 1)
            bench.plug("video1")
            await bench.offers(2, 2)
            await bench.until(lambda: spoilt.done >= 3)
            bench.pull("video0")
            await bench.offers(1, 2)
            bench.plug("video0")
            await bench.offers(2, 2)
            spoilt.over = True
            await between.reported(2)
