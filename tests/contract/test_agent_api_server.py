"""Whatever the API server answers, the agent serves on, and reports again once that can be done."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from msgspec import structs

from contract.agent_bench import Bench, resource, spec
from contract.faulty_api_server import Fault, FaultyApiServer, Silence
from device_plugin_agent.api_server import ApiServer
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_agent.node_api import NodeApi
from device_plugin_agent.report import LATE
from device_plugin_api.service_account import ServiceAccount

NAME = "cameras.node"

# Of /proc/net/tcp: a state, and what a connection's timer waits for (net/ipv4/tcp_ipv4.c, get_tcp4_sock).
ESTABLISHED, KEEPALIVE = "01", "02"

HALF_AN_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"type": "ADD'
NO_HTTP = b"SSH-2.0-OpenSSH\r\n"
A_LIST = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n[1]\n"
EMPTY_OBJECT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{}\n"

FAULTS: dict[str, Fault] = {
    **{str(code): code for code in (400, 401, 403, 404, 409, 410, 413, 422, 429, 500, 503, 504)},
    "half an answer": HALF_AN_ANSWER,
    "no HTTP": NO_HTTP,
    "a list": A_LIST,
    "an empty object": EMPTY_OBJECT,
    "nothing": None,
}


@asynccontextmanager
async def through(server: FaultyApiServer, bench: Bench) -> AsyncIterator[NodeApi]:
    token = bench.state / "token"
    token.write_text("one")
    async with ApiServer(ServiceAccount(server.url, token), agent="test") as api:
        yield NodeApi(api, NAME)


@pytest.fixture
async def server() -> AsyncIterator[FaultyApiServer]:
    made = FaultyApiServer(NAME, msgspec.to_builtins(spec()))
    async with made.running():
        yield made


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_an_agent_that_is_answered_wrongly_asks_again(
    bench: Bench, server: FaultyApiServer, fault: Fault
) -> None:
    bench.plug("video0")
    server.faults["watch"].append(fault)
    server.faults["patch"].append(fault)
    async with through(server, bench) as api, bench.agent(api):
        await bench.offers(1, 1)
        # 404 on a report says that the object is gone: it is reported anew when it is seen again.
        await bench.until(lambda: server.requests.count("patch") >= 1)
        if fault == 404:
            server.change(lambda made: made["metadata"].update(uid="uid-2"), "ADDED")
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 1)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "MODIFIED", "object": {"metad',
        b'{"type": "MODIFIED", "object": {"metad\n',
        b"\n",
        b"[]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b'{"type": "MODIFIED", "object": {}}\n',
        b'{"type": "MODIFIED", "object": {"metadata": {}}}\n',
        b'{"type": "MODIFIED", "object": {"metadata": {"resourceVersion": "9"}, "spec": 7}}\n',
        b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}\n',
        b'{"type": "SHOUT", "object": {"metadata": {"resourceVersion": "9"}}}\n',
        b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}\n',
        b'{"type": "ERROR", "object": null}\n',
        pytest.param(b'{"type": "MODIFIED", "object": "' + b"x" * (5_000_000) + b'"}\n', id="5 MB in one line"),
        pytest.param(b'{"type": "MODIFIED", "object": "' + b"x" * (5_000_000), id="5 MB and no end of the line"),
    ],
)
async def test_rubbish_in_the_middle_of_a_watch_costs_nothing(
    bench: Bench, server: FaultyApiServer, line: bytes
) -> None:
    bench.plug("video0", "other0")
    async with through(server, bench) as api, bench.agent(api):
        await bench.offers(1, 1)
        await bench.until(lambda: server.requests.count("watch") == 1)
        server.say(line)
        server.cut()
        newer = msgspec.to_builtins(spec(resource(include="/dev/other*"), revision="r2"))
        server.change(lambda made: made.update(spec=newer))
        await bench.until(lambda: server.object["status"].get("observedRevision") == "r2")
        await bench.offers(1, 1)


async def test_an_object_that_is_deleted_and_made_anew_is_followed(bench: Bench, server: FaultyApiServer) -> None:
    bench.plug("video0")
    async with through(server, bench) as api, bench.agent(api):
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 1)
        server.there = False
        server.change(lambda _: None, "DELETED")
        bench.plug("video1")
        await bench.offers(2, 2)
        server.there = True
        server.object["status"] = {}
        server.change(lambda made: made["metadata"].update(uid="uid-2"), "ADDED")
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 2)


async def test_an_api_server_that_goes_silent_is_left_to_itself(bench: Bench, server: FaultyApiServer) -> None:
    bench.plug("video0")
    async with through(server, bench) as api, bench.agent(api):
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 1)
        server.faults["watch"].extend([None] * 5)
        server.faults["patch"].extend([None] * 2)
        server.cut()
        bench.plug("video1")
        await bench.offers(2, 2)
        await asyncio.wait_for(bench.until(lambda: server.object["status"]["counts"]["healthy"] == 2), 30)


@pytest.mark.parametrize("silence", Silence)
async def test_an_agent_whose_report_is_never_answered_says_that_it_is_not_ready_and_reports_again(
    bench: Bench, server: FaultyApiServer, monkeypatch: pytest.MonkeyPatch, silence: Silence
) -> None:
    bench.plug("video0")
    async with through(server, bench) as api, bench.agent(api) as agent:
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 1)
        ready = agent.http.answers["/readyz"]
        monkeypatch.setattr("device_plugin_agent.http_client._DEADLINE", 0.2)
        server.faults["patch"].extend([silence] * 100)
        bench.plug("video1")
        await bench.offers(2, 2)
        await bench.until(lambda: server.left >= 2)
        bench.clock.pass_(LATE)
        await bench.until(lambda: not ready().ok)
        assert ready().text.endswith(": TimeoutError")
        server.faults["patch"].clear()
        await bench.until(lambda: server.object["status"]["counts"]["healthy"] == 2)
        await bench.until(lambda: ready().ok)


async def test_an_agent_whose_watch_is_never_answered_serves_on_and_watches_again(
    bench: Bench, server: FaultyApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plug("video0", "other0")
    async with through(server, bench) as api, bench.agent(api):
        await bench.offers(1, 1)
        monkeypatch.setattr("device_plugin_agent.http_client._DEADLINE", 0.2)
        server.faults["watch"].append(Silence.WHOLE)
        server.cut()
        bench.plug("video1")
        await bench.offers(2, 2)
        newer = msgspec.to_builtins(spec(resource(include="/dev/other*"), revision="r2"))
        server.change(lambda made: made.update(spec=newer))
        await bench.until(lambda: server.left == 1)
        await bench.until(lambda: server.object["status"].get("observedRevision") == "r2")
        await bench.offers(1, 1)


async def test_a_watch_on_which_nothing_more_is_said_ends_by_itself(
    bench: Bench, server: FaultyApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plug("video0")
    # It ends half a minute after the server should have ended it.
    monkeypatch.setattr("device_plugin_agent.agent._WATCH_SECONDS", -29)
    server.faults["watch"].append(Silence.AFTER_THE_HEAD)
    async with through(server, bench) as api, bench.agent(api):
        await bench.until(lambda: server.requests == ["watch"])
        await bench.until(lambda: server.left == 1)
        await bench.offers(1, 1)
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 1)


async def test_an_agent_that_asks_for_another_config_and_is_never_answered_asks_again(
    bench: Bench, server: FaultyApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plug("video0")
    gone = bench.neighbour("gone")
    monkeypatch.setattr("device_plugin_agent.http_client._DEADLINE", 0.2)
    server.faults["get"].append(Silence.WHOLE)
    async with gone.agent():
        gone.api.put(structs.replace(spec(resource("example.com/gone")), config_name="gone", config_uid="gone-uid"))
        await bench.offers(1, 1, "example.com/gone")
        bench.clock.pass_(ALLOCATION_GRACE)
    async with through(server, bench) as api, bench.agent(api):
        await bench.offers(0, 0)
        await bench.until(lambda: "get" in server.requests)
        bench.plug("video1")
        await bench.offers(1, 1)
        assert server.requests.count("get") == 1
        await bench.until(lambda: server.left == 1)
        bench.clock.pass_(ALLOCATION_GRACE)
        await bench.offers(2, 2)


async def test_an_agent_that_cannot_report_a_change_is_not_ready_until_it_can(
    bench: Bench, server: FaultyApiServer
) -> None:
    bench.plug("video0")
    async with through(server, bench) as api, bench.agent(api) as agent:
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 1)
        ready = agent.http.answers["/readyz"]
        await bench.until(lambda: ready().ok)
        bench.clock.pass_(100)
        assert ready().ok  # nothing to report is no trouble
        server.faults["patch"].extend([403] * 100)
        failed = server.requests.count("patch")
        bench.plug("video1")
        await bench.until(lambda: server.requests.count("patch") > failed)
        assert ready().ok
        bench.clock.pass_(LATE)
        await bench.until(lambda: not ready().ok)
        assert "could not be reported for" in ready().text
        await bench.until(lambda: "403: scripted 403" in ready().text)
        await bench.offers(2, 2)
        server.faults["patch"].clear()
        await bench.until(lambda: ready().ok)
        assert server.object["status"]["counts"]["healthy"] == 2


async def test_a_token_that_the_kubelet_replaced_is_used_from_the_next_request_on_and_never_logged(
    bench: Bench, server: FaultyApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "device_plugin_agent")
    server.faults["watch"].append(401)
    bench.plug("video0")
    async with through(server, bench) as api, bench.agent(api):
        await bench.until(lambda: server.object["status"].get("counts", {}).get("healthy") == 1)
        assert set(server.identities) == {"Bearer one"}
        (bench.state / "token").write_text("two\n")
        bench.plug("video1")
        await bench.until(lambda: server.object["status"]["counts"]["healthy"] == 2)
        assert server.identities[-1] == "Bearer two"
    logged = str([vars(record) for record in caplog.records])
    assert "401" in logged
    assert "Bearer" not in logged


async def test_the_kernel_is_asked_to_find_out_about_a_connection_that_died_without_a_word(
    bench: Bench, server: FaultyApiServer
) -> None:
    remote = f"0100007F:{urlsplit(server.url).port:04X}"

    def timers() -> set[str]:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return {fields[5].partition(":")[0] for fields in lines if fields[2] == remote and fields[3] == ESTABLISHED}

    async with through(server, bench) as api, bench.agent(api):
        await bench.until(lambda: server.requests.count("watch") == 1)
        await bench.until(lambda: timers() == {KEEPALIVE})
