"""Which changes deserve an Event, and how many Events there can be."""

from device_plugin_api.conditions import Condition
from device_plugin_api.config import ConfigStatus
from device_plugin_operator.events import Budget
from device_plugin_operator.plan.events import transitions


def told(reason: str, *, degraded: bool = False, message: str = "") -> ConfigStatus:
    def condition(type_: str, status: bool) -> Condition:
        return Condition(
            type=type_, status=str(status), reason=reason, message=message, last_transition_time="2026-11-23T12:00:00Z"
        )

    return ConfigStatus(conditions=(condition("Degraded", degraded), condition("Ready", not degraded)))


def kinds(before: ConfigStatus, after: ConfigStatus) -> list[tuple[str, str]]:
    return [(event.type, event.reason) for event in transitions(before, after)]


def test_another_reason_is_an_event() -> None:
    good, bad = told("AllNodesReady"), told("SomeUnhealthy", degraded=True)
    assert kinds(good, bad) == [("Warning", "SomeUnhealthy")]
    assert kinds(bad, good) == [("Normal", "AllNodesReady")]
    assert kinds(ConfigStatus(), good) == [("Normal", "AllNodesReady")]


def test_another_message_is_none() -> None:
    assert kinds(told("SomeUnhealthy", message="one"), told("SomeUnhealthy", message="two")) == []


def test_a_start_is_none_and_a_rollout_over_broken_devices_is_no_warning() -> None:
    assert kinds(ConfigStatus(), told("Starting")) == []
    assert kinds(told("AllNodesReady"), told("RolloutInProgress", degraded=True)) == [("Normal", "RolloutInProgress")]


def test_a_storm_is_a_handful() -> None:
    budget = Budget(0)
    assert sum(budget.take(second / 10) for second in range(600)) == 11
    assert budget.take(100)
