"""Kubernetes' API conventions, and our own bounds, as rules over the CRDs. Exceptions stand here, each with its why."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from device_plugin_api import crd

Json = dict[str, Any]
Fields = list[tuple[str, Json]]

DEFINITIONS = {made["spec"]["names"]["kind"]: made for made in (crd.config_definition(), crd.node_definition())}

NOT_CAMEL_CASE = {
    "permissions": "as device cgroups and the kubelet write them",
    "logLevel": "as log levels are written everywhere",
}
LITERALS_OF_THE_SERVER = {"apiVersion", "kind", "metadata"}
NAMES_OF_OTHERS = {"configUID", "nodeUID"}


def schema_of(definition: Json) -> Json:
    (version,) = definition["spec"]["versions"]
    return dict(version["schema"]["openAPIV3Schema"])


def walk(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Every schema below, with the path it describes; what the server fills by itself is left out."""
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        if not (path.count(".") == 0 and "[" not in path and name in LITERALS_OF_THE_SERVER):
            yield from walk(member, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


FIELDS: Fields = [field for kind, made in DEFINITIONS.items() for field in walk(schema_of(made), kind)]


def broken(rule: str, fields: Iterator[str]) -> None:
    found = list(fields)
    assert not found, f"{rule}: {', '.join(found)}"


def of_type(type_: str) -> Iterator[tuple[str, Json]]:
    return ((path, schema) for path, schema in FIELDS if schema.get("type") == type_)


def test_the_walk_sees_deep_fields() -> None:
    paths = {path for path, _ in FIELDS}
    assert "DevicePluginConfig.spec.resources[].allocation.env[].name" in paths
    assert "NodeDevicePlugin.status.resources[].devices[].attributes{}" in paths


def test_every_field_says_what_it_is() -> None:
    broken("without description", (path for path, schema in FIELDS if not schema.get("description")))


def test_every_description_is_a_sentence() -> None:
    ends = (path for path, schema in FIELDS if not schema["description"].endswith("."))
    broken("description without a full stop", ends)


def test_every_list_is_bounded() -> None:
    broken("list without maxItems", (path for path, schema in of_type("array") if "maxItems" not in schema))


def test_every_list_says_how_it_merges() -> None:
    known = {"atomic", "set", "map"}
    lists = (path for path, schema in of_type("array") if schema.get("x-kubernetes-list-type") not in known)
    broken("list without x-kubernetes-list-type", lists)


def test_the_keys_of_a_list_map_are_there_in_each_item() -> None:
    def unsure() -> Iterator[str]:
        for path, schema in of_type("array"):
            for key in schema.get("x-kubernetes-list-map-keys", []):
                item = schema["items"]
                if key not in item.get("required", []) and "default" not in item["properties"][key]:
                    yield f"{path}[].{key}"

    broken("key neither required nor with a default", unsure())


def test_every_map_is_bounded_and_says_how_it_merges() -> None:
    maps = ((path, schema) for path, schema in of_type("object") if "additionalProperties" in schema)
    bounds = ("maxProperties", "x-kubernetes-map-type")
    broken("map without bound or merge", (path for path, schema in maps if not all(key in schema for key in bounds)))


def test_every_object_has_named_members_or_typed_values() -> None:
    objects = of_type("object")
    untyped = (path for path, schema in objects if not ("properties" in schema or "additionalProperties" in schema))
    broken("object of anything", untyped)


def test_nothing_unknown_is_preserved() -> None:
    key = "x-kubernetes-preserve-unknown-fields"
    broken("keeps unknown fields", (path for path, schema in FIELDS if key in schema))


def test_every_string_is_bounded() -> None:
    texts = ((path, schema) for path, schema in FIELDS if schema.get("type") == "string" or is_int_or_string(schema))
    broken("string without maxLength", (path for path, schema in texts if "maxLength" not in schema))


def is_int_or_string(schema: Json) -> bool:
    return bool(schema.get("x-kubernetes-int-or-string"))


def test_every_integer_has_a_minimum() -> None:
    broken("integer without minimum", (path for path, schema in of_type("integer") if "minimum" not in schema))


def test_every_integer_that_a_user_gives_has_a_maximum() -> None:
    given = ((path, schema) for path, schema in of_type("integer") if path.startswith("DevicePluginConfig.spec"))
    broken("integer without maximum", (path for path, schema in given if "maximum" not in schema))


def test_there_are_no_floating_point_numbers() -> None:
    broken("floating point", (path for path, _ in of_type("number")))


def test_values_of_enums_are_camel_case() -> None:
    def odd() -> Iterator[str]:
        for path, schema in FIELDS:
            values = schema.get("enum", [])
            if path.rpartition(".")[2] not in NOT_CAMEL_CASE:
                yield from (f"{path}: {value}" for value in values if not re.fullmatch("[A-Z][A-Za-z0-9]*", value))

    broken("enum value not in CamelCase", odd())


def test_names_of_fields_are_camel_case_with_a_lower_start() -> None:
    def odd() -> Iterator[str]:
        for path, _ in FIELDS[1:]:
            name = path.rpartition(".")[2].rstrip("[]{}")
            if "." in path and not re.fullmatch("[a-z][A-Za-z0-9]*", name):
                yield path

    broken("field name", odd())


def test_acronyms_in_names_of_fields_are_in_capitals() -> None:
    broken("acronym", (path for path, _ in FIELDS if re.search(r"(Uid|Id|Url|Pci|Usb|Cdi|Cpu)(?![a-z])", path)))


def test_durations_say_their_unit() -> None:
    durations = re.compile(r"(?i)(period|timeout|age|delay|interval|duration)$")
    broken("duration without unit", (path for path, _ in of_type("integer") if durations.search(path)))


def test_lists_have_names_in_the_plural() -> None:
    mass_nouns = ("include", "exclude", "env", "dropped", "allocatedTo")
    names = ((path, path.rpartition(".")[2]) for path, _ in of_type("array"))
    broken("singular", (path for path, name in names if not (name.endswith("s") or name in mass_nouns)))


def test_times_are_date_times_and_nothing_else_is() -> None:
    def odd() -> Iterator[str]:
        for path, schema in of_type("string"):
            is_time = path.endswith(("Time", ".since"))
            if is_time != (schema.get("format") == "date-time"):
                yield path

    broken("time", odd())


def test_defaults_of_enums_are_among_their_values() -> None:
    given = ((path, schema) for path, schema in FIELDS if "enum" in schema and "default" in schema)
    broken("default", (path for path, schema in given if schema["default"] not in schema["enum"]))


def test_required_fields_have_no_default() -> None:
    def odd() -> Iterator[str]:
        for path, schema in of_type("object"):
            for name in schema.get("required", []):
                if "default" in schema["properties"][name]:
                    yield f"{path}.{name}"

    broken("required, with a default that never counts", odd())


def test_no_member_of_a_status_has_a_default() -> None:
    broken("default in status", (path for path, schema in FIELDS if ".status" in path and "default" in schema))


def test_every_rule_has_a_message_that_is_no_sentence_of_its_own() -> None:
    def odd() -> Iterator[str]:
        for path, schema in FIELDS:
            for rule in schema.get("x-kubernetes-validations", []):
                message = rule.get("message", "")
                # It stands behind the field's path and the value, and others may follow.
                if not message or message.endswith(".") or "\n" in message or len(message) > 300:
                    yield f"{path}: {message!r}"

    broken("message", odd())


def test_conditions_are_shaped_as_those_of_kubernetes() -> None:
    shapes = [schema["items"] for path, schema in FIELDS if path.endswith(".status.conditions")]
    assert len(shapes) == 2
    for shape in shapes:
        assert set(shape["properties"]) == {
            "type",
            "status",
            "reason",
            "message",
            "lastTransitionTime",
            "observedGeneration",
        }
        assert set(shape["required"]) >= {"type", "status", "reason", "lastTransitionTime"}
        assert shape["properties"]["status"]["enum"] == ["True", "False", "Unknown"]


@pytest.mark.parametrize("kind", DEFINITIONS)
class TestDefinition:
    def test_its_status_is_written_apart_from_its_spec(self, kind: str) -> None:
        (version,) = DEFINITIONS[kind]["spec"]["versions"]
        assert version["subresources"] == {"status": {}}

    def test_its_spec_must_be_given_and_its_status_need_not(self, kind: str) -> None:
        assert schema_of(DEFINITIONS[kind])["required"] == ["spec"]

    def test_its_columns_show_fields_that_exist(self, kind: str) -> None:
        (version,) = DEFINITIONS[kind]["spec"]["versions"]
        known = {path.removeprefix(kind) for path, _ in FIELDS if path.startswith(kind)}
        for column in version["additionalPrinterColumns"]:
            path = re.sub(r"\[\?.*?\]", "[]", column["jsonPath"])
            assert path in known or path == ".metadata.creationTimestamp", column["name"]

    def test_its_columns_say_what_they_show(self, kind: str) -> None:
        (version,) = DEFINITIONS[kind]["spec"]["versions"]
        silent = [c["name"] for c in version["additionalPrinterColumns"] if not c.get("description")]
        assert [name for name in silent if name != "Age"] == []

    def test_its_names_follow_from_its_kind(self, kind: str) -> None:
        names = DEFINITIONS[kind]["spec"]["names"]
        assert names["singular"] == kind.lower()
        assert names["plural"] == f"{kind.lower()}s"
        assert names["listKind"] == f"{kind}List"
        assert DEFINITIONS[kind]["metadata"]["name"] == f"{names['plural']}.deviceplugins.dev"
