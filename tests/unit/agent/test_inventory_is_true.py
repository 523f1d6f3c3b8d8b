"""Whatever happens to devices, to the configuration and to the agent: what is told of a device is so."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from device_plugin_agent.inventory import Inventory
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_api.node import Device, Holder
from device_plugin_api.resource import Health

POD = Holder(namespace="default", pod="p", container="c")
DEVICES = frozenset("ab")
NAME = st.sampled_from(sorted(DEVICES))
SOME = st.frozensets(NAME)
ANSWERS = st.permutations(["ledger", "pods"]) | st.permutations(["ledger", "status", "pods"])
"""Who answers a new agent, in which order; the API server may be away."""


def nodes(name: str) -> frozenset[str]:
    return frozenset({f"/dev/{name}"})


class Node(RuleBasedStateMachine):
    """A node with two devices. Each rule ends with what an agent does at once: a look."""

    def __init__(self) -> None:
        super().__init__()
        self.present = self.wanted = DEVICES
        self.cordoned = self.used = self.ledger = frozenset[str]()
        self.time = 100.0
        self.start()
        self.look()
        self.ask()
        self.inherited = True

    @rule(name=NAME)
    def plug_or_pull(self, name: str) -> None:
        self.present ^= {name}
        self.look()

    @rule(name=NAME)
    def select_or_not(self, name: str) -> None:
        self.wanted ^= {name}
        self.inventory.reselect()
        self.look()

    @rule(name=NAME)
    def cordon_or_not(self, name: str) -> None:
        self.cordoned ^= {name}
        self.inventory.cordon(dict.fromkeys(self.cordoned, "lens broken"), now=self.now, monotonic=self.time)

    @rule()
    def pods_get_what_is_offered(self) -> None:
        self.used |= {name for name, entry in self.inventory.entries.items() if entry.healthy}
        self.ask()

    @rule(name=NAME)
    def a_pod_ends(self, name: str) -> None:
        self.used -= {name}
        self.ask()
        self.look()

    @rule(plugged=SOME, selected=SOME, cordoned=SOME, ended=SOME, order=ANSWERS)
    def another_agent_begins(
        self,
        plugged: frozenset[str],
        selected: frozenset[str],
        cordoned: frozenset[str],
        ended: frozenset[str],
        order: list[str],
    ) -> None:
        """All that has changed meanwhile it learns from whoever answers first."""
        status = self.status()
        self.present ^= plugged
        self.wanted ^= selected
        self.cordoned ^= cordoned
        self.used -= ended
        self.start()
        self.look()
        for who in order:
            match who:
                case "ledger":
                    owned = {name: nodes(name) for name in self.ledger - self.found}
                    there = owned.keys() & self.present
                    self.inventory.inherit(owned, there, now=self.now, monotonic=self.time)
                    self.inherited = True
                case "status":
                    since = dict.fromkeys(DEVICES, self.now)
                    self.inventory.adopt(status, since, alike=not selected, monotonic=self.time)
                case "pods":
                    self.ask()
            self.look()

    @invariant()
    def what_is_told_is_so(self) -> None:
        for name, entry in self.inventory.entries.items():
            present, wanted, cordoned = (name in each for each in (self.present, self.wanted, self.cordoned))
            match entry.track.reason:
                case "Works":
                    assert present and wanted and not cordoned
                case "Cordoned":
                    assert cordoned and (wanted or not present)
                case "DeviceMissing":
                    assert not present
                case "NotSelected":
                    assert name in self.used and not wanted
                case other:
                    raise AssertionError(other)

    @invariant()
    def what_is_there_and_wanted_is_told_of_and_so_is_what_is_used(self) -> None:
        assert self.found | self.used <= self.inventory.entries.keys()

    @invariant()
    def who_has_it_is_so(self) -> None:
        assert self.used == {name for name, entry in self.inventory.entries.items() if entry.holders}

    def start(self) -> None:
        self.inventory = Inventory(Health(success_threshold=1, failure_threshold=1), use_known=False)
        self.inventory.cordon(dict.fromkeys(self.cordoned, "lens broken"), now=self.now, monotonic=self.time)
        self.asked = self.inherited = False

    def look(self) -> None:
        """So long after the one before that nothing flaps."""
        self.time += 100
        entries = self.inventory.entries.values()
        back = self.inventory.missed.keys() & self.present
        unwanted = {entry.device.id: self.inventory.places(entry) for entry in entries if not entry.selected}
        gone = {name for name, places in unwanted.items() if places and name not in self.present}
        found = tuple(Candidate(id=name, path=f"/dev/{name}", nodes=tuple(nodes(name))) for name in sorted(self.found))
        discovery = Discovery(candidates=found, steps=())
        self.inventory.observe(discovery, gone=gone, back=back, now=self.now, monotonic=self.time)
        if self.asked and self.inherited:
            self.ledger &= self.inventory.entries.keys()
        self.ledger |= self.found

    def ask(self) -> None:
        """What podresources tells."""
        use = dict.fromkeys(self.used, (POD,))
        self.inventory.use(use, now=self.now, monotonic=self.time, asked=self.time)
        self.asked = True

    def status(self) -> list[Device]:
        """What the agent reports."""
        return [
            Device(
                id=entry.device.id,
                path=entry.device.path,
                state=entry.track.state,
                reason=entry.track.reason,
                message=entry.track.message,
                last_transition_time="2026-11-23T10:00:00Z",
                allocated_to=entry.holders,
            )
            for entry in self.inventory.entries.values()
        ]

    @property
    def found(self) -> frozenset[str]:
        return self.present & self.wanted

    @property
    def now(self) -> float:
        """Unix time."""
        return self.time + 1e9


TestNode = Node.TestCase
TestNode.settings = settings(max_examples=800, stateful_step_count=15, deadline=None)
