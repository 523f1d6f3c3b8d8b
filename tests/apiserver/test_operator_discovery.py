"""What the API server says it has, while it begins: an operator that took half of it for all would see no config."""

import pytest

from apiserver.api_proxy import ApiProxy, Fault, Rule
from apiserver.operator_world import RunningOperator, World, eventually
from device_plugin_operator.runtime import Failed
from device_plugin_operator.settings import Settings

OURS, OTHERS = "/apis/deviceplugins.dev/v1alpha1", "/apis/apps/v1"


def to_kopf(path: str, fault: Fault) -> Rule:
    """The answers that kopf gets: of our own group the operator itself asks first."""
    left = [None] if path == OURS else []
    return lambda ask: (left.pop() if left else fault) if ask.path == path else None


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        pytest.param(to_kopf(OURS, Fault(status=404)), "devicepluginconfigs", id="configs"),
        pytest.param(to_kopf(OTHERS, Fault(status=404)), "daemonsets", id="DaemonSets"),
        pytest.param(to_kopf("/apis", Fault(cut=0.5)), "payload is not completed", id="the rest of an answer"),
    ],
)
def test_it_ends_and_the_next_goes_on_when_kopf_does_not_hear_of(
    rule: Rule, reason: str, behind_proxy: Settings, proxy: ApiProxy, world: World
) -> None:
    with proxy.following(rule), pytest.raises(Failed, match=reason), RunningOperator(behind_proxy) as operator:
        eventually(lambda: not operator.runs, "it ends")
    with RunningOperator(behind_proxy):
        world.apply()
        eventually(world.reason, "the next one serves")


@pytest.mark.parametrize(
    "fault", [Fault(status=500), Fault(cut=0.5), Fault(part=0.5)], ids=["fails", "breaks off", "is half"]
)
def test_it_begins_when_the_first_of_all_answers(
    fault: Fault, behind_proxy: Settings, proxy: ApiProxy, world: World
) -> None:
    left = [fault]
    with proxy.following(lambda ask: left.pop() if left and ask.path == OURS else None), RunningOperator(behind_proxy):
        world.apply()
        eventually(world.reason, "it serves")
    assert not left
