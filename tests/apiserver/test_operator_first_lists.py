"""An operator whose first lists fail: it writes nothing before they are whole, and then goes on from what is."""

from collections import Counter

import pytest

from apiserver.api_proxy import ApiProxy, Ask, Fault
from apiserver.objects import API_VERSION, resource
from apiserver.operator_world import RunningOperator, World, eventually
from device_plugin_operator.settings import Settings

OWN = frozenset({"nodedeviceplugins", "pods"})
KOPFS = frozenset({"devicepluginconfigs", "daemonsets"})

ANSWERS = (Fault(status=500), Fault(status=429, retry_after=1), Fault(cut=0.5))
CONTENT = ("example.com/camera", "example.com/second")


class FirstLists:
    """A rule: lists of these bring one bad answer after the other."""

    def __init__(self) -> None:
        self.bad = OWN | KOPFS
        self._asked: Counter[str] = Counter()

    def __call__(self, ask: Ask) -> Fault | None:
        what = ask.path.rsplit("/", 1)[-1]
        if not ask.reads or what not in self.bad:
            return None
        self._asked[what] += 1
        return ANSWERS[self._asked[what] % len(ANSWERS)]

    def went_round(self) -> bool:
        """Whether each has brought each bad answer."""
        return all(self._asked[what] >= len(ANSWERS) for what in self.bad)


@pytest.fixture
def nodes(settings: Settings, world: World) -> list[str]:
    """Of a config that was served, and changed since: a device broke, and the content is another."""
    nodes = [world.node(letter) for letter in "ab"]
    with RunningOperator(settings):
        world.apply(rollout={"maxUnavailable": 2})
        world.start(nodes)
        for node in nodes:
            world.report(node)
        eventually(lambda: world.reason() == "AllNodesReady", "all is well")
    world.report(nodes[0], healthy=1, broken=["video7"])
    world.apply(resources=[resource(name) for name in CONTENT], rollout={"maxUnavailable": 2})
    return nodes


def test_nothing_is_written_before_the_first_lists_are_whole(
    nodes: list[str], world: World, behind_proxy: Settings, proxy: ApiProxy
) -> None:
    before, lists = world.objects(), FirstLists()
    look = ("GET", f"/apis/{API_VERSION}/devicepluginconfigs/{world.name}", 200)
    with proxy.following(lists), RunningOperator(behind_proxy, until_ready=False) as operator:
        eventually(lists.went_round, "all lists fail")
        lists.bad = OWN
        eventually(lambda: operator.requests.count(look) >= 2, "the config is looked at")
        assert not operator.writes
        assert not operator.ready
        lists.bad = frozenset()
        eventually(lambda: operator.ready, "it is ready")

        def goes_on() -> bool:
            objects = world.objects()
            for node, item in objects.items():
                if item["status"]["observedRevision"] != item["spec"]["revision"]:
                    world.report(node, resources=CONTENT)
            contents = [[each["name"] for each in item["spec"]["resources"]] for item in objects.values()]
            counts = {"desired": 2, "ready": 2, "updated": 2}
            return contents == [list(CONTENT)] * 2 and world.config["status"]["nodes"] == counts

        eventually(goes_on, "what changed meanwhile is seen and done")
        eventually(lambda: world.reason() == "AllNodesReady", "all is well again")
    uids = {node: item["metadata"]["uid"] for node, item in world.objects().items()}
    assert uids == {node: item["metadata"]["uid"] for node, item in before.items()}
