"""Who asked what of the API server, by its own audit log, and what roles in manifests grant."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]

POLICY = ROOT / "hack/audit-policy.yaml"
"""Every request of these two, without bodies, when it is answered."""

OPERATOR_USER = "system:serviceaccount:device-plugin-system:device-plugin-operator"
AGENT_USER = "system:serviceaccount:device-plugin-agents:device-plugin-agent"


class Permission(NamedTuple):
    """What one rule of RBAC can grant; `namespace` is empty where the whole cluster is meant."""

    namespace: str
    group: str
    resource: str
    """With its subresource: `nodedeviceplugins/status`."""
    verb: str


def events(log: str) -> list[Json]:
    """What a log holds; a line under way has no newline yet."""
    return [json.loads(line) for line in log.split("\n")[:-1]]


def used(asked: Iterable[Json], user: str) -> frozenset[Permission]:
    """What that user needed for objects, whether it had it or not."""
    return frozenset(
        _of_request(event["verb"], event["objectRef"])
        for event in asked
        if event["user"]["username"] == user and "resource" in event.get("objectRef", {})
    )


def _of_request(verb: str, about: Json) -> Permission:
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    return Permission(about.get("namespace", ""), about.get("apiGroup", ""), resource, verb)


def granted(user: str) -> frozenset[Permission]:
    """What manifests/base gives to the ServiceAccount of that user."""
    files = sorted((ROOT / "manifests/base").glob("rbac-*.yaml"))
    return _granted([item for path in files for item in yaml.safe_load_all(path.read_text()) if item], user)


def _granted(documents: list[Json], user: str) -> frozenset[Permission]:
    rules = {
        (item["kind"], item["metadata"]["name"], item["metadata"].get("namespace", "")): item["rules"]
        for item in documents
        if item["kind"] in ("Role", "ClusterRole")
    }
    found = set()
    for binding in documents:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        if user not in [_user(subject) for subject in binding["subjects"]]:
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


def _user(subject: Json) -> str:
    return f"system:serviceaccount:{subject['namespace']}:{subject['name']}"


def difference(asked: Iterable[Json], user: str, rare: frozenset[Permission] = frozenset()) -> str:
    """What the user uses and is not granted, or is granted and does not use unless it is rare; empty for neither."""
    needed, may = used(asked, user), granted(user)
    found = {"not granted": sorted(needed - may), "not used": sorted(may - needed - rare)}
    return "; ".join(f"{what}: {permissions}" for what, permissions in found.items() if permissions)
