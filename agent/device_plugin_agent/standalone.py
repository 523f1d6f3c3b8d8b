"""The agent without Kubernetes' API: its configuration from a file, and a dry run that tells what would be offered."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Struct

from device_plugin_agent import serving
from device_plugin_agent.clock import Clock
from device_plugin_agent.settings import Settings
from device_plugin_agent.sources import HostView
from device_plugin_api import checks
from device_plugin_api.config import PREVIEW, SERVE
from device_plugin_api.crd import structural
from device_plugin_api.group import CONFIG_KIND
from device_plugin_api.node import NodeSpec
from device_plugin_api.resource import Resource
from device_plugin_api.schema import doc, enum
from device_plugin_api.strict import problems


class BadFile(ValueError):
    """The file cannot be served; the text names the field and what is wrong."""


class _Document(Struct, rename="camel", kw_only=True):
    resources: tuple[Resource, ...]
    mode: Annotated[str, doc("Whether devices are offered.", openapi=enum(SERVE, PREVIEW))] = SERVE


def load(path: Path, settings: Settings, clock: Clock) -> NodeSpec:
    """The spec in a YAML file with one configuration. Raises BadFile."""
    first, *others = load_all(path, settings, clock)
    if others:
        raise BadFile(f"{path}: has {1 + len(others)} configurations, and an agent serves one; --dry-run tells of all")
    return first


def load_all(path: Path, settings: Settings, clock: Clock) -> list[NodeSpec]:
    """The specs in a YAML file, one at least: of each DevicePluginConfig, or of `resources` alone. Raises BadFile.

    Objects of other kinds, as manifests have them beside, are passed over.
    """
    try:
        content = path.read_bytes()
        documents = list(yaml.safe_load_all(content))
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise BadFile(f"{path} is no YAML: {error}") from None
    configs = [each for each in documents if isinstance(each, dict) and each.get("kind", CONFIG_KIND) == CONFIG_KIND]
    if not configs:
        raise BadFile(f"{path}: must be a {CONFIG_KIND}, or a mapping with `resources`")
    revision = hashlib.sha256(content).hexdigest()[:10]
    return [_spec(each, path, settings, clock, revision) for each in configs]


def _spec(document: dict[str, Any], path: Path, settings: Settings, clock: Clock, revision: str) -> NodeSpec:
    spec = document.get("spec") if "kind" in document else document
    if not isinstance(spec, dict):
        raise BadFile(f"{path}: spec: must be a mapping with `resources`")
    served = _document({"resources": spec.get("resources")} | ({"mode": spec["mode"]} if "mode" in spec else {}), path)
    try:
        for resource in served.resources:
            serving.prepare(resource, settings.host, clock)
    except serving.Rejected as error:
        raise BadFile(f"{path}: {error}") from None
    return NodeSpec(
        config_name=settings.config_name,
        config_uid=settings.config_uid,
        node_name=settings.node_name,
        node_uid="",
        mode=served.mode,
        revision=revision,
        resources=served.resources,
    )


def dry_run(spec: NodeSpec, host: HostView, clock: Clock) -> Iterator[str]:
    """What a loaded spec would offer, step by step, as lines for people."""
    taken: dict[str, str] = {}
    for resource in spec.resources:
        discovery = serving.without_taken(serving.prepare(resource, host, clock).source.discover(), taken)
        yield resource.name
        for step in discovery.steps:
            yield f"  {step.step}: {step.kept}"
            for dropped in step.dropped:
                yield f"    left out: {dropped}"
        yield f"  offers {len(discovery.candidates)}:"
        for device in discovery.candidates:
            facts = [f"{key}={value}" for key, value in device.attributes.items()]
            if device.numa_node is not None:
                facts.append(f"numa={device.numa_node}")
            if device.trouble is not None:
                facts.append(f"{device.trouble.reason}: {device.trouble.why}")
            yield "  ".join(("   ", device.id, device.path or "(no node)", *facts))
        taken |= {mark: resource.name for device in discovery.candidates for mark in device.marks}


def _document(document: dict[str, Any], path: Path) -> _Document:
    full = msgspec.json.schema(_Document)
    wrong = list(problems(document, structural(full, full["$defs"])))
    if wrong:
        raise BadFile("\n".join(f"{path}: {each}" for each in wrong))
    try:
        read = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise BadFile(f"{path}: {error}") from None
    if not read.resources:
        raise BadFile(f"{path}: resources: at least one is needed")
    names = [resource.name for resource in read.resources]
    if len(set(names)) != len(names):
        raise BadFile(f"{path}: resources: each name may stand only once")
    clashes = list(checks.together(read.resources))
    if clashes:
        raise BadFile("\n".join(f"{path}: {each}" for each in clashes))
    return read
