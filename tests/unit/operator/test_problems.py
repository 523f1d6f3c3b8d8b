"""Problems: worst first, and no more of them than an object should hold."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from device_plugin_api.config import MAX_PROBLEMS, Problem
from device_plugin_operator.clock import timestamp
from device_plugin_operator.facts import NodeObject, Verdict
from device_plugin_operator.plan.agents import assess
from device_plugin_operator.plan.problems import MAX_BYTES, bounded, problems
from operator_fixture import NOW, counts, node, pod, trouble


def listed(*nodes: NodeObject, crashed: str = "") -> tuple[tuple[Problem, ...], bool]:
    pods = {found.node: pod(found.node) for found in nodes}
    since = {}
    if crashed:
        pods[crashed] = pod(crashed, ready=False, reason="CrashLoopBackOff", message="back-off")
        since = {crashed: NOW - 5}
    made = {found.node: found for found in nodes}
    return problems(made, assess(made, pods, since, NOW), {}, NOW)


def test_the_worst_comes_first() -> None:
    found, more = listed(
        node("a", troubles=(trouble("d1", state="Unknown"), trouble("d0"))),
        node("b"),
        node("d", disagrees=Verdict(False, "the kubelet has 1 of 2", timestamp(NOW))),
        node("c", accepted=Verdict(False, "no", timestamp(NOW))),
        crashed="b",
    )
    assert [(problem.node, problem.device, problem.reason) for problem in found] == [
        ("c", "", "ConfigRejected"),
        ("b", "", "CrashLoopBackOff"),
        ("d", "", "KubeletDisagrees"),
        ("a", "d0", "DeviceMissing"),
        ("a", "d1", "DeviceMissing"),
    ]
    assert not more


def test_the_order_does_not_depend_on_who_spoke_first() -> None:
    nodes = [node(name, troubles=(trouble("d1"), trouble("d0"))) for name in "abc"]
    assert listed(*nodes) == listed(*reversed(nodes))


def test_more_than_fit_are_cut_and_it_is_said() -> None:
    many = tuple(trouble(f"d{number:03}") for number in range(MAX_PROBLEMS))
    found, more = listed(node("a", troubles=many), node("b", troubles=many))
    assert len(found) == MAX_PROBLEMS
    assert {problem.node for problem in found} == {"a"}
    assert more


def test_it_is_said_when_an_agent_has_more_than_it_could_list() -> None:
    assert listed(node("a", troubles=(trouble("d0"),), more_troubles=True, devices=counts(0, 600)))[1]


@given(st.lists(st.integers(0, 256), max_size=150), st.integers(1, 253))
def test_they_never_take_more_room_than_they_may(messages: list[int], name: int) -> None:
    many = tuple(
        Problem(node="n" * name, state="Unknown", reason="r", message="\u00fc" * length, since=timestamp(NOW))
        for length in messages
    )
    kept = bounded(many)
    assert len(msgspec.json.encode(kept)) <= MAX_BYTES + 2
    assert len(kept) <= MAX_PROBLEMS
    assert kept == many[: len(kept)]


def test_a_message_and_a_reason_that_are_too_long_are_cut_to_what_the_type_takes() -> None:
    found, _ = listed(node("a", accepted=Verdict(False, "x" * 1000, timestamp(NOW))))
    assert msgspec.convert(msgspec.to_builtins(found), tuple[Problem, ...]) == found
    assert found[0].message.endswith("…")
