"""From devices to what a container gets: nodes, environment, mounts, annotations. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device_plugin_agent.health.tracker import Track
from device_plugin_agent.inventory import Entry
from device_plugin_agent.sources import Candidate
from device_plugin_api.names import env_prefix
from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Allocation, Mount

_VARIABLE = re.compile(r"\$\(([^)]*)\)")


class Refused(Exception):
    """Devices that must not be handed out; the text tells which and why (R11)."""


class UnknownVariable(ValueError):
    """A template names a variable that does not exist."""


@dataclass(frozen=True, kw_only=True)
class DeviceNode:
    """One device node of the host in a container."""

    host_path: str
    container_path: str
    permissions: str


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What one container gets for its devices of one resource."""

    env: Mapping[str, str]
    nodes: tuple[DeviceNode, ...]
    mounts: tuple[Mount, ...]
    annotations: Mapping[str, str]


def pick(entries: Mapping[str, Entry], device_ids: Sequence[str]) -> list[Entry]:
    """The devices named, sorted by ID; raises Refused unless every one may be handed out."""
    if len(set(device_ids)) != len(device_ids):
        raise Refused(f"the same device is asked for twice: {', '.join(sorted(device_ids))}")
    picked = []
    for device_id in sorted(device_ids):
        entry = entries.get(device_id)
        if entry is None:
            raise Refused(f"device {device_id} is not one of this resource's")
        if not entry.healthy or not entry.present:
            why = entry.track.message or entry.track.reason
            raise Refused(f"device {device_id} is {entry.track.state.value}: {why}")
        picked.append(entry)
    return picked


def grant(resource_name: str, allocation: Allocation, entries: Sequence[Entry]) -> Grant:
    """What a container that was given these devices gets. Raises UnknownVariable for a bad template."""
    prefix = env_prefix(resource_name)
    nodes: list[DeviceNode] = []
    paths: list[str] = []
    for index, entry in enumerate(entries):
        for number, host_path in enumerate(entry.device.nodes):
            container_path = host_path if number else entry.device.path
            if allocation.container_path is not None and not number:
                container_path = expand(allocation.container_path, {"INDEX": str(index), "DEVICE_ID": entry.device.id})
            if not number:
                paths.append(container_path)
            nodes.append(
                DeviceNode(host_path=host_path, container_path=container_path, permissions=allocation.permissions)
            )
    shared = {host_path: None for entry in entries for host_path in entry.device.shared_nodes}
    nodes += [
        DeviceNode(host_path=host_path, container_path=host_path, permissions=allocation.permissions)
        for host_path in shared
    ]
    ids = [entry.device.id for entry in entries]
    variables = {
        "DEVICE_ID": ids[0],
        "DEVICE_IDS": ",".join(ids),
        "DEVICE_PATH": paths[0] if paths else "",
        "DEVICE_PATHS": ",".join(paths),
    }
    env = {f"{prefix}_ID": variables["DEVICE_IDS"]}
    if paths:
        env[f"{prefix}_PATH"] = variables["DEVICE_PATHS"]
    env |= {variable.name: expand(variable.value, variables) for variable in allocation.env}
    annotations = {key: expand(value, variables) for key, value in allocation.annotations.items()}
    return Grant(env=env, nodes=tuple(nodes), mounts=allocation.mounts, annotations=annotations)


def check(allocation: Allocation) -> None:
    """Raises UnknownVariable when a template cannot be expanded, whatever the devices."""
    device = Candidate(id="id", path="/dev/a", nodes=("/dev/a",))
    sample = Entry(device=device, track=Track(state=DeviceState.HEALTHY, reason="", since=0))
    grant("example.com/sample", allocation, [sample])


def expand(template: str, variables: Mapping[str, str]) -> str:
    """Replace every `$(NAME)`; raises UnknownVariable."""

    def value(match: re.Match[str]) -> str:
        try:
            return variables[match[1]]
        except KeyError:
            known = ", ".join(f"$({name})" for name in variables)
            raise UnknownVariable(f"unknown variable {match[0]}; known are {known}") from None

    return _VARIABLE.sub(value, template)


def preferred(
    entries: Mapping[str, Entry], available: Sequence[str], must_include: Sequence[str], size: int
) -> list[str]:
    """Devices close together first: those on the NUMA nodes that can hold most of the request, then by ID.

    What must be included always is, first.
    """
    chosen = list(dict.fromkeys(must_include))
    free = sorted(set(available) - set(chosen))
    by_numa: dict[int | None, list[str]] = {}
    for device_id in free:
        entry = entries.get(device_id)
        by_numa.setdefault(None if entry is None else entry.device.numa_node, []).append(device_id)
    taken = {entries[device_id].device.numa_node for device_id in chosen if device_id in entries} - {None}

    def order(item: tuple[int | None, list[str]]) -> tuple[bool, bool, int, int]:
        node, ids = item
        missing = size - len(chosen)
        # The smallest node that holds the whole request, else the largest: what stays free stays together.
        return (node not in taken, len(ids) < missing, len(ids) if len(ids) >= missing else -len(ids), node or 0)

    for _, ids in sorted(by_numa.items(), key=order):
        chosen += ids
    return chosen[: max(size, len(set(must_include)))]
