"""What kopf cannot handle ends the process, which says why; the next one begins from what is."""

import re
from pathlib import Path

import pytest

from apiserver.api_proxy import ApiProxy, Fault, Rule, through
from apiserver.operator_world import World, eventually
from apiserver.replica import Replica, remove_lease
from apiserver_fixture import ControlPlane
from device_plugin_operator.leader import LEASE

CONFIGS = "/devicepluginconfigs"

PATIENCE = (0.5, 0.5, 0.5)
"""What lasts longer than the operator's own ten minutes is here what lasts longer than this."""


def watching(fault: Fault) -> Rule:
    return lambda ask: fault if ask.watches and ask.path.endswith(CONFIGS) else None


def listing(fault: Fault) -> Rule:
    """The watch has to begin anew, and then the list fails."""
    gone = Fault(error_event=410)
    return lambda ask: (gone if ask.watches else fault) if ask.path.endswith(CONFIGS) else None


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        pytest.param(watching(Fault(error_event=500)), "watch-stream.*made-up 500", id="an error within a watch"),
        pytest.param(watching(Fault(status=410)), "made-up 410", id="a watch that is refused as too old"),
        pytest.param(listing(Fault(status=403)), "made-up 403", id="rights that are gone for longer than kopf tries"),
        pytest.param(listing(Fault(status=500)), "made-up 500", id="lists that fail for longer than kopf tries"),
        # Kopf closes its connections at once, and what fails first by that is its other watch, in one way or another.
        pytest.param(
            listing(Fault(status=401)), "(AssertionError|Connection closed)", id="credentials that are refused"
        ),
    ],
)
def test_the_process_ends_with_a_reason_and_the_next_goes_on_at_once_after(
    rule: Rule, reason: str, proxy: ApiProxy, controllers: ControlPlane, world: World, tmp_path: Path
) -> None:
    remove_lease(world.api)
    path = through(proxy, controllers)
    first = Replica("first", tmp_path, path, PATIENCE)
    with first.process:
        eventually(lambda: first.said("Leading"), "it leads")
        world.apply()
        eventually(world.reason, "it serves")
        with proxy.following(rule):
            eventually(first.ended, "it ends")
            (line,) = [line for line in first.lines() if line["msg"] == "Ending, to be started anew"]
            assert line["level"] == "error"
            assert re.search(f"^watch ended: .*{reason}", str(line["err"]))
            assert first.process.code == 1
    lease = world.api.get("coordination.k8s.io/v1", "Lease", LEASE, namespace="device-plugin-system")
    assert not lease["spec"].get("holderIdentity"), "nobody has to wait for it to run out"
    node = world.node("a")
    second = Replica("second", tmp_path, path)
    with second.process:
        eventually(lambda: second.said("Leading"), "the next one leads")
        world.start([node])
        eventually(lambda: world.reason() == "Starting", "what happened meanwhile is seen")
