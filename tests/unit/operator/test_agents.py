"""Since when a node is without a ready agent."""

from device_plugin_api.config import ConfigStatus, Problem
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import AgentPod
from device_plugin_operator.plan.agents import NEVER_CREATED, by_node, unready
from operator_fixture import NOW, pod

NOTHING = ConfigStatus()


def since(
    before: dict[str, float] | None, *pods: AgentPod, status: ConfigStatus = NOTHING, short: bool = False
) -> object:
    return unready(before, ["a"], by_node(pods), status, short=short, now=NOW)


def test_time_runs_from_when_it_is_first_seen() -> None:
    assert since({}) == {"a": NOW}
    assert since({"a": NOW - 20}) == {"a": NOW - 20}


def test_a_new_pod_that_is_not_ready_either_does_not_stop_it() -> None:
    assert since({"a": NOW - 20}, pod("a", ready=False, since=timestamp(NOW - 1))) == {"a": NOW - 20}


def test_a_ready_pod_ends_it() -> None:
    assert since({"a": NOW - 20}, pod("a")) == {}


def test_after_a_restart_of_the_operator_the_pod_and_the_last_status_tell_it() -> None:
    told = ConfigStatus(
        problems=(Problem(node="a", state="Unknown", reason="AgentMissing", since=timestamp(NOW - 500)),)
    )
    assert since(None, status=told) == {"a": NOW - 500}
    assert since(None, pod("a", ready=False, since=timestamp(NOW - 25))) == {"a": NOW - 25}
    assert since({}, status=told) == {"a": NOW}


def test_what_an_agent_has_said_of_itself_for_long_does_not_make_it_silent_after_a_restart_of_the_operator() -> None:
    rejected = Problem(node="a", state="Unhealthy", reason="ConfigRejected", since=timestamp(NOW - 500))
    missing = Problem(node="a", state="Unknown", reason="AgentMissing", since=timestamp(NOW - 20))
    restarted = pod("a", ready=False, since=timestamp(NOW - 1))
    assert since(None, restarted, status=ConfigStatus(problems=(rejected,))) == {"a": NOW - 1}
    assert since(None, restarted, status=ConfigStatus(problems=(missing, rejected))) == {"a": NOW - 20}


def test_a_clock_that_is_ahead_makes_nobody_silent_in_the_future() -> None:
    assert since(None, pod("a", ready=False, since=timestamp(NOW + 500))) == {"a": NOW}


def test_agents_that_were_never_created_have_a_time_too() -> None:
    assert since({"a": NOW}, short=True) == {"a": NOW, NEVER_CREATED: NOW}
    assert since({NEVER_CREATED: NOW - 9}, pod("a"), short=True) == {NEVER_CREATED: NOW - 9}


def test_of_two_pods_on_a_node_the_newer_that_stays_counts() -> None:
    old = pod("a", name="old", created=timestamp(NOW - 100))
    new = pod("a", name="new", created=timestamp(NOW - 1))
    assert by_node([new, old])["a"].name == "new"
    leaving = pod("a", name="leaving", created=timestamp(NOW), terminating=True)
    assert by_node([leaving, old])["a"].name == "old"
    assert by_node([leaving])["a"].name == "leaving"
