"""Where agents run: the parts of a pod's own placement that a config may set, under the pod's own names."""

from typing import Annotated

from msgspec import Struct

from device_plugin_api import rules
from device_plugin_api.schema import ATOMIC, ATOMIC_MAP, doc, enum


class Toleration(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Lets agents run on nodes with a matching taint, as in a pod."""

    key: Annotated[str, doc("Taint key; empty with `Exists` matches all taints.", max_length=317)] = ""
    operator: Annotated[str, doc("How `value` is compared.", openapi=enum("Exists", "Equal"), max_length=6)] = "Equal"
    value: Annotated[str, doc("Taint value, for `Equal`.", max_length=63)] = ""
    effect: (
        Annotated[
            str,
            doc(
                "Which effect is tolerated; all when absent.",
                openapi=enum("NoSchedule", "PreferNoSchedule", "NoExecute"),
                max_length=16,
            ),
        ]
        | None
    ) = None
    toleration_seconds: (
        Annotated[int, doc("With `NoExecute`: how long an agent stays, in seconds.", ge=0, le=31536000)] | None
    ) = None


class NodeSelectorRequirement(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One comparison with a node's label or field."""

    key: Annotated[str, doc("Label or field name.", min_length=1, max_length=317, rules=rules.LABEL_NAME)]
    operator: Annotated[
        str,
        doc("How it is compared.", openapi=enum("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"), max_length=12),
    ]
    values: Annotated[
        tuple[Annotated[str, doc("One value.", max_length=253)], ...],
        doc("What it is compared with.", max_length=32, openapi=ATOMIC),
    ] = ()


Requirement = Annotated[NodeSelectorRequirement, doc("A requirement.", rules=rules.SELECTOR_REQUIREMENT)]


class NodeSelectorTerm(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """All of its requirements must hold."""

    match_expressions: Annotated[
        tuple[Requirement, ...], doc("Requirements on labels.", max_length=8, openapi=ATOMIC)
    ] = ()
    match_fields: Annotated[
        tuple[Requirement, ...],
        doc(
            "Requirements on fields; Kubernetes knows metadata.name only.",
            max_length=4,
            openapi=ATOMIC,
            rules=rules.FIELD_REQUIREMENTS,
        ),
    ] = ()


class NodeSelector(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Any one of its terms must hold."""

    node_selector_terms: Annotated[
        tuple[NodeSelectorTerm, ...], doc("Terms, joined by OR.", min_length=1, max_length=8, openapi=ATOMIC)
    ]


class NodeAffinity(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Required node affinity; preferences mean nothing to a DaemonSet."""

    required_during_scheduling_ignored_during_execution: Annotated[
        NodeSelector, doc("The nodes that agents must run on.")
    ]


class Affinity(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Affinity, as in a pod."""

    node_affinity: Annotated[NodeAffinity, doc("Affinity to nodes.")]


NodeLabels = Annotated[
    dict[str, Annotated[str, doc("Label value.", max_length=63)]],
    doc(
        "Labels that a node must have, besides `kubernetes.io/os: linux`.",
        max_length=16,
        rules=rules.LABELS,
        openapi=ATOMIC_MAP,
    ),
]
