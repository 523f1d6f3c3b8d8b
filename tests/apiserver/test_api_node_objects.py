"""NodeDevicePlugins that are there: what of them may change, and how they are found."""

from collections.abc import Iterator

import pytest

from apiserver.objects import API_VERSION, NODE, Json, node_object, resource
from apiserver_fixture import ApiError, Client


@pytest.fixture
def kept_node_object(api: Client) -> Iterator[Json]:
    yield api.create(node_object("immutable.worker-1", configName="immutable"))
    api.delete(API_VERSION, NODE, "immutable.worker-1", missing_ok=True)


@pytest.mark.parametrize("name", ["configName", "configUID", "nodeName", "nodeUID"])
def test_of_a_node_object_stays_for_ever(api: Client, kept_node_object: Json, name: str) -> None:
    with pytest.raises(ApiError) as refusal:
        api.patch(API_VERSION, NODE, kept_node_object["metadata"]["name"], {"spec": {name: "other"}})
    assert [cause["message"] for cause in refusal.value.causes if f"{name} is immutable" in cause["message"]]


def test_revision_and_resources_of_a_node_object_may_change(api: Client, kept_node_object: Json) -> None:
    change = {"spec": {"revision": "r2", "resources": [resource("example.com/other")]}}
    changed = api.patch(API_VERSION, NODE, kept_node_object["metadata"]["name"], change)
    assert (changed["spec"]["revision"], len(changed["spec"]["resources"])) == ("r2", 1)
    assert changed["metadata"]["generation"] == 2


def test_node_objects_are_found_by_node_and_by_config(api: Client, kept_node_object: Json) -> None:
    name = kept_node_object["metadata"]["name"]
    for selector in ("spec.nodeName=worker-1", "spec.configName=immutable"):
        found = [item["metadata"]["name"] for item in api.list(API_VERSION, NODE, fieldSelector=selector)]
        assert name in found
    assert name not in [
        item["metadata"]["name"] for item in api.list(API_VERSION, NODE, fieldSelector="spec.nodeName=worker-2")
    ]
