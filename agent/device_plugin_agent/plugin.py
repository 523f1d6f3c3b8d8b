"""The device plugin service of one resource. Transport only: what to answer is decided in inventory and allocation."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence

import grpc
import grpc.aio

from device_plugin_agent import allocation, preference
from device_plugin_agent.cdi.files import CdiFile
from device_plugin_agent.cdi.spec import name_of
from device_plugin_agent.clock import Clock
from device_plugin_agent.entry import Entry
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from device_plugin_agent.metrics import Metrics
from device_plugin_agent.pace import Pace
from device_plugin_agent.signal import Signal
from device_plugin_api.resource import Resource

LIST_INTERVAL, LISTS_AT_ONCE = 0.1, 3
"""Seconds between two lists on one stream, after the first and a few more that may follow at once: each makes the
kubelet rewrite its checkpoint (R15)."""

_log = logging.getLogger(__name__)


class Stream:
    """The one ListAndWatch stream that belongs to a registration, or a checker's."""

    def __init__(self, options: api.DevicePluginOptions | None = None) -> None:
        self.options = options
        """What the kubelet was told at its registration."""
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()


class Streams:
    """Tells the kubelet's stream from those of checkers, which must not look like a registration."""

    def __init__(self) -> None:
        self._expected: Stream | None = None

    def expect(self, options: api.DevicePluginOptions) -> Stream:
        """Call before Register: the next stream to open is the kubelet's."""
        self._expected = Stream(options)
        return self._expected

    def open(self) -> Stream:
        """A stream opened."""
        stream, self._expected = self._expected or Stream(), None
        stream.opened.set()
        return stream


