"""From devices to what a container gets: nodes, environment, mounts, annotations. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device_plugin_agent.health.tracker import Track
from device_plugin_agent.inventory import Entry, Inventory
from device_plugin_agent.slots import device_of
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


def pick(inventory: Inventory, slots: Sequence[str], most: int | None) -> list[Entry]:
    """The devices of these slots, sorted by ID, each once; raises Refused unless every slot may be handed out.

    `most` is how many one container may have.
    """
    if not slots:
        raise Refused("no device is asked for")
    if len(set(slots)) != len(slots):
        raise Refused(f"the same device is asked for twice: {', '.join(sorted(slots))}")
    if most is not None and len(slots) > most:
        raise Refused(f"a container asks for {len(slots)}, and sharing.maxPerContainer is {most}")
    picked: dict[str, Entry] = {}
    for slot_id in sorted(slots):
        entry = inventory.entries.get(device_of(slot_id))
        if entry is None:
            raise Refused(f"device {slot_id} is not one of this resource's")
        if not entry.healthy or not entry.present:
            why = entry.track.message or entry.track.reason
            raise Refused(f"device {slot_id} is {entry.track.state.value}: {why}")
        if not inventory.slots(entry).get(slot_id, False):
            raise Refused(f"device {slot_id} is not offered: how {entry.device.id} is shared has changed")
        picked[entry.device.id] = entry
    return [picked[device_id] for device_id in sorted(picked)]


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
