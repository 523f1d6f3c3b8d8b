"""The file that the kubelet's device manager keeps over restarts: kubelet_internal_checkpoint."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from kubelet_double.pods import Assignment

FILE_NAME = "kubelet_internal_checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """What is in it: who has what, and which resources there were."""

    assignments: tuple[Assignment, ...]
    resources: tuple[str, ...]


def write(directory: Path, assignments: Iterable[Assignment], healthy: Mapping[str, Iterable[str]]) -> None:
    """ManagerImpl.writeCheckpoint, without the checksum and the fsync."""
    entries = [
        {
            "PodUID": line.pod,
            "ContainerName": line.container,
            "ResourceName": line.resource,
            "DeviceIDs": {str(node): list(devices) for node, devices in line.by_numa_node.items()},
            "AllocResp": base64.b64encode(line.response.SerializeToString()).decode(),
        }
        for line in assignments
    ]
    registered = {resource: sorted(devices) for resource, devices in healthy.items()}
    data = {"Data": {"PodDeviceEntries": entries, "RegisteredDevices": registered}, "Checksum": 0}
    new = directory / f".{FILE_NAME}.new"
    new.write_text(json.dumps(data))
    new.replace(directory / FILE_NAME)


def read(directory: Path) -> Checkpoint | None:
    """ManagerImpl.readCheckpoint; None when there is no file."""
    try:
        data = json.loads((directory / FILE_NAME).read_text())["Data"]
    except FileNotFoundError:
        return None
    assignments = tuple(
        Assignment(
            pod=entry["PodUID"],
            container=entry["ContainerName"],
            resource=entry["ResourceName"],
            by_numa_node={int(node): tuple(devices) for node, devices in entry["DeviceIDs"].items()},
            response=api.ContainerAllocateResponse.FromString(base64.b64decode(entry["AllocResp"])),
        )
        for entry in data["PodDeviceEntries"]
    )
    return Checkpoint(assignments, tuple(data["RegisteredDevices"]))
