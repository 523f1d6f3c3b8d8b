"""From devices to what a container gets: nodes, environment, mounts, annotations. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from device_plugin_agent import customary
from device_plugin_agent.entry import Entry
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.slots import device_of
from device_plugin_agent.sources import Candidate
from device_plugin_api import hostpaths
from device_plugin_api.names import env_prefix
from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Allocation, Mount
from device_plugin_api.sources import Source
from device_plugin_api.templates import ATTRIBUTE, expand, used


class Refused(Exception):
    """Devices that must not be handed out; the text tells which and why (R11)."""


class Vanished(Refused):
    """Such a device was there at the last look, and is not any more."""


class DeviceNode(msgspec.Struct, frozen=True, kw_only=True):
    """One device node of the host in a container."""

    host_path: str
    container_path: str
    permissions: str


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one container gets for its devices of one resource."""

    env: Mapping[str, str]
    nodes: tuple[DeviceNode, ...]
    mounts: tuple[Mount, ...]
    annotations: Mapping[str, str]
    cdi_devices: tuple[str, ...] = ()
    """Names that the container runtime has from specs of others."""


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


def still_there(entries: Iterable[Entry], there: Callable[[str], bool]) -> None:
    """Raises Vanished for a device that went after the last look. `there`: whether a host path leads to something."""
    for entry in entries:
        device = entry.device
        for place in filter(None, (*device.nodes, device.file, device.sysfs)):
            if not there(place):
                raise Vanished(f"device {device.id} is gone: {place} is not there any more")


def verify(inventory: Inventory, slots: Iterable[str], there: Callable[[str], bool]) -> None:
    """Raises Refused when a device of a container that is about to start does not work.

    One that is only no longer handed out is as good as before for who has it.
    """
    for slot_id in slots:
        entry = inventory.entries.get(device_of(slot_id))
        if entry is None:
            raise Refused(f"device {slot_id} is not one of this resource's")
        seen = entry.worst or entry.track
        if seen.state is not DeviceState.HEALTHY:
            raise Refused(f"device {entry.device.id} is {seen.state.value}: {seen.message or seen.reason}")
        still_there((entry,), there)


def grant(resource_name: str, allocation: Allocation, entries: Sequence[Entry], source: Source | None = None) -> Grant:
    """What a container that was given these devices gets. Raises Refused for a path that cannot be.

    `source`: where they come from, for what the users of such devices expect.
    """
    prefix = env_prefix(resource_name)
    devices = [entry.device for entry in entries]
    nodes = [device_nodes(allocation, device, index) for index, device in enumerate(devices)]
    paths = [
        _container_path(allocation, device, index)
        for index, device in enumerate(devices)
        if device.nodes or device.file
    ]
    ids = [device.id for device in devices]
    variables = _of_all(devices) | {
        "DEVICE_ID": ids[0],
        "DEVICE_IDS": ",".join(ids),
        "DEVICE_PATH": paths[0] if paths else "",
        "DEVICE_PATHS": ",".join(paths),
    }
    env = {f"{prefix}_ID": variables["DEVICE_IDS"]}
    if paths:
        env[f"{prefix}_PATH"] = variables["DEVICE_PATHS"]
    if source is not None:
        inside = [{node.host_path: node.container_path for node in of_device} for of_device in nodes]
        env |= customary.variables(resource_name, source, list(zip(devices, inside, strict=True)))
    env |= {variable.name: expand(variable.value, variables) for variable in allocation.env}
    annotations = {key: expand(value, variables) for key, value in allocation.annotations.items()}
    files = [_file(allocation, device, index) for index, device in enumerate(devices) if device.file]
    mounts = (*files, *(each for mount in allocation.mounts for each in _mounts(mount, devices)))
    # Devices of a kind may share a node.
    once = dict.fromkeys(node for of_device in nodes for node in of_device)
    named = () if source is None else customary.cdi_devices(source, devices)
    return Grant(env=env, nodes=tuple(once), mounts=mounts, annotations=annotations, cdi_devices=named)


def device_nodes(allocation: Allocation, device: Candidate, index: int = 0) -> list[DeviceNode]:
    """A device's nodes in a container, the one that people know it by first; those of a directory where they are in it.

    `index` is its number among those of the container. Raises Refused for a path that cannot be.
    """
    hosts = (*device.nodes, *device.shared_nodes)
    if device.directory:
        directory = _container_path(allocation, device, index)
        inside = tuple(f"{directory}{host.removeprefix(device.directory)}" for host in hosts)
    else:
        inside = (_container_path(allocation, device, index), *hosts[1:]) if device.nodes else hosts
    return [
        DeviceNode(host_path=host_path, container_path=container_path, permissions=allocation.permissions)
        for host_path, container_path in zip(hosts, inside, strict=True)
    ]


def _of_all(devices: Sequence[Candidate]) -> dict[str, str]:
    """The variables that are several devices' joined by commas."""
    each = [_of_one(device, index) for index, device in enumerate(devices)]
    return {name: ",".join(one.get(name, "") for one in each) for one in each for name in one}


def _of_one(device: Candidate, index: int) -> dict[str, str]:
    attributes = {f"{ATTRIBUTE}{key}": value for key, value in device.attributes.items()}
    return {"INDEX": str(index), "DEVICE_ID": device.id, **attributes}


def _container_path(allocation: Allocation, device: Candidate, index: int) -> str:
    if allocation.container_path is None:
        return device.path
    path = _path("containerPath", allocation.container_path, device, index)
    return _checked("containerPath", path, hostpaths.device_path_error(path))


def _file(allocation: Allocation, device: Candidate, index: int) -> Mount:
    return Mount(
        host_path=device.file,
        container_path=_container_path(allocation, device, index),
        read_only=not allocation.writable_files,
    )


def _mounts(mount: Mount, devices: Sequence[Candidate]) -> Iterator[Mount]:
    """One mount, or one for each device where it differs by device."""
    if not used(mount.host_path + mount.container_path):
        yield mount
        return
    for index, device in enumerate(devices):
        host = _path("mounts.hostPath", mount.host_path, device, index)
        inside = _path("mounts.containerPath", mount.container_path, device, index)
        yield Mount(
            host_path=_checked("mounts.hostPath", host, hostpaths.mount_error(host, read_only=mount.read_only)),
            container_path=_checked("mounts.containerPath", inside, hostpaths.container_path_error(inside)),
            read_only=mount.read_only,
        )


def _path(field: str, template: str, device: Candidate, index: int) -> str:
    """A path for a device. What the hardware says of itself may be anything, so it is one part of a path or refused."""
    variables = _of_one(device, index)
    for name in used(template):
        value = variables.get(name, "")
        if value in ("", ".", "..") or "/" in value:
            raise Refused(f"allocation.{field} needs $({name}), and for device {device.id} that is {value!r}")
    return expand(template, variables)


def _checked(field: str, path: str, wrong: str | None) -> str:
    if wrong is not None:
        raise Refused(f"allocation.{field} comes out as {path!r}, which {wrong}")
    return path
