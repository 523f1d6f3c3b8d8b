"""When a status is written, and what a storm in the fleet costs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from device_plugin_api.config import ConfigStatus
from device_plugin_operator.apply import Applier
from device_plugin_operator.client import JSON
from device_plugin_operator.events import Recorder
from device_plugin_operator.facts import Calm, Config, NodeObject, Snapshot
from device_plugin_operator.observe import Observer
from device_plugin_operator.queue import Request, WorkQueue
from device_plugin_operator.reconcile import ConfigReconciler
from manual_clock import ManualClock
from operator_fixture import NOW, SETTINGS, config, counts, daemons, node, snapshot, trouble

NODES = 5000
FINE = node("a")
BROKEN = node("a", devices=counts(1, 1), troubles=(trouble("video3"),))


class World:
    """A reconciler, and an API server that keeps what it writes."""

    def __init__(self, see: Callable[[Config], Snapshot]) -> None:
        self.clock = ManualClock()
        self.clock.unix = NOW
        self.see = see
        self.config = config()
        self.written: list[ConfigStatus] = []
        self.events: list[str] = []
        recorder = Recorder(self, self.clock, "operator-1")
        queue = cast("WorkQueue", None)
        self.reconciler = ConfigReconciler(
            cast("Observer", self), cast("Applier", self), recorder, queue, SETTINGS, self.clock
        )

    async def observe(self, _: str) -> Snapshot:
        """As the observer does."""
        return replace(self.see(self.config), now=self.clock.now(), config=self.config)

    async def apply(self, actions: list[Any]) -> list[Any]:
        """As the applier does."""
        assert actions == []
        return []

    async def write_status(self, _: Config, status: ConfigStatus) -> None:
        """As the applier does."""
        self.written.append(status)
        self.config = replace(self.config, status=status)

    async def request(
        self, method: str, path: str, *, params: object = None, body: Any = None, content_type: str = JSON
    ) -> bytes:
        """As the client does, for Events."""
        self.events.append(body["reason"])
        return b"{}"

    async def look(self) -> float | None:
        """Look once; when it wants to look again."""
        return (await self.reconciler.reconcile(Request("cameras"))).requeue_after


async def test_a_first_change_is_told_at_once_and_the_next_when_half_a_second_has_passed() -> None:
    found: list[NodeObject] = [FINE]
    world = World(lambda _: snapshot(*found))
    await world.look()
    assert len(world.written) == 1
    found[:] = [BROKEN]
    again = await world.look()
    assert (len(world.written), again) == (1, 0.5)
    world.clock.advance(0.5)
    await world.look()
    assert [status.devices.unhealthy for status in world.written] == [0, 1]


async def test_what_has_not_changed_is_not_told_again() -> None:
    world = World(lambda _: snapshot(FINE))
    for _ in range(100):
        world.clock.advance(1.0)
        await world.look()
    assert len(world.written) == 1


async def test_before_the_first_list_is_whole_nothing_is_concluded() -> None:
    complete = False
    world = World(lambda _: replace(snapshot(FINE), fleet_complete=complete))
    for _ in range(5):
        world.clock.advance(1.0)
        await world.look()
    (first,) = world.written
    assert {condition.status for condition in first.conditions} == {"Unknown"}
    assert world.events == []
    complete = True
    await world.look()
    assert world.written[-1].devices.healthy == 2


async def test_a_storm_over_5000_nodes_is_two_writes_a_second_and_a_handful_of_events() -> None:
    in_place, seconds, looks_a_second = daemons(NODES), 50, 10

    def see(_: Config) -> Snapshot:
        at = round((world.clock.now() - NOW) * looks_a_second)
        broken = 10 * at if at % 2 else 0
        calm = Calm(nodes=NODES - 1, devices=counts(2 * NODES - 2 - broken, broken))
        return replace(snapshot(BROKEN if broken else FINE), daemons=in_place, calm=calm)

    world = World(see)
    for _ in range(seconds * looks_a_second):
        await world.look()
        world.clock.advance(1 / looks_a_second)
    assert 1 < len(world.written) <= 2 * seconds
    assert 1 < len(world.events) <= 10 + seconds / 30
