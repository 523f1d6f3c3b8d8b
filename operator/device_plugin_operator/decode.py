"""From the API server's JSON to facts. Reads only what is needed, and never fails over what it does not."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from device_plugin_api.config import ConfigSpec, ConfigStatus
from device_plugin_operator.facts import Config, Machine, Taint
from device_plugin_operator.plan import validation


class Wire(Struct, rename="camel", frozen=True):
    """Base of what stands in JSON."""


class Meta(Wire, frozen=True):
    """Metadata of any object."""

    name: str
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Object(Wire, frozen=True):
    """Any object."""

    metadata: Meta
    spec: Raw = Raw(b"{}")
    status: Raw = Raw(b"{}")


def version_of(meta: Meta) -> int:
    """The resourceVersion as a number: higher is newer, which Kubernetes promises since 1.35 and always did."""
    return int(meta.resource_version) if meta.resource_version.isdecimal() else 0


def config(content: bytes, source_images: Mapping[str, str]) -> Config:
    """A DevicePluginConfig. A spec that our types cannot hold is told in `invalid`, a status like that is no status."""
    raw = msgspec.json.decode(content, type=Object)
    spec, invalid = None, ""
    try:
        spec = msgspec.json.decode(raw.spec, type=ConfigSpec)
        invalid = validation.error(spec, source_images) or ""
    except msgspec.ValidationError as error:
        invalid = str(error).replace("`$.", "`spec.")
    try:
        status = msgspec.json.decode(raw.status, type=ConfigStatus)
    except msgspec.ValidationError:
        status = ConfigStatus()
    return Config(
        name=raw.metadata.name,
        uid=raw.metadata.uid,
        generation=raw.metadata.generation,
        created=raw.metadata.creation_timestamp,
        terminating=raw.metadata.deletion_timestamp is not None,
        spec=None if invalid else spec,
        invalid=invalid,
        status=status,
    )


class _Taint(Wire, frozen=True):
    key: str
    effect: str
    value: str = ""


class _MachineSpec(Wire, frozen=True):
    taints: tuple[_Taint, ...] = ()


class _NodeInfo(Wire, frozen=True):
    container_runtime_version: str = ""


class _MachineStatus(Wire, frozen=True):
    node_info: _NodeInfo = _NodeInfo()


def machine(content: bytes) -> Machine:
    """A Node."""
    raw = msgspec.json.decode(content, type=Object)
    spec = msgspec.json.decode(raw.spec, type=_MachineSpec)
    status = msgspec.json.decode(raw.status, type=_MachineStatus)
    return Machine(
        name=raw.metadata.name,
        uid=raw.metadata.uid,
        labels=raw.metadata.labels or {},
        taints=tuple(Taint(key=taint.key, value=taint.value, effect=taint.effect) for taint in spec.taints),
        runtime=status.node_info.container_runtime_version,
    )
