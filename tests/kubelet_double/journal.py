"""What happened at the double, in order, and waiting for it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from kubelet_double.clock import Clock
from kubelet_double.devices import Counts, Device


@dataclass(frozen=True)
class NodeChange:
    """The node's numbers for a resource became these."""

    at: float
    resource: str
    capacity: int
    allocatable: int


@dataclass(frozen=True)
class ReceivedList:
    """One message of a plugin's ListAndWatch stream."""

    at: float
    resource: str
    endpoint: str
    devices: tuple[Device, ...]


@dataclass(frozen=True)
class Registered:
    """One call of Register; `error` is what it was answered when it was refused."""

    at: float
    resource: str
    endpoint: str
    version: str
    error: str | None
    deadline: float | None
    """Seconds that the plugin left for it."""


@dataclass(frozen=True)
class Call:
    """One call of the kubelet to a plugin, noted before it is made."""

    at: float
    method: str
    resource: str
    endpoint: str
    devices: frozenset[str] = frozenset()
    must_include: frozenset[str] = frozenset()
    size: int = 0


class Journal:
    """The records, and a wake-up for those who wait for more."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.history: list[NodeChange] = []
        self.received: list[ReceivedList] = []
        self.registrations: list[Registered] = []
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self._waiting: set[asyncio.Future[None]] = set()

    def node_changed(self, resource: str, counts: Counts) -> None:
        """Note new numbers of the node."""
        self.history.append(NodeChange(self.clock.monotonic(), resource, counts.capacity, counts.allocatable))
        self.notify()

    def list_received(self, resource: str, endpoint: str, devices: tuple[Device, ...]) -> None:
        """Note a plugin's list."""
        self.received.append(ReceivedList(self.clock.monotonic(), resource, endpoint, devices))
        self.notify()

    def registered(self, resource: str, endpoint: str, version: str, error: str | None, deadline: float | None) -> None:
        """Note an answered Register."""
        self.registrations.append(Registered(self.clock.monotonic(), resource, endpoint, version, error, deadline))
        self.notify()

    def called(
        self,
        method: str,
        resource: str,
        endpoint: str,
        devices: frozenset[str] = frozenset(),
        must_include: frozenset[str] = frozenset(),
        size: int = 0,
    ) -> None:
        """Note a call that is about to be made."""
        self.calls.append(Call(self.clock.monotonic(), method, resource, endpoint, devices, must_include, size))
        self.notify()

    def notify(self) -> None:
        """Let all who wait look again."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for(self, predicate: Callable[[], bool], timeout: float) -> None:
        """Look at each change until `predicate` holds; TimeoutError after `timeout` seconds of real time."""
        async with asyncio.timeout(timeout):
            while not predicate():
                waiter = asyncio.get_running_loop().create_future()
                self._waiting.add(waiter)
                await waiter
