"""Small builders for what the types' annotations say to the API server beyond plain JSON schema."""

from typing import Any

from msgspec import Meta

Rule = dict[str, str]


def rule(expression: str, message: str, *, message_expression: str | None = None) -> Rule:
    """One CEL rule. `message` is what a person reads; `message_expression` may add the value seen."""
    made = {"rule": expression, "message": message}
    if message_expression is not None:
        made["messageExpression"] = message_expression
    return made


def doc(description: str, *, rules: tuple[Rule, ...] = (), **bounds: Any) -> Meta:
    """A documented field. `bounds` are Meta's own (max_length, ge …) or raw OpenAPI keys given as `openapi={…}`."""
    extra: dict[str, Any] = dict(bounds.pop("openapi", {}))
    if rules:
        extra["x-kubernetes-validations"] = list(rules)
    return Meta(description=description, extra_json_schema=extra or None, **bounds)


def list_map(*keys: str) -> dict[str, Any]:
    """A list whose items are told apart by these fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


ATOMIC = {"x-kubernetes-list-type": "atomic"}
SET = {"x-kubernetes-list-type": "set"}
ATOMIC_MAP = {"x-kubernetes-map-type": "atomic"}
DATE_TIME = {"format": "date-time"}
DEFAULT_EMPTY: dict[str, Any] = {"default": {}}


def enum(*values: str) -> dict[str, Any]:
    """The only strings allowed."""
    return {"enum": list(values)}
