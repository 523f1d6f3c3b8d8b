"""An agent in a cluster is told to end: whoever is silent then, it is gone soon and leaves its node as it was."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from apiserver.agent_process import ACCOUNT, AgentProcess, NodeFolder
from apiserver.objects import API_VERSION, NODE, node_object, resource
from apiserver.operator_world import AGENTS
from apiserver.tcp_proxy import TcpProxy
from apiserver_fixture import Client, ControlPlane
from apiserver_fixture.process import Process
from contract.agent_bench import CAMERA, Door
from device_plugin_agent.clock import SystemClock
from kubelet_double.double import KubeletDouble
from kubelet_double.pods import Pod

CONFIG, UID, HOST = "agent-ends", "agent-ends-uid", "node-of-agent-ends"
NAME = f"{CONFIG}.{HOST}"

QUIET = b'"quiet":true', b'"quiet":false'
"""What an agent that ends may change in its page of the ledger: nothing that it handed out is pending."""


@dataclass(frozen=True)
class Ending:
    """A node whose agent serves, and whom that agent may wait for."""

    at: NodeFolder
    kubelet: KubeletDouble
    cable: TcpProxy
    api: Client
    agent: Process

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    async def reported(self, allocated: int) -> None:
        """Wait until the API server knows of so many devices in use."""
        async with asyncio.timeout(20):
            while await asyncio.to_thread(self._allocated) != allocated:
                await asyncio.sleep(0.05)

    def files(self) -> dict[str, bytes]:
        """All that the agent wrote for those who come after it; its claims, not whether it is quiet."""
        folders = (self.at.folder / name for name in ("state", "cdi", "devinfo"))
        files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
        return {str(file.relative_to(self.at.folder)): file.read_bytes().replace(*QUIET) for file in files}

    def _allocated(self) -> int:
        status = self.api.get(API_VERSION, NODE, NAME).get("status", {})
        return int(status.get("counts", {}).get("allocated", -1))


@pytest.fixture
async def ending(
    control_plane: ControlPlane, api: Client, tmp_path: Path, kubelet: KubeletDouble
) -> AsyncIterator[Ending]:
    kubelet.limit.keep(SystemClock())
    by_cdi = resource(CAMERA, allocation={"cdi": {"mode": "Always"}})
    api.create(node_object(NAME, configName=CONFIG, configUID=UID, nodeName=HOST, cdi=True, resources=[by_cdi]))
    at = NodeFolder(tmp_path, kubelet)
    at.plug("video0")
    where = urlsplit(control_plane.url)
    with TcpProxy(where.hostname or "", where.port or 0) as cable:
        pod = f"{ACCOUNT}-{HOST}"
        with AgentProcess(control_plane, at, (CONFIG, UID), HOST, pod, port=cable.port).process as agent:
            yield Ending(at, kubelet, cable, api, agent)
    api.delete(API_VERSION, NODE, NAME, missing_ok=True)
    api.delete("v1", "Pod", pod, namespace=AGENTS)
    api.delete("v1", "Node", HOST)


async def nobody(_: Ending) -> None:
    """All answer."""


async def api_server(ending: Ending) -> None:
    """With a request on its way."""
    ending.cable.cut()
    ending.at.plug("video1")
    await ending.kubelet.wait_for_counts(CAMERA, 2, 2)


async def podresources(ending: Ending) -> None:
    """With the config gone, so that the agent has to know who has what."""
    await asyncio.to_thread(ending.api.delete, API_VERSION, NODE, NAME)
    held = ending.kubelet.faults.hold_podresources = Door()
    await ending.until(lambda: held.knocks > 0)


@pytest.mark.parametrize("silent", [nobody, api_server, podresources])
async def test_an_agent_that_is_told_to_end_is_gone_in_two_seconds_and_all_stays_whoever_is_silent(
    ending: Ending, silent: Callable[[Ending], Awaitable[None]]
) -> None:
    kubelet, agent = ending.kubelet, ending.agent
    await kubelet.wait_for_counts(CAMERA, 1, 1)
    await kubelet.admit(Pod("p"), "c", {CAMERA: 1})
    await ending.reported(allocated=1)
    await silent(ending)
    lists, files = len(kubelet.received), ending.files()
    os.kill(agent.pid, signal.SIGTERM)
    told = time.monotonic()
    await ending.until(lambda: agent.code is not None)
    took = time.monotonic() - told
    assert (agent.code, took < 2) == (0, True), f"{took:.2f} s: {agent.tail()}"
    assert '"Stopped"' in agent.tail().splitlines()[-1]
    assert ending.files() == files
    assert any("video0" in content.decode() for name, content in files.items() if name.endswith("ledger.json"))
    counts = kubelet.counts(CAMERA)
    assert counts is not None
    await kubelet.wait_for_counts(CAMERA, 0, counts.capacity)
    assert len(kubelet.received) == lists, "no list was sent to say goodbye"
    assert not list(kubelet.directory.glob("dp-*.sock"))
