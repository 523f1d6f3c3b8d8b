"""What the kubelet's liveness probe learns of an agent."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.agent import Agent
from device_plugin_agent.health.lookout import DEADLINE, Job, Lookout
from device_plugin_agent.health.tracker import Observation
from device_plugin_agent.kubelet import KubeletSocket
from device_plugin_agent.podresources import PodResources
from device_plugin_agent.prober import Prober
from device_plugin_agent.signal import Signal
from device_plugin_agent.supervisor import Supervisor
from device_plugin_api.resource import Health, Probe, Resource

PROBES = f"probes of {CAMERA}"
REST = "turning: host, kubelet, podresources"

LOOPS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "host": Supervisor.run,
    "podresources": PodResources.run,
    PROBES: Prober.run,
}
EVERY_AGENTS: dict[str, type] = {"host": Supervisor, "kubelet": KubeletSocket, "podresources": PodResources}


def probed(name: str = CAMERA, include: str = "/dev/video*") -> Resource:
    """A resource whose devices are asked after once a second."""
    beats = Probe(type="HeartbeatFile", name="all", max_age_seconds=86400)
    return resource(name, include, health=Health(probes=(beats,), period_seconds=1))


def livez(agent: Agent) -> tuple[bool, str]:
    """The same, not asked by HTTP."""
    answer = agent.http.answers["/livez"]()
    return answer.ok, answer.text


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
    (bench.settings.heartbeat_dir / "all").touch()
    bench.api.put(spec(probed()))
    async with bench.agent() as agent:
        await bench.offers(1, 1)
        assert await probe(agent) == (200, f"{REST}, {PROBES}")
        jam.set()
        wake("video1")
        await bench.until(jammed.is_set)
        bench.clock.pass_(3600.0)
        wake("video2")  # the other loops must not wait for their time
        await bench.until(lambda: agent.http.answers["/livez"]().text.count("late") == 1)
        status, text = await probe(agent)
        assert (status, text.partition(" is ")[0]) == (503, loop)


@pytest.mark.parametrize("loop", EVERY_AGENTS)
async def test_an_agent_with_one_loop_that_never_begins_is_not_alive_and_names_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    async def never(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(EVERY_AGENTS[loop], "run", never)
    bench.api.put(spec(probed()))
    async with bench.agent() as agent:
        await bench.until(lambda: bench.api.writes > 0)
        assert livez(agent)[0]
        bench.clock.pass_(3600.0)
        await bench.until(lambda: livez(agent)[1].count("late") == 1)
        assert livez(agent)[1].startswith(f"{loop} is ")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many probes each look asked; none of them ends."""
    made: list[int] = []

    async def look(_: Lookout, jobs: dict[object, Job]) -> dict[object, Observation]:
        made.append(len(jobs))
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(Lookout, "look", look)
    return made


async def test_probes_that_answer_slowly_are_not_late_before_their_look_must_have_ended(
    bench: Bench, asked: list[int]
) -> None:
    bench.plug("video0", "video1", "video2", "video3", "video4")
    bench.api.put(spec(probed()))
    async with bench.agent() as agent:
        await bench.until(lambda: asked == [5])
        bench.clock.pass_(5 * DEADLINE + 25.0)
        await bench.until(lambda: livez(agent)[0])
        bench.clock.pass_(60.0)
        await bench.until(lambda: livez(agent)[1].count("late") == 1)
        assert livez(agent)[1].startswith(PROBES)


async def test_probes_whose_resource_leaves_while_they_look_are_not_waited_for(bench: Bench, asked: list[int]) -> None:
    bench.plug("video0")
    bench.api.put(spec(probed()))
    async with bench.agent() as agent:
        await bench.until(lambda: asked == [1])
        assert livez(agent) == (True, f"{REST}, {PROBES}")
        bench.api.put(spec(resource("example.com/other", "/dev/other*"), revision="r2"))
        await bench.until(lambda: livez(agent) == (True, REST))


async def test_probes_that_leave_the_configuration_are_not_waited_for(bench: Bench) -> None:
    other = "example.com/other"
    bench.plug("video0", "other0")
    bench.api.put(spec(probed(), probed(other, "/dev/other*")))
    async with bench.agent() as agent:
        await bench.until(lambda: "/livez" in agent.http.answers)
        await bench.until(lambda: livez(agent) == (True, f"{REST}, {PROBES}, probes of {other}"))
        bench.api.put(spec(probed(), revision="r2"))  # the resource leaves
        await bench.until(lambda: livez(agent) == (True, f"{REST}, {PROBES}"))
        bench.api.put(spec(resource(), revision="r3"))  # its probes alone
        await bench.until(lambda: livez(agent) == (True, REST))
        bench.api.put(spec(probed(), revision="r4"))
        await bench.until(lambda: livez(agent) == (True, f"{REST}, {PROBES}"))
        bench.pull("video0")
        await bench.until(lambda: livez(agent) == (True, REST))


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