class DevicePlugin(rpc.DevicePluginServicer):
    """Serves the devices of one inventory."""

    def __init__(
        self,
        resource: Resource,
        inventory: Inventory,
        *,
        clock: Clock,
        metrics: Metrics,
        handed_out: Callable[[], None],
        there: Callable[[str], bool],
        look_again: Callable[[], None],
    ) -> None:
        """`there`: whether a host path leads to something. `look_again` is called when what was seen is not so."""
        self.resource = resource
        self.inventory = inventory
        self.cdi: CdiFile | None = None
        """Where the devices are told to container runtimes, when they are."""
        self.changed = Signal()
        self.streams = Streams()
        self.leaving = False
        self._clock = clock
        self._metrics = metrics
        self._handed_out = handed_out
        self._there = there
        self._look_again = look_again

    @property
    def options(self) -> api.DevicePluginOptions:
        """What the kubelet has to know at a registration, and learns at no other time."""
        return api.DevicePluginOptions(
            pre_start_required=self.resource.allocation.pre_start.verify_healthy,
            get_preferred_allocation_available=True,
        )

    def leave(self) -> None:
        """End the kubelet's stream once it has carried an empty list."""
        self.leaving = True
        self.changed.fire()

    async def GetDevicePluginOptions(  # noqa: N802  (the kubelet's name)
        self, request: api.Empty, context: "grpc.aio.ServicerContext[api.Empty, api.DevicePluginOptions]"
    ) -> api.DevicePluginOptions:
        """Tell which of the optional calls are wanted."""
        return self.options

    async def ListAndWatch(  # noqa: N802
        self, request: api.Empty, context: "grpc.aio.ServicerContext[api.Empty, api.ListAndWatchResponse]"
    ) -> AsyncIterator[api.ListAndWatchResponse]:
        """The whole list at once, and again after each change, until the kubelet has to ask for other options."""
        stream = self.streams.open()
        pace = Pace(LIST_INTERVAL, at_once=LISTS_AT_ONCE)
        try:
            told: api.ListAndWatchResponse | None = None
            while True:
                seen = self.changed.count
                response = device_list(self.inventory)
                if response != told:
                    told = response
                    yield response
                if self.leaving and not response.devices:
                    return  # the end of the stream carries what was sent before; breaking it off might not
                if stream.options not in (None, self.options):
                    return  # only a new registration tells them
                await self.changed.after(seen)
                await asyncio.sleep(pace.wait(self._clock.monotonic()))
        finally:
            stream.closed.set()

    async def GetPreferredAllocation(  # noqa: N802
        self,
        request: api.PreferredAllocationRequest,
        context: "grpc.aio.ServicerContext[api.PreferredAllocationRequest, api.PreferredAllocationResponse]",
    ) -> api.PreferredAllocationResponse:
        """Choose devices for each container."""
        response = api.PreferredAllocationResponse()
        for wanted in request.container_requests:
            chosen = preference.preferred(
                self.resource.allocation.policy,
                self.inventory.entries,
                self.inventory.replicas,
                wanted.available_deviceIDs,
                wanted.must_include_deviceIDs,
                wanted.allocation_size,
            )
            response.container_responses.add(deviceIDs=chosen)
        return response

    async def Allocate(  # noqa: N802
        self,
        request: api.AllocateRequest,
        context: "grpc.aio.ServicerContext[api.AllocateRequest, api.AllocateResponse]",
    ) -> api.AllocateResponse:
        """What each container gets; refused as a whole when one device must not be handed out (R11, R12)."""
        with self._metrics.allocate.time(self.resource.name):
            try:
                response = self._answer(request)
            except allocation.Refused as error:
                self._metrics.refusals.add(self.resource.name)
                self._refused("Refused an allocation", error)
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        self._metrics.allocations.add(self.resource.name, count=len(response.container_responses))
        self._handed_out()
        return response

    def _answer(self, request: api.AllocateRequest) -> api.AllocateResponse:
        response = api.AllocateResponse()
        slots: list[str] = []
        for wanted in request.container_requests:
            entries = allocation.pick(self.inventory, wanted.devices_ids, self.resource.sharing.max_per_container)
            allocation.still_there(entries, self._there)
            resource = self.resource
            granted = allocation.grant(resource.name, resource.allocation, entries, resource.source)
            names = None if self.cdi is None else self._cdi_names(self.cdi, entries)
            response.container_responses.append(container_response(granted, names))
            slots += wanted.devices_ids
        self.inventory.allocated(slots, monotonic=self._clock.monotonic())
        return response

    def _cdi_names(self, file: CdiFile, entries: Sequence[Entry]) -> list[str]:
        names = [
            name_of(entry.device.id, self.resource.allocation)
            for entry in entries
            if entry.device.nodes or entry.device.shared_nodes
        ]
        for name in names:
            if name not in file.devices:
                raise allocation.Refused(f"the CDI spec does not have {name}: {file.trouble or 'not written yet'}")
        return [file.qualified(name) for name in names]

    async def PreStartContainer(  # noqa: N802
        self,
        request: api.PreStartContainerRequest,
        context: "grpc.aio.ServicerContext[api.PreStartContainerRequest, api.PreStartContainerResponse]",
    ) -> api.PreStartContainerResponse:
        """Refuse the start of a container whose devices do not work."""
        try:
            allocation.verify(self.inventory, request.devices_ids, self._there)
        except allocation.Refused as error:
            self._refused("Refused a start", error)
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return api.PreStartContainerResponse()

    def _refused(self, what: str, error: allocation.Refused) -> None:
        _log.warning(what, extra={"resource": self.resource.name, "err": str(error)})
        if isinstance(error, allocation.Vanished):
            self._look_again()


def device_list(inventory: Inventory) -> api.ListAndWatchResponse:
    """What the kubelet is told of every slot."""
    response = api.ListAndWatchResponse()
    for entry in inventory.entries.values():
        for slot_id, healthy in inventory.slots(entry).items():
            device = response.devices.add(ID=slot_id, health="Healthy" if healthy else "Unhealthy")
            if entry.device.numa_node is not None:
                device.topology.nodes.add(ID=entry.device.numa_node)
    return response


def container_response(granted: allocation.Grant, cdi_names: Sequence[str] | None) -> api.ContainerAllocateResponse:
    """A grant in the kubelet's words: its device nodes, or the names that the container runtime has for them."""
    response = api.ContainerAllocateResponse(envs=granted.env, annotations=granted.annotations)
    for name in (*granted.cdi_devices, *(cdi_names or ())):
        response.cdi_devices.add(name=name)
    for node in granted.nodes if cdi_names is None else ():
        response.devices.add(host_path=node.host_path, container_path=node.container_path, permissions=node.permissions)
    for mount in granted.mounts:
        response.mounts.add(host_path=mount.host_path, container_path=mount.container_path, read_only=mount.read_only)
    return response
