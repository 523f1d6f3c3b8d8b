"""What the kubelets themselves hold: their podresources services, dialled from here."""

import tempfile
from pathlib import Path

import grpc

from device_plugin_agent.kubelet_api import podresources_pb2 as api
from device_plugin_agent.kubelet_api import podresources_pb2_grpc as rpc
from e2e_bed.cluster import run


class KubeletView:
    """One node's podresources. The socket is reached through the node's own file system under /proc."""

    def __init__(self, node: str) -> None:
        self._node = node
        # A socket's path ends at 107 bytes; through a link it stays short.
        self._folder = Path(tempfile.mkdtemp(prefix="pr-", dir="/tmp"))
        self.again()
        options = (
            ("grpc.max_receive_message_length", -1),
            ("grpc.default_authority", "localhost"),
            # Of a kubelet that restarts it is to be seen at once when it answers again.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 200),
        )
        self._channel = grpc.insecure_channel(f"unix:{self._folder}/s/kubelet.sock", options=options)
        self._lister = rpc.PodResourcesListerStub(self._channel)

    def again(self) -> None:
        """Find the node, which was started anew."""
        pid = run("docker", "inspect", "--format", "{{.State.Pid}}", self._node).strip()
        link = self._folder / "s"
        link.unlink(missing_ok=True)
        link.symlink_to(f"/proc/{pid}/root/var/lib/kubelet/pod-resources")

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def allocatable(self, resource: str) -> set[str]:
        """IDs of the devices that the kubelet would hand out or has handed out."""
        return self.all_allocatable().get(resource, set())

    def all_allocatable(self, timeout: float = 5) -> dict[str, set[str]]:
        """The same of every resource."""
        answer = self._lister.GetAllocatableResources(api.AllocatableResourcesRequest(), timeout=timeout)
        found: dict[str, set[str]] = {}
        for devices in answer.devices:
            found.setdefault(devices.resource_name, set()).update(devices.device_ids)
        return found

    def holders(self, resource: str) -> dict[str, list[str]]:
        """Device ID → `namespace/pod/container` that have it."""
        return self.all_holders().get(resource, {})

    def all_holders(self, timeout: float = 5) -> dict[str, dict[str, list[str]]]:
        """The same of every resource."""
        answer = self._lister.List(api.ListPodResourcesRequest(), timeout=timeout)
        held: dict[str, dict[str, list[str]]] = {}
        for pod in answer.pod_resources:
            for container in pod.containers:
                holder = f"{pod.namespace}/{pod.name}/{container.name}"
                for devices in container.devices:
                    of_resource = held.setdefault(devices.resource_name, {})
                    for device_id in devices.device_ids:
                        of_resource.setdefault(device_id, []).append(holder)
        return held
