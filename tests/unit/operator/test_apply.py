"""Actions that come to nothing: each is told, with what to do about it, and holds up no other."""

import json
from typing import cast

from device_plugin_operator.apply import Applier
from device_plugin_operator.client import JSON, Client, RequestFailed, Unreachable
from device_plugin_operator.fleet import Fleet
from device_plugin_operator.plan.actions import CreateNode, RepairDaemonSet
from operator_fixture import SETTINGS, daemons


class Webhook:
    """An API server whose webhook gives each DaemonSet the host's network."""

    async def request(
        self, method: str, path: str, *, params: object = None, body: object = None, content_type: str = JSON
    ) -> bytes:
        made = json.loads(json.dumps(body))
        made["spec"]["template"]["spec"]["hostNetwork"] = True
        return json.dumps(made).encode()


async def test_a_daemonset_that_a_webhook_changes_at_each_update_is_told_with_what_to_do_about_it() -> None:
    there = daemons(1)
    assert there.live is not None
    assert there.expected is not None
    action = RepairDaemonSet(name="cameras-agent", body=there.live, wanted=there.wanted, expected=there.expected)
    (failure,) = await Applier(Webhook(), cast("Fleet", None), SETTINGS).apply([action])
    assert isinstance(failure.error, RequestFailed)
    assert "DaemonSet cameras-agent is still not as wanted" in str(failure.error)
    assert "Exempt the namespace device-plugin-agents" in str(failure.error)


class Portal:
    """Something between us and the API server that answers for it, once."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def request(
        self, method: str, path: str, *, params: object = None, body: object = None, content_type: str = JSON
    ) -> bytes:
        self.asked.append(method)
        if len(self.asked) == 1:
            return b"<html>Please log in</html>"
        metadata = {"name": "cameras.b", "uid": "u", "resourceVersion": "7"}
        return json.dumps({"metadata": metadata, "spec": {"configName": "cameras", "nodeName": "b"}}).encode()


async def test_an_answer_that_is_not_the_api_servers_fails_its_action_and_no_other() -> None:
    portal = Portal()
    fleet = Fleet(cast("Client", portal), SETTINGS, lambda _: None, lambda: 0.0)
    actions = [CreateNode(name=f"cameras.{node}", body={}) for node in "ab"]
    (failure,) = await Applier(portal, fleet, SETTINGS).apply([*actions])
    assert failure.action is actions[0]
    assert isinstance(failure.error, Unreachable)
    assert [found.name for found in fleet.nodes.on("cameras", "b")] == ["cameras.b"]
