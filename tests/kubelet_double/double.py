"""The kubelet double as tests see it: one node's kubelet, which they start, stop, restart and ask."""

import random
import shutil
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Self

import grpc.aio

from device_plugin_agent.kubelet_api.deviceplugin_pb2_grpc import add_RegistrationServicer_to_server
from device_plugin_agent.kubelet_api.podresources_pb2_grpc import add_PodResourcesListerServicer_to_server
from kubelet_double import sockets
from kubelet_double.clients import Clients
from kubelet_double.clock import Clock, FakeClock
from kubelet_double.devices import Counts
from kubelet_double.faults import Faults
from kubelet_double.journal import Call, Journal, NodeChange, ReceivedList, Registered
from kubelet_double.manager import DeviceManager, Granted
from kubelet_double.node import Node
from kubelet_double.podresources import PodResourcesService
from kubelet_double.pods import ContainerKind, Pod, RunOptions
from kubelet_double.ratelimit import RateLimit
from kubelet_double.registration import RegistrationService

SOCKET = "kubelet.sock"


class KubeletDouble:
    """A kubelet of one node under `root`, a short path: device-plugins/ and pod-resources/ are made there."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        dial_timeout: float = 10.0,
    ) -> None:
        self.root = root
        self.directory = root / "device-plugins"
        self.socket = self.directory / SOCKET
        self.podresources_socket = root / "pod-resources" / SOCKET
        self.clock = clock or FakeClock()
        self.limit = RateLimit(self.clock)
        self.faults = Faults()
        self.journal = Journal(self.clock)
        self.node = Node(self.journal.node_changed)
        self._rng = rng or random.Random(0)
        self._dial_timeout = dial_timeout
        self._starts = count(1)
        self._process: _Process | None = None
        for folder in (self.directory, self.podresources_socket.parent):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for path in (self.socket, self.podresources_socket):
            sockets.check(path)
        if isinstance(self.clock, FakeClock):
            self.clock.subscribe(self._time_moved)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # The process

    @property
    def running(self) -> bool:
        """Whether there is a kubelet now."""
        return self._process is not None

    async def start(self) -> None:
        """A new process: checkpoint read, every socket in the directory deleted, a new kubelet.sock."""
        assert self._process is None, "the kubelet runs already"
        process = _Process(self)
        number = next(self._starts)
        hidden = (self.root / f"r{number}", self.root / f"p{number}")
        # Bound before the old file goes, so that the new one cannot get its inode number.
        for server, path in zip((process.registration, process.podresources), hidden, strict=True):
            await sockets.listen(server, path)
        process.manager.restore()
        self.podresources_socket.unlink(missing_ok=True)
        sockets.remove_all(self.directory)
        self._process = process
        sockets.show(hidden[1], self.podresources_socket)
        sockets.show(hidden[0], self.socket)
        self.journal.notify()

    async def stop(self) -> None:
        """The process ends: its connections close, its socket files stay behind dead. Nothing if it is not there."""
        process, self._process = self._process, None
        if process is not None:
            await process.end()
            self.journal.notify()

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    async def cut(self, resource: str) -> None:
        """The connection to a plugin breaks, and the kubelet lives on."""
        assert self._process is not None, "the kubelet is stopped"
        await self._process.clients.cut(resource)

    def wipe(self) -> None:
        """Empty the device plugin directory, checkpoint and sockets included, as a careless administrator does."""
        for path in self.directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def leave_dead_socket(self) -> None:
        """While stopped: a kubelet.sock that nobody listens to."""
        assert self._process is None, "a running kubelet has its own socket there"
        self.socket.unlink(missing_ok=True)
        sockets.place_dead(self.socket)

    # The node

    def capacity(self) -> dict[str, int]:
        """Node.status.capacity of all resources there ever were."""
        return {resource: counts.capacity for resource, counts in self.node.counts.items()}

    def allocatable(self) -> dict[str, int]:
        """Node.status.allocatable."""
        return {resource: counts.allocatable for resource, counts in self.node.counts.items()}

    def counts(self, resource: str) -> Counts | None:
        """Both of one resource; None when the node has no such key."""
        return self.node.counts.get(resource)

    # Pods

    async def admit(
        self,
        pod: Pod,
        container: str,
        limits: Mapping[str, int],
        *,
        kind: ContainerKind = ContainerKind.REGULAR,
        affinity: frozenset[int] | None = None,
    ) -> Granted:
        """Admit one container of a pod; init containers come first. AdmissionError fails the whole pod."""
        return await self.manager.admit(pod, container, limits, kind, affinity)

    async def start_container(self, pod: Pod, container: str) -> RunOptions:
        """Start an admitted container, for the first time or again. StartError when it cannot."""
        return await self.manager.start_container(pod, container)

    def delete_pod(self, pod: Pod) -> None:
        """The pod is gone; nobody tells the plugin. Works while the kubelet is away too."""
        self.node.remove(pod)
        self.journal.notify()

    def health(self, pod: Pod, container: str) -> dict[str, dict[str, str]]:
        """status.containerStatuses[].allocatedResourcesStatus: resource → device → health."""
        return self.manager.health(pod, container)

    # What happened

    @property
    def history(self) -> list[NodeChange]:
        """Each change of the node's numbers."""
        return self.journal.history

    @property
    def received(self) -> list[ReceivedList]:
        """Each list of a plugin."""
        return self.journal.received

    @property
    def registrations(self) -> list[Registered]:
        """Each answered Register."""
        return self.journal.registrations

    @property
    def calls(self) -> list[Call]:
        """Each call to a plugin, ListAndWatch apart."""
        return self.journal.calls

    @property
    def violations(self) -> list[str]:
        """What a plugin did that a real kubelet would not survive, or would mix up, without complaining."""
        return self.journal.violations

    async def wait_for(self, predicate: Callable[[], bool], timeout: float = 20.0) -> None:
        """Until `predicate` holds, looked at after each event here; TimeoutError tells how things stood."""
        try:
            await self.journal.wait_for(predicate, timeout)
        except TimeoutError:
            numbers = {resource: str(counts) for resource, counts in self.node.counts.items()}
            tail = self.journal.registrations[-3:]
            raise TimeoutError(f"after {timeout} s: node {numbers}, last registrations {tail}") from None

    async def wait_for_counts(self, resource: str, allocatable: int, capacity: int, timeout: float = 20.0) -> None:
        """Until the node shows `allocatable`/`capacity`."""
        await self.wait_for(lambda: self.counts(resource) == Counts(capacity, allocatable), timeout)

    @property
    def manager(self) -> DeviceManager:
        """The running process' device manager."""
        assert self._process is not None, "the kubelet is stopped"
        return self._process.manager

    def refresh(self) -> None:
        """A node status sync now; a FakeClock that moves does it by itself."""
        if self._process is not None:
            self._process.manager.publish()

    def _time_moved(self) -> None:
        self.refresh()
        self.journal.notify()


class _Process:
    """What dies with a kubelet's process."""

    def __init__(self, double: KubeletDouble) -> None:
        self.manager = DeviceManager(
            double.directory,
            double.node,
            journal=double.journal,
            clock=double.clock,
            rng=double._rng,
            faults=double.faults,
        )
        self.clients = Clients(
            dial_timeout=double._dial_timeout,
            faults=double.faults,
            connected=self.manager.connected,
            received=self.manager.received,
            disconnected=self.manager.disconnected,
        )
        self.registration = grpc.aio.server()
        service = RegistrationService(double.directory, self.clients, journal=double.journal, faults=double.faults)
        add_RegistrationServicer_to_server(service, self.registration)
        self.podresources = grpc.aio.server()
        lister = PodResourcesService(self.manager, double.node, limit=double.limit, faults=double.faults)
        add_PodResourcesListerServicer_to_server(lister, self.podresources)

    async def end(self) -> None:
        """Cut every connection."""
        await self.registration.stop(grace=None)
        await self.clients.shut_down()
        await self.podresources.stop(grace=None)
