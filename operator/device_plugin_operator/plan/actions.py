"""What shall be done, as data."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ApplyDaemonSet:
    """Apply it, taking over whatever others have set of it."""

    name: str
    wanted: Json


@dataclass(frozen=True, kw_only=True)
class RepairDaemonSet:
    """Replace one that others have added to: apply would leave that alone. Only if nobody wrote it meanwhile."""

    name: str
    body: Json
    wanted: Json
    expected: Json


@dataclass(frozen=True, kw_only=True)
class DeleteDaemonSet:
    """Remove one that belongs to an earlier config of this name."""

    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class CreateNode:
    """Make a NodeDevicePlugin."""

    name: str
    body: Json


@dataclass(frozen=True, kw_only=True)
class UpdateNode:
    """Change a NodeDevicePlugin: `spec` and `annotations` are merged into what is there, lists are replaced."""

    name: str
    uid: str
    spec: Json
    annotations: dict[str, str | None]


@dataclass(frozen=True, kw_only=True)
class DeleteNode:
    """Remove a NodeDevicePlugin."""

    name: str
    uid: str
    why: str


Action = ApplyDaemonSet | RepairDaemonSet | DeleteDaemonSet | CreateNode | UpdateNode | DeleteNode
