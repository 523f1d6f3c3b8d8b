"""The types as CustomResourceDefinitions: `python -m device_plugin_api.crd DIRECTORY` writes the YAML."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from device_plugin_api import group, rules
from device_plugin_api.config import DevicePluginConfig
from device_plugin_api.node import NodeDevicePlugin
from device_plugin_api.schema import Rule

Json = dict[str, Any]

_DROPPED = ("title", "propertyNames", "$defs")


def structural(schema: Json, definitions: Json) -> Json:
    """JSON schema as Kubernetes wants it: no references, no null, no empty defaults."""
    schema = dict(schema)
    if "$ref" in schema:
        target = dict(definitions[schema.pop("$ref").rpartition("/")[2]])
        schema = target | schema
    alternatives = [option for option in schema.pop("anyOf", []) if option != {"type": "null"}]
    if len(alternatives) == 1:
        return structural(alternatives[0] | schema, definitions)
    if alternatives:
        schema = {key: value for key, value in schema.items() if key != "type"}
        schema["x-kubernetes-int-or-string"] = True
    if "enum" in schema:
        schema.setdefault("type", "string")
    if schema.get("default") in (None, "", (), []) or (
        schema.get("default") == {} and "additionalProperties" in schema
    ):
        schema.pop("default", None)
    if not schema.get("required", True):
        del schema["required"]
    for key in _DROPPED:
        schema.pop(key, None)
    if "properties" in schema:
        schema["properties"] = {name: structural(member, definitions) for name, member in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = structural(schema[key], definitions)
    return schema


def without_defaults(schema: Json) -> Json:
    """The schema as status wants it: what nobody has reported stays absent."""
    return {
        key: {name: without_defaults(member) for name, member in value.items()}
        if key == "properties"
        else without_defaults(value)
        if key == "items"
        else value
        for key, value in schema.items()
        if key != "default"
    }


def definition(
    type_: type[msgspec.Struct],
    kind: str,
    plural: str,
    short: str,
    columns: list[Json],
    *,
    root_rules: tuple[Rule, ...] = (),
    selectable: tuple[str, ...] = (),
) -> Json:
    """One CustomResourceDefinition."""
    full = msgspec.json.schema(type_)
    schema = structural(full, full["$defs"])
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    } | schema["properties"]
    schema["properties"]["status"] = without_defaults(schema["properties"]["status"])
    if root_rules:
        schema["x-kubernetes-validations"] = list(root_rules)
    version: Json = {
        "name": group.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema},
    }
    if selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group.GROUP}",
            "labels": {"app.kubernetes.io/part-of": "device-plugin-operator"},
        },
        "spec": {
            "group": group.GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["deviceplugins"],
            },
            "versions": [version],
        },
    }


def _column(name: str, path: str, type_: str = "string", description: str = "", priority: int = 0) -> Json:
    column: Json = {"name": name, "type": type_, "jsonPath": path}
    if description:
        column["description"] = description
    if priority:
        column["priority"] = priority
    return column


_AGE = _column("Age", ".metadata.creationTimestamp", "date")


def config_definition() -> Json:
    """The CRD of DevicePluginConfig."""
    return definition(
        DevicePluginConfig,
        group.CONFIG_KIND,
        group.CONFIG_PLURAL,
        "dpc",
        [
            _column("Nodes", ".status.nodes.desired", "integer", "Nodes that agents shall run on."),
            _column("Ready", ".status.nodes.ready", "integer", "Nodes whose agent has registered every resource."),
            _column("Devices", ".status.devices.total", "integer", "All known devices."),
            _column("Healthy", ".status.devices.healthy", "integer", "Devices that work."),
            _column("In use", ".status.devices.allocated", "integer", "Devices given to a container."),
            _column("Status", '.status.conditions[?(@.type=="Ready")].reason', description="Reason of Ready."),
            _AGE,
            _column("Mode", ".spec.mode", description="Whether devices are offered to pods.", priority=1),
            _column("Message", '.status.conditions[?(@.type=="Ready")].message', description="Why.", priority=1),
        ],
        root_rules=rules.CONFIG_NAME,
    )


def node_definition() -> Json:
    """The CRD of NodeDevicePlugin."""
    return definition(
        NodeDevicePlugin,
        group.NODE_KIND,
        group.NODE_PLURAL,
        "ndp",
        [
            _column("Config", ".spec.configName", description="The DevicePluginConfig this comes from."),
            _column("Node", ".spec.nodeName", description="The node."),
            _column("Devices", ".status.counts.total", "integer", "All known devices."),
            _column("Healthy", ".status.counts.healthy", "integer", "Devices that work."),
            _column("In use", ".status.counts.allocated", "integer", "Devices given to a container."),
            _column(
                "Status", '.status.conditions[?(@.type=="Registered")].reason', description="Reason of Registered."
            ),
            _AGE,
            _column("Revision", ".status.observedRevision", description="The revision the agent runs.", priority=1),
            _column("Agent", ".status.agentVersion", description="The agent's version.", priority=1),
        ],
        root_rules=rules.NODE_OBJECT,
        selectable=(".spec.nodeName", ".spec.configName"),
    )


def render(definition_: Json) -> str:
    """YAML, as it stands in crds/."""
    head = "# Generated from api/device_plugin_api by `make manifests`. Do not edit.\n"
    plain = json.loads(json.dumps(definition_))  # shared parts would come out as YAML anchors
    return head + yaml.safe_dump(plain, sort_keys=False, width=120)


def files() -> dict[str, str]:
    """File name → content of everything in crds/."""
    made = (config_definition(), node_definition())
    return {f"{group.GROUP}_{crd['spec']['names']['plural']}.yaml": render(crd) for crd in made}


def main() -> None:
    """Writes the files into the directory given."""
    directory = Path(sys.argv[1])
    for name, text in files().items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main()
