"""Whether a node is one that agents belong on."""

from dataclasses import replace
from typing import Any

import pytest

from device_plugin_operator.facts import Taint
from device_plugin_operator.plan.matching import matches
from operator_fixture import machine, spec


def affinity(*requirements: dict[str, Any], fields: bool = False) -> dict[str, Any]:
    term = {"matchFields" if fields else "matchExpressions": list(requirements)}
    required = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def test_without_a_selector_every_linux_node_matches() -> None:
    assert matches(machine("a"), spec())
    assert not matches(replace(machine("a"), labels={"kubernetes.io/os": "windows"}), spec())


def test_every_label_of_the_selector_must_be_there() -> None:
    made = spec(nodeSelector={"x": "1", "y": "2"})
    assert matches(machine("a", x="1", y="2", z="3"), made)
    assert not matches(machine("a", x="1"), made)
    assert not matches(machine("a", x="1", y="3"), made)


@pytest.mark.parametrize(
    ("operator", "values", "label", "expected"),
    [
        ("In", ["1", "2"], "2", True),
        ("In", ["1", "2"], "3", False),
        ("In", ["1"], None, False),
        ("NotIn", ["1"], "2", True),
        ("NotIn", ["1"], "1", False),
        ("NotIn", ["1"], None, True),
        ("Exists", [], "", True),
        ("Exists", [], None, False),
        ("DoesNotExist", [], None, True),
        ("DoesNotExist", [], "1", False),
        ("Gt", ["10"], "11", True),
        ("Gt", ["10"], "10", False),
        ("Gt", ["10"], "many", False),
        ("Gt", ["10"], None, False),
        ("Lt", ["10"], "9", True),
        ("Lt", ["10"], "11", False),
    ],
)
def test_each_operator_means_what_it_means_to_the_scheduler(
    operator: str, values: list[str], label: str | None, expected: bool
) -> None:
    made = spec(affinity=affinity({"key": "x", "operator": operator, "values": values}))
    there = machine("a") if label is None else machine("a", x=label)
    assert matches(there, made) is expected


def test_a_node_can_be_chosen_by_its_name() -> None:
    made = spec(affinity=affinity({"key": "metadata.name", "operator": "In", "values": ["a"]}, fields=True))
    assert matches(machine("a"), made)
    assert not matches(machine("b"), made)


def test_an_empty_term_matches_nothing_and_one_of_several_terms_is_enough() -> None:
    assert not matches(machine("a"), spec(affinity=affinity()))
    made = affinity({"key": "x", "operator": "Exists"})
    terms = made["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    terms.append({"matchExpressions": [{"key": "y", "operator": "Exists"}]})
    assert matches(machine("a", y=""), spec(affinity=made))


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        (None, False),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "cpu", "operator": "Exists"}, False),
    ],
)
def test_a_taint_must_be_tolerated(toleration: dict[str, Any] | None, expected: bool) -> None:
    made = spec(tolerations=[toleration] if toleration else [])
    tainted = machine("a", taints=[Taint(key="gpu", value="yes", effect="NoSchedule")])
    assert matches(tainted, made) is expected


def test_a_preference_repels_no_agent() -> None:
    assert matches(machine("a", taints=[Taint(key="gpu", value="", effect="PreferNoSchedule")]), spec())


def test_a_node_in_trouble_is_still_one_of_ours() -> None:
    lost = [Taint(key="node.kubernetes.io/unreachable", value="", effect=e) for e in ("NoSchedule", "NoExecute")]
    assert matches(machine("a", taints=lost), spec())
