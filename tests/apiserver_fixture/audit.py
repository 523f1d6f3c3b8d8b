"""Who asked what of the API server, by its own audit log, and what roles in manifests grant."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]


class Permission(NamedTuple):
    """What one rule of RBAC can grant; `namespace` is empty where the whole cluster is meant."""

    namespace: str
    group: str
    resource: str
    """With its subresource: `nodedeviceplugins/status`."""
    verb: str


def policy(users: Sequence[str]) -> Json:
    """An audit policy: every request of these users, without bodies, when it is answered."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": list(users)}, {"level": "None"}],
    }


def used(log: Path, user: str, since: int) -> frozenset[Permission]:
    """What that user needed for objects, whether it had it or not, from that byte of the log on."""
    # A line under way has no newline yet.
    events = [json.loads(line) for line in log.read_bytes()[since:].split(b"\n")[:-1]]
    return frozenset(
        _of_request(event["verb"], event["objectRef"])
        for event in events
        if event["user"]["username"] == user and "resource" in event.get("objectRef", {})
    )


def _of_request(verb: str, about: Json) -> Permission:
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    return Permission(about.get("namespace", ""), about.get("apiGroup", ""), resource, verb)


def granted(manifests: Iterable[Json], account: str) -> frozenset[Permission]:
    """What bindings in these manifests give to a ServiceAccount."""
    documents = list(manifests)
    rules = {
        (item["kind"], item["metadata"]["name"], item["metadata"].get("namespace", "")): item["rules"]
        for item in documents
        if item["kind"] in ("Role", "ClusterRole")
    }
    found = set()
    for binding in documents:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        if account not in [subject["name"] for subject in binding["subjects"]]:
            continue
        namespace = binding["metadata"].get("namespace", "")
        role = binding["roleRef"]
        for rule in rules[role["kind"], role["name"], namespace if role["kind"] == "Role" else ""]:
            found |= {
                Permission(namespace, group, resource, verb)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return frozenset(found)
