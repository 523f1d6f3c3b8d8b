"""What the kubelet's liveness probe learns of an agent."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from contract.agent_bench import Bench, spec
from device_plugin_agent.agent import Agent
from device_plugin_agent.kubelet import KubeletSocket
from device_plugin_agent.podresources import PodResources
from device_plugin_agent.signal import Signal
from device_plugin_agent.supervisor import Supervisor

LOOPS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "host": Supervisor.run,
    "podresources": PodResources.run,
}


async def probe(agent: Agent) -> tuple[int, str]:
    """The status and the text of /livez."""
    reader, writer = await asyncio.open_connection("127.0.0.1", agent.http.port)
    writer.write(b"GET /livez HTTP/1.1\r\n\r\n")
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split(" ")[1]), body.strip()


@pytest.mark.parametrize("loop", LOOPS)
async def test_an_agent_with_one_loop_that_is_stuck_is_not_alive_and_names_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    after = Signal.after
    jam, jammed = asyncio.Event(), asyncio.Event()

    async def sticking(signal: Signal, seen: int, timeout: float | None = None) -> int:
        task = asyncio.current_task()
        assert task is not None
        if jam.is_set() and getattr(task.get_coro(), "cr_code", None) is LOOPS[loop].__code__:
            jammed.set()
            await asyncio.Event().wait()
        return await after(signal, seen, timeout)

    def wake(name: str) -> None:
        bench.plug(name)
        (bench.kubelet.directory / name).touch()  # podresources is asked once a second by itself

    monkeypatch.setattr(Signal, "after", sticking)
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        assert await probe(agent) == (200, "turning: host, kubelet, podresources")
        jam.set()
        wake("video1")
        await bench.until(jammed.is_set)
        bench.clock.pass_(3600.0)
        wake("video2")  # the other loops must not wait for their time
        await bench.until(lambda: agent.http.answers["/livez"]().text.count("late") == 1)
        status, text = await probe(agent)
        assert (status, text.split(" ")[0]) == (503, loop)


async def test_an_agent_that_cannot_look_at_the_kubelets_socket_is_not_alive(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = KubeletSocket._look
    jam, jammed = asyncio.Event(), asyncio.Event()

    def failing(socket: KubeletSocket) -> None:
        if jam.is_set():
            jammed.set()
            raise RuntimeError("made up")
        look(socket)

    monkeypatch.setattr(KubeletSocket, "_look", failing)
    bench.plug("video0")
    bench.api.put(spec())
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        jam.set()
        (bench.kubelet.directory / "anything").touch()
        await bench.until(jammed.is_set)
        bench.clock.pass_(3600.0)
        bench.plug("video1")
        await bench.until(lambda: agent.http.answers["/livez"]().text.count("late") == 1)
        status, text = await probe(agent)
        assert (status, text.split(" ")[0]) == (503, "kubelet")
