"""Which nodes: labels, affinity, tolerations."""

from typing import Any

from apiserver.cases.parts import bad, good
from apiserver.objects import Json, config, selecting

AFFINITY = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"

EXPRESSION = f"{AFFINITY}[0].matchExpressions"

FIELDS = f"{AFFINITY}[0].matchFields"


def expression(**members: Any) -> Json:
    return selecting(matchExpressions=[{"key": "cameras"} | members])


def field(**members: Any) -> Json:
    return selecting(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["worker-1"]} | members])


def tolerating(**members: Any) -> Json:
    return config(tolerations=[members])


BAD = [
    bad("a label with a bad key", config(nodeSelector={"a b": "c"}), "spec.nodeSelector", "must be a label name"),
    bad("a label with a bad value", config(nodeSelector={"a": "b c"}), "spec.nodeSelector", "must be a label value"),
    bad("a label over 63 characters", config(nodeSelector={"a": "v" * 64}), "spec.nodeSelector.a", "more than 63"),
    bad("17 labels", config(nodeSelector={f"a{i}": "" for i in range(17)}), "spec.nodeSelector", "at most 16 items"),
    bad("an operator that is none", expression(operator="Has"), f"{EXPRESSION}[0].operator", '"In", "NotIn", "Exists"'),
    bad("In without values", expression(operator="In"), f"{EXPRESSION}[0]", "values must be given"),
    bad("Exists with values", expression(operator="Exists", values=["a"]), f"{EXPRESSION}[0]", "must be left out"),
    bad("Gt with a word", expression(operator="Gt", values=["a"]), f"{EXPRESSION}[0]", "values must be one integer"),
    bad("Lt with two values", expression(operator="Lt", values=["1", "2"]), f"{EXPRESSION}[0]", "must be one integer"),
    bad("a bad label in affinity", expression(key="a b", operator="Exists"), f"{EXPRESSION}[0].key", "a label name"),
    bad("an unknown field", field(key="spec.x"), FIELDS, "only the field metadata.name can be compared"),
    bad("a field by Exists", field(operator="Exists", values=[]), FIELDS, "by operator: In or NotIn with one value"),
    bad("a field with two values", field(values=["a", "b"]), FIELDS, "by operator: In or NotIn with one value"),
    bad(
        "affinity without terms",
        config(
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
        ),
        AFFINITY,
        "should have at least 1 items",
    ),
    bad("an empty toleration", tolerating(), "spec.tolerations[0]", "key may be empty only with operator: Exists"),
    bad("a bad taint", tolerating(key="a b"), "spec.tolerations[0]", "key must be the name of a taint"),
    bad(
        "Exists with a value",
        tolerating(key="a", operator="Exists", value="b"),
        "spec.tolerations[0]",
        "value must be left out with operator: Exists",
    ),
    bad("a bad taint value", tolerating(key="a", value="b c"), "spec.tolerations[0]", "value must be at most 63"),
    bad("a toleration by In", tolerating(key="a", operator="In"), "spec.tolerations[0].operator", '"Exists", "Equal"'),
    bad("an unknown effect", tolerating(key="a", effect="Never"), "spec.tolerations[0].effect", '"NoSchedule"'),
    bad(
        "seconds without NoExecute",
        tolerating(key="a", effect="NoSchedule", tolerationSeconds=5),
        "spec.tolerations[0]",
        "tolerationSeconds may be given only with effect: NoExecute",
    ),
    bad(
        "seconds below 0",
        tolerating(key="a", effect="NoExecute", tolerationSeconds=-1),
        "spec.tolerations[0].tolerationSeconds",
        "greater than or equal to 0",
    ),
    bad("33 tolerations", config(tolerations=[{"key": "a"}] * 33), "spec.tolerations", "at most 32 items"),
]

GOOD = [
    good("labels of nodes", config(nodeSelector={"cameras": "true", "example.com/rack": "", "a": "B_1.c"})),
    good("affinity by label", expression(operator="In", values=["a", "b"])),
    good("affinity by a number", expression(operator="Gt", values=["-5"])),
    good("affinity by presence", expression(operator="DoesNotExist")),
    good("affinity by name", field()),
    good("a toleration of all", tolerating(operator="Exists")),
    good("a toleration of one taint", tolerating(key="example.com/a", value="b", effect="NoSchedule")),
    good("a toleration for a while", tolerating(key="a", effect="NoExecute", tolerationSeconds=30)),
]
