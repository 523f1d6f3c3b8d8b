"""What the API server would say about a document's fields, for documents that no API server sees."""

from collections.abc import Iterator, Mapping
from typing import Any

from device_plugin_api.crd import Json


def problems(value: Any, schema: Json, path: str = "") -> Iterator[str]:
    """Unknown fields and values outside an enumeration, each with its path.

    `schema` is structural (crd.structural). Types and bounds are left to msgspec.
    """
    where = path or "the document"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: must be one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, Mapping) and "properties" in schema:
        known = schema["properties"]
        for key, member in value.items():
            inner = f"{path}.{key}" if path else str(key)
            if key in known:
                yield from problems(member, known[key], inner)
            else:
                yield f"{inner}: unknown field; {where} knows {', '.join(known)}"
    if isinstance(value, list) and "items" in schema:
        for index, member in enumerate(value):
            yield from problems(member, schema["items"], f"{path}[{index}]")
