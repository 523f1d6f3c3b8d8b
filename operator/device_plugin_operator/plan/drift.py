"""Whether a DaemonSet is still what was wanted, and how it is made so again."""

from typing import Any

import msgspec

from device_plugin_api import group
from device_plugin_operator.facts import Config

Json = dict[str, Any]

_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""`kubectl rollout restart` writes this into the template. It is a wish of the administrator, not drift."""


def settled(live: Json, wanted_: Json, expected: Json) -> bool:
    """Whether nothing has to be written: all that is ours is as we want it, and nothing was added to it.

    `expected` is the spec with the API server's own defaults. What others put beside ours in the metadata is theirs.
    """
    metadata = live["metadata"]
    ours = wanted_["metadata"]
    return (
        _comparable(live["spec"]) == _comparable(expected)
        and ours["labels"].items() <= metadata.get("labels", {}).items()
        and all(
            any(reference.items() <= found.items() for found in metadata.get("ownerReferences", []))
            for reference in ours["ownerReferences"]
        )
    )


def added_to(live: Json, expected: Json) -> bool:
    """Whether there is something in it that is not in ours: applying would not remove that."""
    return _beyond(_comparable(live["spec"]), _comparable(expected))


def repaired(live: Json, wanted_: Json, expected: Json) -> Json:
    """`live` with all of ours and nothing beside it in the spec, for an update."""
    spec: Json = msgspec.json.decode(msgspec.json.encode(expected))
    annotations = live["spec"]["template"].get("metadata", {}).get("annotations", {})
    if _RESTARTED_AT in annotations:
        spec["template"]["metadata"]["annotations"] = {_RESTARTED_AT: annotations[_RESTARTED_AT]}
    metadata, ours = live["metadata"], wanted_["metadata"]
    uids = {reference["uid"] for reference in ours["ownerReferences"]}
    owners = [found for found in metadata.get("ownerReferences", []) if found["uid"] not in uids]
    return {
        **live,
        "metadata": {
            **metadata,
            "labels": {**metadata.get("labels", {}), **ours["labels"]},
            "ownerReferences": owners + ours["ownerReferences"],
        },
        "spec": spec,
    }


def foreign_owner(live: Json, config: Config) -> bool:
    """Whether it belongs to an earlier config of this name: the garbage collector may not have come to it yet."""
    return any(
        reference.get("kind") == group.CONFIG_KIND and reference.get("uid") != config.uid
        for reference in live["metadata"].get("ownerReferences", [])
    )


def _comparable(value: Any) -> Any:
    """Without nulls, empty annotations and the time of a wished restart."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _comparable(item) for key, item in value.items() if item is not None and key != _RESTARTED_AT}
    if plain.get("annotations") == {}:
        del plain["annotations"]
    return plain


def _beyond(live: Any, expected: Any) -> bool:
    if isinstance(live, dict) and isinstance(expected, dict):
        return any(key not in expected or _beyond(item, expected[key]) for key, item in live.items())
    if isinstance(live, list) and isinstance(expected, list):
        return len(live) > len(expected) or any(map(_beyond, live, expected))
    return False
