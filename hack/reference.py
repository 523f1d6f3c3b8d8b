"""The field reference of both kinds, from the types: `reference.py FILE` writes it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device_plugin_api import crd

Json = dict[str, Any]

HEAD = """\
# Field reference

<!-- Generated from api/device_plugin_api by `make manifests`. Do not edit. -->

Both kinds are cluster-scoped, group `deviceplugins.dev`, version `v1alpha1`. `kubectl explain dpc.spec` says the same.
A field marked with * must be given. *Rules* are checked by the API server, which refuses an object with these words.
"""


def type_of(schema: Json) -> str:
    """The type in one word, as a person would say it."""
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    if schema["type"] == "array":
        return f"list of {type_of(schema['items'])}"
    if schema["type"] == "object" and "additionalProperties" in schema:
        return f"map of {type_of(schema['additionalProperties'])}"
    return str(schema["type"])


def bounds_of(schema: Json) -> Iterator[str]:
    """What is allowed, in words."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{low} to {high}"
    elif low is not None:
        yield f"at least {low}"
    for kind, unit in (("Length", "characters"), ("Items", "items"), ("Properties", "entries")):
        least, most = schema.get(f"min{kind}"), schema.get(f"max{kind}")
        if most is not None and "enum" not in schema and schema.get("format") != "date-time":
            yield f"{least} to {most} {unit}" if least else f"at most {most} {unit}"
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys:
        yield f"told apart by `{', '.join(keys)}`"
    if schema.get("default") not in (None, {}):
        yield f"default `{_plain(schema['default'])}`"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def rules_of(schema: Json) -> Iterator[str]:
    """The words of the rules of a field and of the values in it."""
    for inner in (schema, schema.get("items", {}), schema.get("additionalProperties", {})):
        for rule in inner.get("x-kubernetes-validations", ()):
            yield rule["message"]


def fields(schema: Json, prefix: str, *, depth: int = 0) -> Iterator[str]:
    """A line for each field, indented as in the YAML."""
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        list_mark = "[]" if member.get("type") == "array" and "properties" in member["items"] else ""
        star = "*" if name in required else ""
        facts = "; ".join((type_of(member), *bounds_of(member)))
        pad = "  " * depth
        description = member.get("description", "").strip()
        yield f"{pad}- **`{prefix}{name}{list_mark}`**{star} ({facts})  "
        yield f"{pad}  {_escaped(description)}" if description else f"{pad}  See its fields."
        for message in rules_of(member):
            yield f"{pad}  - *Rule:* {_escaped(message)}"
        inner = member["items"] if list_mark else member
        yield from fields(inner, "", depth=depth + 1)


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("<", "&lt;")


def kind(definition: Json) -> Iterator[str]:
    """One kind."""
    names = definition["spec"]["names"]
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    yield f"## {names['kind']}\n"
    short = ", ".join(names["shortNames"])
    yield f"`kubectl get {names['plural']}`, short `{short}`. {schema.get('description', '')}\n"
    for message in rules_of(schema):
        yield f"- *Rule:* {_escaped(message)}\n"
    for part in ("spec", "status"):
        member = schema["properties"][part]
        yield f"### {names['kind']} {part}\n"
        yield f"{member.get('description', '')}\n"
        for message in rules_of(member):
            yield f"- *Rule:* {_escaped(message)}"
        yield from fields(member, "")
        yield ""


def render() -> str:
    """The whole page."""
    lines = [HEAD]
    for definition in (crd.config_definition(), crd.node_definition()):
        lines.extend(kind(definition))
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render())
