"""CDI specs: what they say, and which name a device has in them. Pure.

Source: SPEC.md of github.com/cncf-tags/container-device-interface.
"""

import hashlib
import re
from collections.abc import Collection, Iterable

import msgspec
from msgspec import Struct, field

from device_plugin_agent import allocation
from device_plugin_agent.sources import Candidate
from device_plugin_api.group import GROUP
from device_plugin_api.resource import Allocation, Cdi

VENDOR = GROUP


class DeviceNode(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """A device node in the container. What it is on the host, the runtime sees for itself."""

    path: str
    host_path: str = ""
    permissions: str
    uid: int | None = None
    gid: int | None = None
    file_mode: int | None = None


class Edits(Struct, rename="camel", frozen=True, kw_only=True):
    """What a container gets."""

    device_nodes: tuple[DeviceNode, ...]


class Device(Struct, rename="camel", frozen=True, kw_only=True):
    """One device."""

    name: str
    container_edits: Edits


class Spec(Struct, rename="camel", frozen=True, kw_only=True):
    """A file's content."""

    cdi_version: str = field(name="cdiVersion")
    kind: str
    devices: tuple[Device, ...]


def class_of(config_uid: str, resource_name: str) -> str:
    """The class of a resource's devices. Another config's resource of the same name is another class."""
    base = re.sub(r"[^A-Za-z0-9_-]", "-", resource_name.rpartition("/")[2])
    digest = hashlib.sha256(f"{config_uid}/{resource_name}".encode()).hexdigest()[:10]
    return f"{base if base[0].isalpha() else f'r{base}'}-{digest}"


def name_of(device_id: str, settings: Allocation) -> str:
    """A device's name under these settings.

    A container that started under other settings starts again with the name that it was given: one name never means
    two things.
    """
    owned = settings.cdi or Cdi()
    said = (settings.container_path, settings.permissions, owned.uid, owned.gid, owned.file_mode)
    return f"{device_id}-{hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:6]}"


def device_id_of(name: str) -> str:
    """The device that a name is of."""
    return name.rpartition("-")[0]


def device(found: Candidate, settings: Allocation) -> Device | None:
    """A device, or None for one that has no nodes or whose path in the container cannot be told."""
    try:
        nodes = allocation.device_nodes(settings, found)
    except allocation.Refused:
        return None
    if not nodes:
        return None
    owned = settings.cdi or Cdi()
    edits = Edits(
        device_nodes=tuple(
            DeviceNode(
                path=node.container_path,
                host_path="" if node.host_path == node.container_path else node.host_path,
                permissions=node.permissions,
                uid=owned.uid,
                gid=owned.gid,
                file_mode=None if owned.file_mode is None else int(owned.file_mode, 8),
            )
            for node in nodes
        )
    )
    return Device(name=name_of(found.id, settings), container_edits=edits)


def merged(wanted: Iterable[Device], former: Iterable[Device], used: Collection[str] | None) -> tuple[Device, ...]:
    """What is wanted, and what was there before of used devices. None: it is not known which are."""
    kept = {each.name: each for each in former if used is None or device_id_of(each.name) in used}
    kept |= {each.name: each for each in wanted}
    return tuple(kept[name] for name in sorted(kept))


def spec(class_: str, devices: tuple[Device, ...]) -> Spec:
    """The spec of a class, of the lowest version that has what it uses: an older runtime refuses newer ones."""
    # 0.5.0 brought hostPath, and names that start with a digit.
    newer = any(
        each.name[0].isdigit() or any(node.host_path for node in each.container_edits.device_nodes) for each in devices
    )
    return Spec(cdi_version="0.5.0" if newer else "0.3.0", kind=f"{VENDOR}/{class_}", devices=devices)
