"""Whatever happens to a resource's devices, in whatever order: each state explains itself, and none is stuck."""

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from device_plugin_agent.entry import ALLOCATION_GRACE, MISSING_RETENTION
from device_plugin_agent.health.probes import EXISTS
from device_plugin_agent.health.tracker import WORKS, Look, Observation
from device_plugin_agent.health.verdict import FLAP_FAULT, FLAP_QUIET
from device_plugin_agent.inventory import Inventory
from device_plugin_agent.slots import device_of
from device_plugin_agent.sources import Candidate, Discovery, Unfit
from device_plugin_api.node import DeviceState, Holder
from device_plugin_api.resource import Health, Probe

POD = Holder(namespace="default", pod="p", container="c")
BEAT = Probe(type="HeartbeatFile", name="x", max_age_seconds=5)
DEAD = Observation(look=Look.BAD, reason="HeartbeatMissing", message="x was not touched for more than 5 s")
BLIND = Observation(look=Look.FAILED, reason="ProbeFailed", message="I/O error")
DOWN = Observation(look=Look.ABSENT, reason="LinkDown", message="eth0 is down")

DEVICES = ("a", "b", "c")
NAMES = st.sets(st.sampled_from(DEVICES))


class Devices(RuleBasedStateMachine):
    """One inventory; the model knows what is there, what is wanted, and who has what."""

    @initialize(failing=st.integers(1, 4), recovering=st.integers(1, 4), probes=st.sampled_from([1, 2]))
    def begin(self, failing: int, recovering: int, probes: int) -> None:
        self.health = Health(
            probes=(EXISTS, BEAT)[:probes], failure_threshold=failing, success_threshold=recovering, period_seconds=1
        )
        self.inventory = Inventory(self.health)
        self.time = 100.0
        self.there: set[str] = set()
        self.cordoned: set[str] = set()
        self.draining = False
        self.used: set[str] = set()

    @rule(
        there=NAMES,
        gone=NAMES,
        unfit=NAMES,
        withheld=NAMES,
        driver=st.sampled_from("xy"),
        after=st.sampled_from([0.05, 1, 4, 40]),
    )
    def look(
        self, there: set[str], gone: set[str], unfit: set[str], withheld: set[str], driver: str, after: float
    ) -> None:
        self.time += after
        self.there = there - unfit - withheld
        self.inventory.observe(
            Discovery(
                candidates=tuple(self.candidate(name, driver) for name in sorted(self.there)),
                steps=(),
                unfit={name: Unfit(reason="UsedByHost", why="the host uses it") for name in unfit},
                withheld=dict.fromkeys(withheld - unfit, "belongs to config other"),
            ),
            gone=gone,
            now=self.now,
            monotonic=self.time,
        )

    @rule(seen=st.dictionaries(st.sampled_from(DEVICES), st.sampled_from([WORKS, DEAD, BLIND, DOWN]), min_size=1))
    def probe(self, seen: dict[str, Observation]) -> None:
        told = {(name, BEAT): observation for name, observation in seen.items()}
        self.inventory.probed(told, now=self.now, monotonic=self.time)

    @rule(names=NAMES, share=st.integers(0, 2))
    def use(self, names: set[str], share: int) -> None:
        self.used = names
        slots = (name if self.inventory.replicas == 1 else f"{name}::{share}" for name in names)
        self.inventory.use(dict.fromkeys(slots, (POD,)), now=self.now, monotonic=self.time, asked=self.time)

    @rule(data=st.data())
    @precondition(lambda self: any(healthy for _, healthy in self.inventory.all_slots()))
    def allocate(self, data: st.DataObject) -> None:
        healthy = [slot for slot, healthy in self.inventory.all_slots() if healthy]
        self.inventory.allocated([data.draw(st.sampled_from(healthy))], monotonic=self.time)

    @rule(names=NAMES)
    def cordon(self, names: set[str]) -> None:
        self.cordoned = names
        self.inventory.cordon(dict.fromkeys(names, "lens broken"), now=self.now, monotonic=self.time)

    @rule(replicas=st.integers(1, 3))
    def share(self, replicas: int) -> None:
        self.inventory.share(replicas)

    @rule()
    def select_anew(self) -> None:
        self.inventory.reselect()
        self.see(self.there)

    @rule()
    def drain(self) -> None:
        self.draining = True
        self.inventory.drain(now=self.now, monotonic=self.time)

    @rule()
    def restore(self) -> None:
        self.draining = False
        self.inventory.restore()
        self.see(self.there)

    @invariant()
    def every_state_explains_itself(self) -> None:
        for entry in self.inventory.entries.values():
            assert entry.track.reason
            assert entry.track.message or entry.track.state is DeviceState.HEALTHY
            assert entry.track.since <= self.now

    @invariant()
    def only_what_is_there_and_wanted_is_offered(self) -> None:
        offered = {device_of(slot) for slot, healthy in self.inventory.all_slots() if healthy}
        assert offered <= self.there - self.cordoned
        assert not (offered and self.draining)

    @invariant()
    def what_a_container_has_stays_listed(self) -> None:
        assert self.used <= self.inventory.entries.keys()
        slots = dict(self.inventory.all_slots())
        assert all(entry.taken <= slots.keys() for entry in self.inventory.entries.values())

    def teardown(self) -> None:
        if not hasattr(self, "inventory"):
            return
        self.restore()
        self.cordon(set())
        self.use(set(), 0)
        self.comes_back()
        self.goes()

    def comes_back(self) -> None:
        """What is there and works is healthy, in a time that the settings tell."""
        longest = ALLOCATION_GRACE + FLAP_QUIET + self.health.success_threshold + self.health.failure_threshold
        for _ in range(int(longest) + 2):
            self.time += 1
            self.see(DEVICES)
            self.probe(dict.fromkeys(DEVICES, WORKS))
        assert {name: entry.track.reason for name, entry in self.inventory.entries.items()} == dict.fromkeys(
            DEVICES, "Works"
        )
        assert all(healthy for _, healthy in self.inventory.all_slots())

    def goes(self) -> None:
        """What is gone is told as that, and forgotten in the end; what is not wanted leaves at once."""
        for _ in range(int(FLAP_FAULT) + 2):
            self.time += 1
            self.see(DEVICES[1:])
        assert self.inventory.entries["a"].track.reason == "DeviceMissing"
        self.time += MISSING_RETENTION
        self.see(DEVICES[1:])
        assert list(self.inventory.entries) == ["b", "c"]
        self.drain()
        assert not self.inventory.entries

    def see(self, names: Iterable[str]) -> None:
        self.there = set(names)
        found = tuple(self.candidate(name, "x") for name in sorted(self.there))
        self.inventory.observe(Discovery(candidates=found, steps=()), now=self.now, monotonic=self.time)

    def candidate(self, name: str, driver: str) -> Candidate:
        return Candidate(id=name, path=f"/dev/{name}", nodes=(f"/dev/{name}",), attributes={"driver": driver})

    @property
    def now(self) -> float:
        """Unix time."""
        return self.time + 1e9


TestDevices = Devices.TestCase
TestDevices.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
