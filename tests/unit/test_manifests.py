from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from device_plugin_api import crd
from device_plugin_api.config import DevicePluginConfig

MANIFESTS = Path(__file__).parents[2] / "manifests"
SAMPLES = sorted((MANIFESTS / "samples").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def rules(kind: str, name: str) -> list[dict[str, Any]]:
    found = [
        document["rules"]
        for path in (MANIFESTS / "base").glob("rbac-*.yaml")
        for document in documents(path)
        if (document["kind"], document["metadata"]["name"]) == (kind, name)
    ]
    assert len(found) == 1
    return list(found[0])


def unknown_fields(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    """Fields that the CRD does not have: the API server would drop them without a word."""
    if isinstance(value, list):
        return [name for item in value for name in unknown_fields(item, schema["items"], f"{path}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    unknown = [f"{path}.{key}" for key in value if key not in schema["properties"]]
    for key in value.keys() & schema["properties"].keys():
        unknown += unknown_fields(value[key], schema["properties"][key], f"{path}.{key}")
    return unknown


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_fit_the_types(path: Path) -> None:
    (version,) = crd.config_definition()["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for document in documents(path):
        if document["kind"] == "DevicePluginConfig":
            assert unknown_fields(document["spec"], schema, "spec") == []
            msgspec.convert({"spec": document["spec"]}, DevicePluginConfig)


def test_sample_pods_leave_the_variables_to_the_plugin() -> None:
    for pod in documents(MANIFESTS / "samples/custom-device-pods.yaml"):
        assert all("env" not in container for container in pod["spec"]["containers"])


def test_the_operator_reads_no_secrets_and_escalates_nowhere() -> None:
    granted = rules("ClusterRole", "device-plugin-operator") + rules("Role", "device-plugin-operator")
    for rule in granted:
        assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]
        assert not {"secrets", "pods/exec", "nodes/proxy", "serviceaccounts/token"} & set(rule["resources"])
        assert not {"escalate", "bind", "impersonate", "deletecollection"} & set(rule["verbs"])
    assert {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]} in granted


def test_an_agent_reads_and_patches_status_only() -> None:
    assert rules("ClusterRole", "device-plugin-agent") == [
        {"apiGroups": ["deviceplugins.dev"], "resources": ["nodedeviceplugins"], "verbs": ["get", "watch"]},
        {"apiGroups": ["deviceplugins.dev"], "resources": ["nodedeviceplugins/status"], "verbs": ["patch"]},
    ]


def test_writing_configs_is_aggregated_into_nothing() -> None:
    for document in documents(MANIFESTS / "base/rbac-users.yaml"):
        writes = any({"create", "update", "patch", "delete"} & set(rule["verbs"]) for rule in document["rules"])
        assert not (writes and document["metadata"].get("labels"))
