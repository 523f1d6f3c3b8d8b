"""An API server that takes 30 s for an answer: everything comes in the end, nothing twice, and others are not held up.

All of it is late at the same time, so that the tests wait for it together.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from apiserver.api_proxy import ApiProxy, Ask, Fault, Rule
from apiserver.objects import resource
from apiserver.operator_world import AGENTS, STAMP, RunningOperator, World, eventually
from apiserver_fixture import Client
from device_plugin_operator.settings import Settings

pytestmark = pytest.mark.timeout(180)

LATE = 30.0
"""Seconds that the API server takes for an answer."""

MOMENT = 2.0
"""Seconds for which a look is held up, so that it sees all that a test changes meanwhile."""

AFTERWARDS = 60.0
"""Seconds for all that is late, and what follows from it."""

CONTENT = ("example.com/camera", "example.com/second")


@pytest.fixture(scope="module")
def operator(behind_proxy: Settings) -> Iterator[RunningOperator]:
    with RunningOperator(behind_proxy) as running:
        yield running


@dataclass(frozen=True)
class Late:
    """Configs for each of which something else is late."""

    reads: World
    writes: World
    status: World
    news: World
    uids: dict[str, str]
    """Of the NodeDevicePlugins that are there from the start, and have to stay, by node."""


def last(ask: Ask) -> str:
    """What it asks for, without the way there."""
    return ask.path.rsplit("/", 1)[-1]


def slow_requests(ask: Ask) -> Fault | None:
    """What is read of one config, what is written for the second, and the third's status."""
    if ask.watches:
        return None
    if ask.method == "GET":
        wait = {"late-reads": LATE, "late-writes": MOMENT}.get(last(ask))
        return None if wait is None else Fault(late=wait)
    hit = "/nodedeviceplugins" in ask.path or ask.path.endswith(("/late-writes-agent", "/late-status/status"))
    return Fault(late=LATE) if hit else None


def slow_news() -> Rule:
    """Lists and a watch's start. What is listed is watched already: these watches are too old."""
    seen: Counter[str] = Counter()

    def rule(ask: Ask) -> Fault | None:
        what = last(ask)
        if ask.method != "GET" or what not in ("pods", "nodedeviceplugins", "daemonsets"):
            return None
        if not ask.watches:
            return Fault(late=LATE)
        seen[what] += 1
        if seen[what] > 2:  # the first is the one that is open, and ends
            return None
        return Fault(late=LATE) if what == "pods" else Fault(error_event=410)

    return rule


def settle(world: World, *letters: str) -> list[str]:
    """The config has these nodes, which all report; their names."""
    nodes = [world.node(letter) for letter in letters]
    world.apply()
    world.start(nodes)
    for node in nodes:
        world.report(node)
    eventually(lambda: world.reason() == "AllNodesReady", f"{world.name} is served")
    return nodes


def change(late: Late, proxy: ApiProxy) -> None:
    """Have the operator read and write, which then is on its way."""
    late.reads.apply()
    late.writes.apply(resources=[resource(name) for name in CONTENT], rollout={"maxUnavailable": 2})
    late.writes.schedule()
    late.status.report("late-status-a", healthy=1, broken=["video7"])
    wanted = {
        ("GET", "late-reads"),
        ("PATCH", "late-writes-agent"),
        ("PATCH", "late-writes.late-writes-a"),
        ("POST", "nodedeviceplugins"),
        ("PATCH", "status"),
    }
    eventually(lambda: wanted <= {(ask.method, last(ask)) for ask in proxy.afflicted}, "all is on its way")


def tell(late: Late, proxy: ApiProxy) -> None:
    """Let things happen while the operator lists and begins to watch."""
    wanted = {("pods", True), ("nodedeviceplugins", False), ("daemonsets", False)}
    eventually(lambda: wanted <= {(last(ask), ask.watches) for ask in proxy.afflicted}, "all is on its way")
    late.news.report("late-news-a", healthy=1, broken=["video7"])
    (pod,) = [pod for pod in late.news.pods() if pod["spec"]["nodeName"] == "late-news-b"]
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": STAMP}
    body = {"status": {"conditions": [unready]}}
    late.news.api.patch("v1", "Pod", pod["metadata"]["name"], body, namespace=AGENTS, subresource="status")
    edit = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "another:1"}]
    late.news.api.patch("apps/v1", "DaemonSet", "late-news-agent", edit, namespace=AGENTS, style="json")


def budget(world: World) -> int | str:
    """What the DaemonSet says of `rollout`, a number or a share: no part of its template, so no pod is replaced."""
    assert world.daemonset is not None
    said: int | str = world.daemonset["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"]
    return said


def uids(*worlds: World) -> dict[str, str]:
    return {node: item["metadata"]["uid"] for world in worlds for node, item in world.objects().items()}


@pytest.fixture(scope="module", autouse=True)
def late(operator: RunningOperator, proxy: ApiProxy, api: Client) -> Iterator[Late]:
    """All of it, under way."""
    reads, writes, status, news = worlds = [
        World(api, f"late-{what}") for what in ("reads", "writes", "status", "news")
    ]
    try:
        settle(writes, "a")
        settle(status, "a")
        settle(news, "a", "b")
        writes.node("b")
        eventually(lambda: len(writes.pods()) == 2, "its pod waits for a node")
        late = Late(reads, writes, status, news, uids(*worlds))
        with proxy.following(slow_requests):
            change(late, proxy)
            with proxy.following(slow_news()):
                tell(late, proxy)
                yield late
    finally:
        for world in worlds:
            world.close()


def test_a_config_whose_answers_are_late_is_served_and_holds_up_no_other(late: Late, world: World) -> None:
    world.apply()
    eventually(world.reason, "another config is looked at meanwhile", within=15)
    eventually(lambda: late.reads.daemonset and late.reads.reason(), "it is served", within=AFTERWARDS)


def test_what_is_written_late_is_written_once(late: Late) -> None:
    world = late.writes

    def written() -> bool:
        contents = [[each["name"] for each in item["spec"]["resources"]] for item in world.objects().values()]
        return contents == [list(CONTENT)] * 2 and budget(world) == 2

    eventually(written, "DaemonSet and NodeDevicePlugins have the content", within=AFTERWARDS)
    assert uids(world)["late-writes-a"] == late.uids["late-writes-a"], "which is the one from before"
    assert sorted(pod["spec"]["nodeName"] for pod in world.pods()) == sorted(world.objects())


def test_a_status_that_is_written_late_is_true(late: Late) -> None:
    eventually(lambda: late.status.reason() == "SomeUnhealthy", "it is told", within=AFTERWARDS)
    late.status.report("late-status-a")


def test_what_happens_while_a_list_or_the_start_of_a_watch_is_late_is_seen(late: Late) -> None:
    world = late.news

    def seen() -> bool:
        status = world.config["status"]
        image = world.template()["spec"]["containers"][0]["image"]
        return (status["nodes"]["ready"], status["devices"]["unhealthy"], image) == (1, 1, "agent:1")

    eventually(seen, "all three of it", within=AFTERWARDS)
    assert uids(world).items() <= late.uids.items(), "and nothing is made anew"
