"""The Lease of an operator that ends, however its last write went."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from device_plugin_operator.client import JSON, ApiError, Unreachable
from device_plugin_operator.clock import SystemClock
from device_plugin_operator.leader import Leader


class Server:
    """An API server that has one Lease. Writes wait while `answers` is not set, and are stored none the less."""

    def __init__(self) -> None:
        self.lease: dict[str, dict[str, object]] | None = None
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.arrived = asyncio.Event()
        self.loses_answers = False
        self._version = 0

    @property
    def holder(self) -> str | None:
        """Whom the others see."""
        return str(self.lease["spec"]["holderIdentity"]) if self.lease is not None else None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
    ) -> bytes:
        """As the client's."""
        self.asked.append(method)
        if method == "GET":
            if self.lease is None:
                raise ApiError(404, "NotFound", "no such Lease")
            return json.dumps(self.lease).encode()
        self.arrived.set()
        await self.answers.wait()
        assert isinstance(body, dict)
        if self.lease is not None and body["metadata"].get("resourceVersion") != str(self._version):
            raise ApiError(409, "Conflict", "it has changed")
        self._version += 1
        self.lease = {"metadata": {"name": "x", "resourceVersion": str(self._version)}, "spec": body["spec"]}
        if self.loses_answers:
            raise Unreachable("no answer")
        return json.dumps(self.lease).encode()


@pytest.fixture
async def server() -> Server:
    return Server()


def candidate(server: Server, identity: str = "me") -> Leader:
    return Leader(server, SystemClock(), lambda: 0.0, namespace="system", identity=identity)


async def end_without_an_answer(server: Server, leader: Leader) -> None:
    """Its first write is stored, its answer is lost, and it is told to end."""
    server.loses_answers = True
    acquiring = asyncio.create_task(leader.acquire())
    while server.holder is None:
        await asyncio.sleep(0)
    acquiring.cancel()
    await asyncio.wait({acquiring})
    server.loses_answers = False


async def test_a_leader_that_ends_gives_its_lease_up(server: Server) -> None:
    leader = candidate(server)
    await leader.acquire()
    await leader.release()
    assert len(server.asked) == 3
    assert server.holder == ""


async def test_who_ends_while_its_first_write_is_under_way_gives_up_what_was_stored(server: Server) -> None:
    leader = candidate(server)
    server.answers.clear()
    acquiring = asyncio.create_task(leader.acquire())
    await server.arrived.wait()
    acquiring.cancel()
    await asyncio.wait({acquiring})
    release = asyncio.create_task(leader.release())
    await asyncio.sleep(0)
    server.answers.set()
    await release
    assert server.holder == ""


async def test_who_ends_after_a_write_whose_answer_was_lost_gives_up_what_was_stored(server: Server) -> None:
    leader = candidate(server)
    await end_without_an_answer(server, leader)
    await leader.release()
    assert server.holder == ""


async def test_who_ends_without_an_answer_does_not_wait_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_plugin_operator.leader.RELEASE", 0.01)
    leader = candidate(server)
    server.answers.clear()
    acquiring = asyncio.create_task(leader.acquire())
    await server.arrived.wait()
    acquiring.cancel()
    await leader.release()
    assert server.holder is None


async def test_a_lease_that_another_has_by_now_stays_as_it_is(server: Server) -> None:
    leader, other = candidate(server), candidate(server, "other")
    await end_without_an_answer(server, leader)
    server.lease = None
    await other.acquire()
    await leader.release()
    assert server.holder == "other"


async def test_who_never_wrote_asks_nothing_when_it_ends(server: Server) -> None:
    await candidate(server).release()
    assert server.asked == []
