"""Conditions as Kubernetes' API conventions define them, and every type and reason we use."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"

# Of a DevicePluginConfig. Reconciling and Stalled (kstatus) are there only while True.
READY = "Ready"
PROGRESSING = "Progressing"
DEGRADED = "Degraded"
RECONCILING = "Reconciling"
STALLED = "Stalled"

# Of a NodeDevicePlugin.
REGISTERED = "Registered"
CONFIG_ACCEPTED = "ConfigAccepted"
KUBELET_AGREES = "KubeletAgrees"

PREVIEW_ONLY, NAME_TAKEN = "Preview", "ResourceNameConflict"
"""Reasons of Registered=False which say that all that shall be registered is."""


class Condition(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """One aspect of an object's state, shaped as metav1.Condition."""

    type: Annotated[str, Meta(max_length=64, description="What the condition is about.")]
    status: Annotated[
        str, Meta(max_length=7, extra_json_schema={"enum": [TRUE, FALSE, UNKNOWN]}, description="Whether it holds.")
    ]
    reason: Annotated[
        str,
        Meta(min_length=1, max_length=64, pattern="^[A-Za-z][A-Za-z0-9]*$", description="Why, in one CamelCase word."),
    ]
    message: Annotated[str, Meta(max_length=1024, description="Why, for people, and what to do next.")] = ""
    last_transition_time: Annotated[
        str, Meta(max_length=32, extra_json_schema={"format": "date-time"}, description="When `status` last changed.")
    ]
    observed_generation: Annotated[
        int, Meta(ge=0, description="The metadata.generation that this was concluded from.")
    ] = 0


def merge(known: Iterable[Condition], wanted: Iterable[Condition]) -> tuple[Condition, ...]:
    """`wanted`, sorted by type, keeping each lastTransitionTime whose status did not change."""
    before = {condition.type: condition for condition in known}
    merged = []
    for condition in wanted:
        old = before.get(condition.type)
        if old is not None and old.status == condition.status:
            condition = replace(condition, last_transition_time=old.last_transition_time)
        merged.append(condition)
    return tuple(sorted(merged, key=lambda condition: condition.type))


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((condition for condition in conditions if condition.type == type_), None)
