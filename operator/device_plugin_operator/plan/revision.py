"""A short name for a content of `mode` and `resources`: the same content has the same name, however it is written."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct

from device_plugin_api.config import SERVE
from device_plugin_api.resource import Resource


class _Named(Struct):
    name: str


def canonical(value: Any) -> Any:
    """Plain data without what equals a default: a member that a later version adds changes no revision."""
    if isinstance(value, Struct):
        plain = {}
        for member in msgspec.structs.fields(value):
            content = getattr(value, member.name)
            default = member.default if member.default_factory is NODEFAULT else member.default_factory()
            if content != default or default is NODEFAULT:
                plain[member.encode_name] = canonical(content)
        return plain
    if isinstance(value, dict):
        return {key: canonical(content) for key, content in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(content) for content in value]
    return value


def written(resources: Iterable[Resource]) -> list[Any]:
    """The resources as they go into a NodeDevicePlugin: sorted by name, without defaults."""
    return [canonical(resource) for resource in sorted(resources, key=lambda resource: resource.name)]


def of(resources: Iterable[Resource], mode: str = SERVE) -> str:
    """The revision of these resources in this mode."""
    content: Any = written(resources)
    if mode != SERVE:
        content = {"mode": mode, "resources": content}
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:10]


@lru_cache(maxsize=64)
def names_in_json(resources: bytes) -> tuple[str, ...]:
    """The names of resources as they stand in an object."""
    try:
        return tuple(resource.name for resource in msgspec.json.decode(resources, type=list[_Named]))
    except msgspec.ValidationError:
        return ()


@lru_cache(maxsize=64)
def of_json(resources: bytes, mode: str) -> str:
    """The revision of resources as they stand in an object; "" when they are none of ours.

    All nodes of a config hold the same bytes, so this is worked out once per revision and not once per node.
    """
    try:
        return of(msgspec.json.decode(resources, type=list[Resource]), mode)
    except msgspec.ValidationError:
        return ""
