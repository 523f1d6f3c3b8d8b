"""A table of devices with a clock of its own."""

from collections.abc import Collection, Mapping

from device_plugin_agent.inventory import Inventory
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_api.node import Device, DeviceState, Holder
from device_plugin_api.resource import Health

POD = Holder(namespace="default", pod="p", container="c")


def working(*names: str) -> list[Device]:
    """What the last agent process reported of devices that worked."""
    stamp = "2026-11-23T10:00:00Z"
    return [
        Device(id=name, path=f"/dev/{name}", state=DeviceState.HEALTHY, reason="Works", last_transition_time=stamp)
        for name in names
    ]


class Bench:
    """An inventory with a clock of its own."""

    def __init__(self, replicas: int = 1, *, known: bool = True) -> None:
        self.inventory = Inventory(Health(success_threshold=1), replicas, use_known=known)
        self.time = 100.0

    def see(self, *names: str, after: float = 0, gone: tuple[str, ...] = (), back: tuple[str, ...] = ()) -> None:
        found = tuple(Candidate(id=name, path=f"/dev/{name}", nodes=(f"/dev/{name}",)) for name in names)
        self.take(Discovery(candidates=found, steps=()), after=after, gone=gone, back=back)

    def take(
        self, discovery: Discovery, after: float = 0, gone: tuple[str, ...] = (), back: tuple[str, ...] = ()
    ) -> None:
        self.time += after
        self.inventory.observe(discovery, gone=gone, back=back, now=self.time + 1e9, monotonic=self.time)

    def use(self, *names: str) -> None:
        self.inventory.use(dict.fromkeys(names, (POD,)), now=self.time + 1e9, monotonic=self.time, asked=self.time)

    def inherit(self, owned: Mapping[str, frozenset[str]], there: Collection[str] = ()) -> None:
        self.inventory.inherit(owned, there, now=self.time + 1e9, monotonic=self.time)

    def slots(self, name: str) -> dict[str, bool]:
        return self.inventory.slots(self.inventory.entries[name])

    @property
    def states(self) -> dict[str, str]:
        return {name: entry.track.reason for name, entry in self.inventory.entries.items()}
