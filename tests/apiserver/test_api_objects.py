"""What the API server takes and refuses, in its own words. All are dry runs: nothing stays behind."""

from collections.abc import Iterator
from typing import Any

import pytest

from apiserver.cases import BAD, GOOD
from apiserver.cases.sources import LIGHT, VIDEO, rig
from apiserver.objects import Json, config, largest_config, node_object, of, resource
from apiserver_fixture import ApiError, Client
from device_plugin_api import crd


def messages(schema: Any) -> Iterator[str]:
    """Of every CEL rule in there."""
    for value in schema if isinstance(schema, list) else schema.values():
        if isinstance(value, list | dict):
            yield from messages(value)
    if isinstance(schema, dict) and isinstance(schema.get("x-kubernetes-validations"), list):
        yield from (rule["message"] for rule in schema["x-kubernetes-validations"])


RULES = sorted({message for made in (crd.config_definition(), crd.node_definition()) for message in messages(made)})


@pytest.mark.parametrize("message", [message for message in RULES if "immutable" not in message])
def test_an_object_breaks_the_rule(message: str) -> None:
    assert [case.id for case in BAD if case.values[2] in message]


@pytest.mark.parametrize(("item", "field", "allowed"), BAD)
def test_refused_is(api: Client, item: Json, field: str, allowed: str) -> None:
    with pytest.raises(ApiError) as refusal:
        api.create(item, dry_run=True)
    assert refusal.value.status == 422
    about_field = [
        cause["message"]
        # Rules over the whole object have no field in the server's words: ours name it.
        for cause in refusal.value.causes
        if cause["field"] == field or (cause["field"] == "<nil>" and field in cause["message"])
    ]
    assert any(allowed in message for message in about_field), refusal.value.message
    assert field in refusal.value.message


@pytest.mark.parametrize("item", GOOD)
def test_accepted_and_kept_as_sent_is(api: Client, item: Json) -> None:
    created = api.create(item, dry_run=True)
    assert lost(item["spec"], created["spec"], "spec") == []


def lost(sent: Any, kept: Any, path: str) -> list[str]:
    """Paths of what was sent and is not there."""
    if isinstance(sent, dict):
        return [item for key in sent for item in lost(sent[key], kept.get(key), f"{path}.{key}")]
    if isinstance(sent, list):
        if len(kept or ()) != len(sent):
            return [path]
        return [item for i, (one, other) in enumerate(zip(sent, kept, strict=True)) for item in lost(one, other, path)]
    return [] if sent == kept else [path]


TYPO = of(source={"paths": {"include": ["/dev/video*"], "exlude": ["/dev/video9"]}})


def test_a_misspelt_field_is_refused_by_name_as_kubectl_asks_for(api: Client) -> None:
    with pytest.raises(ApiError, match=r'unknown field "spec\.resources\[0\]\.source\.paths\.exlude"') as refusal:
        api.create(TYPO, dry_run=True)
    assert refusal.value.status == 400


def test_a_misspelt_field_is_dropped_when_the_client_does_not_ask_for_checks(api: Client) -> None:
    created = api.create(TYPO, dry_run=True, field_validation="Ignore")
    assert created["spec"]["resources"][0]["source"] == {"paths": {"include": ["/dev/video*"], "type": "Device"}}


def test_a_status_sent_with_a_new_object_is_dropped(api: Client) -> None:
    assert "status" not in api.create(config() | {"status": {"observedGeneration": 1}}, dry_run=True)


def test_a_group_in_a_group_is_refused(api: Client) -> None:
    with pytest.raises(ApiError, match=r'unknown field "spec\.resources\[0\]\.source\.groups\.members\[1\]\.groups"'):
        api.create(rig(VIDEO, {"name": "rig", "groups": {"members": [VIDEO, LIGHT]}}), dry_run=True)


def test_the_largest_legal_config_is_accepted(api: Client) -> None:
    item = largest_config()
    created = api.create(item, dry_run=True)
    assert lost(item["spec"], created["spec"], "spec") == []


def test_the_largest_legal_config_fits_a_node_object_too(api: Client) -> None:
    api.create(node_object(resources=largest_config()["spec"]["resources"]), dry_run=True)


def test_each_fault_is_told_at_once(api: Client) -> None:
    faulty = config("cameras.front", resources=[resource("camera"), resource("example.com/a", source={})])
    with pytest.raises(ApiError) as refusal:
        api.create(faulty, dry_run=True)
    for field in ("metadata.name", "spec.resources[0].name", "spec.resources[1].source"):
        assert field in refusal.value.message
