"""The one table of a resource's devices: discovery, health and use come in, everything else reads it."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from device_plugin_agent.entry import (
    CLAIMED,
    NOT_SELECTED,
    Entry,
    first_look,
    forgettable,
    handed_on,
    held_before,
    judged,
    look,
    missing,
    recognised,
    reported,
    unwanted,
    unwanted_and_gone,
    without_old_allocations,
)
from device_plugin_agent.health.tracker import Observation, step
from device_plugin_agent.slots import device_of, slot_ids
from device_plugin_agent.sources import Candidate, Discovery
from device_plugin_api.config import DeviceCounts, SlotCounts
from device_plugin_api.node import Device, DeviceState, Holder, SelectionStep
from device_plugin_api.resource import Health, Probe


class Inventory:
    """The devices of one resource. Nothing here does I/O or reads a clock.

    `version` moves with every change that somebody has to be told of: an Allocate is none, who asked for it knows.
    """

    def __init__(self, health: Health, replicas: int = 1, *, use_known: bool = True) -> None:
        """`use_known`: whether podresources has told who has what; before `use`, what is left out may be in use."""
        self.health = health
        self.replicas = replicas
        self.version = 0
        self.steps: tuple[SelectionStep, ...] = ()
        self._entries: dict[str, Entry] = {}
        self._cordoned: Mapping[str, str] = {}
        self._draining = False
        self._use_known = use_known
        self._owned: Mapping[str, frozenset[str]] = {}
        """Of what was ours before this process began and no look has found: ID → the nodes that it had."""
        self._left: frozenset[str] = frozenset()
        """IDs of these that are there, and so are not wanted now."""
        self._reported: dict[str, Candidate] = {}
        """Of what the last agent process told and no look has found: ID → what it said of it."""
        self._unselected: frozenset[str] = frozenset()
        """IDs of what was not wanted any more when the resource left the configuration."""
        self._awaited: frozenset[str] = frozenset()
        """IDs of what the configuration wants again: it is missing if the next look does not find it."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """ID → device, sorted by ID."""
        return self._entries

    @property
    def settled(self) -> bool:
        """Whether no device is on its way back to Healthy."""
        return all(entry.settled for entry in self._entries.values())

    @property
    def judged(self) -> bool:
        """Whether no probe is new to a device that was known before the configuration asked for it.

        Until then such a device is what it was. Of one that is new itself it is told that it was not looked at.
        """
        probes = set(self.health.probes)
        return all(
            probes <= entry.tracks.keys() for entry in self._entries.values() if entry.present and entry.selected
        )

    @property
    def drained(self) -> bool:
        """Whether the resource has left the configuration and nobody has anything of it any more."""
        return self._draining and self._use_known and not self._entries

    def observe(
        self,
        discovery: Discovery,
        *,
        gone: Collection[str] = (),
        back: Collection[str] = (),
        now: float,
        monotonic: float,
    ) -> None:
        """Take in one look at the host. `now` is Unix time.

        `gone`: IDs of what was not wanted before this look, and is not on the node any more. `back`: IDs of what was
        `missed` before it, and is on the node again: if the look did not find it, it is not wanted.
        """
        found = {candidate.id: candidate for candidate in discovery.candidates}
        if self._draining:
            self._replace(
                {
                    device_id: self._left_out(recognised(entry, found), device_id in gone, now, monotonic)
                    for device_id, entry in self._entries.items()
                }
            )
            self._forget(monotonic)
            return
        if unfound := set(back) - discovery.unfit.keys():
            self._deselect(unfound)
        entries = {
            device_id: self._seen(device_id, found, discovery, gone, now, monotonic)
            for device_id in sorted({*found, *self._entries})
        }
        if discovery.steps != self.steps:
            self.steps = discovery.steps
            self.version += 1
        self._awaited = frozenset()
        self._owned = {device_id: nodes for device_id, nodes in self._owned.items() if device_id not in found}
        self._replace(entries)
        self._forget(monotonic)

    def use(self, holders: Mapping[str, tuple[Holder, ...]], *, now: float, monotonic: float, asked: float) -> None:
        """Take in who has which slot, as podresources tells; a used device that nobody found is listed as missing.

        `asked` is the monotonic time of the question: what it names of earlier Allocates it will miss no more.
        """
        self._use_known = True
        use: dict[str, dict[str, tuple[Holder, ...]]] = {}
        for slot_id in sorted(holders):
            use.setdefault(device_of(slot_id), {})[slot_id] = holders[slot_id]
        entries = dict(self._entries)
        for device_id, entry in self._entries.items():
            held = use.get(device_id, {})
            awaited = {slot_id: at for slot_id, at in entry.allocated_at.items() if slot_id not in held or at >= asked}
            if held != entry.use or awaited != entry.allocated_at:
                entries[device_id] = replace(entry, use=held, allocated_at=awaited)
        for device_id in use.keys() - entries.keys():
            entries[device_id] = replace(self._missing(device_id, now, monotonic), use=use[device_id])
        self._replace(dict(sorted(entries.items())))
        self._forget(monotonic)

    def inherit(
        self, owned: Mapping[str, frozenset[str]], there: Collection[str], *, now: float, monotonic: float
    ) -> None:
        """These were ours before this process began, and no look has found them: ID → nodes, by their host paths.

        Those that are `there` are not wanted now. The others are listed as missing.
        """
        self._owned = owned
        self._left = frozenset(there)
        entries = dict(self._entries)
        for device_id in owned:
            known = entries.get(device_id)
            if known is None and device_id not in self._left:
                entries[device_id] = self._missing(device_id, now, monotonic)
            elif known is not None and not known.present and device_id in self._left:
                entries[device_id] = unwanted(known, now)
        self._replace(dict(sorted(entries.items())))

    @property
    def missed(self) -> Mapping[str, frozenset[str]]:
        """Of what was ours before this process began and is missing since: ID → the nodes that it had."""
        missing = (self._entries.get(device_id) for device_id in self._owned)
        return {
            entry.device.id: self._owned[entry.device.id]
            for entry in missing
            if entry is not None and entry.selected and not entry.present
        }

    def places(self, entry: Entry) -> frozenset[str]:
        """Host paths that lead to something for as long as a device is on the node; none when that is not known."""
        return entry.places or self._owned.get(entry.device.id, frozenset())

    def probed(self, seen: Mapping[tuple[str, Probe], Observation], *, now: float, monotonic: float) -> None:
        """Take in what polled probes saw of devices. Of one that is gone, or that nobody wants, it is no news."""
        entries = dict(self._entries)
        for (device_id, probe), observation in seen.items():
            entry = entries.get(device_id)
            if entry is not None and entry.present and entry.selected and probe in self.health.probes:
                track = step(entry.tracks.get(probe), observation, self.health, now=now, monotonic=monotonic)
                entries[device_id] = replace(entry, tracks={**entry.tracks, probe: track})
        for device_id in {device_id for device_id, _ in seen} & entries.keys():
            entries[device_id] = self._judged(entries[device_id], now, monotonic)
        self._replace(entries)

    def cordon(self, reasons: Mapping[str, str], *, now: float, monotonic: float) -> set[str]:
        """These are not handed out, and why; all others are. Which of them were cordoned before."""
        lifted = self._cordoned.keys() - reasons.keys()
        self._cordoned = dict(reasons)
        self._replace({device_id: self._judged(entry, now, monotonic) for device_id, entry in self._entries.items()})
        return lifted

    def share(self, replicas: int) -> None:
        """Offer each device as so many slots."""
        if replicas != self.replicas:
            self.replicas = replicas
            self.version += 1

    def all_slots(self) -> Iterator[tuple[str, bool]]:
        """Every slot and whether it is healthy."""
        for entry in self._entries.values():
            yield from self.slots(entry).items()

    def slots(self, entry: Entry) -> dict[str, bool]:
        """What the kubelet is told of a device: slot → whether it is healthy.

        Slots from before a change of its sharing stay until they are free, and until then nobody is given another one:
        who has them was not told of sharing it so.
        """
        offered = slot_ids(entry.device.id, self.replicas)
        former = entry.taken.difference(offered)
        slots = {slot_id: entry.healthy and (not former or slot_id in entry.taken) for slot_id in offered}
        return slots | dict.fromkeys(sorted(former), False)

    def allocated(self, slots: Iterable[str], *, monotonic: float) -> None:
        """Note that these were just handed out."""
        for slot_id in slots:
            entry = self._entries[device_of(slot_id)]
            allocated_at = {**entry.allocated_at, slot_id: monotonic}
            self._entries[entry.device.id] = replace(entry, allocated_at=allocated_at)

    def adopt(self, devices: Iterable[Device], since: Mapping[str, float], *, alike: bool, monotonic: float) -> None:
        """Take over from what the last agent process reported: since when, who has what, what is not there any more.

        `since` is Unix time for each device's ID. The next look tells which of them are missing. Not `alike`: the
        configuration was another one, and what is not here now may just not be wanted.
        """
        entries = dict(self._entries)
        for device in devices:
            known = entries.get(device.id)
            if known is not None:
                entries[device.id] = self._as_before(known, device, since[device.id])
                continue
            self._reported[device.id] = reported(device)
            if alike and (device.allocated_to if self._draining else device.reason not in (NOT_SELECTED, CLAIMED)):
                use = {} if self._use_known else held_before(device, self.replicas)
                entries[device.id] = handed_on(
                    device, use, selected=not self._draining, since=since[device.id], monotonic=monotonic
                )
        self._replace(dict(sorted(entries.items())))

    def reselect(self) -> None:
        """The configuration selects anew: what the next look does not find is not missing but no longer wanted."""
        self._awaited = frozenset()
        self._deselect(self._entries.keys())

    def restore(self) -> None:
        """The resource is back in the configuration, as it was; the next look tells what is missing of it."""
        self._draining = False
        self._awaited = frozenset(self._entries) - self._unselected

    def drain(self, *, now: float, monotonic: float) -> None:
        """The resource leaves the configuration: free devices go, used ones stay Unhealthy until they are free."""
        self._draining = True
        self._unselected = frozenset(device_id for device_id, entry in self._entries.items() if not entry.selected)
        self._replace({device_id: unwanted(entry, now) for device_id, entry in self._entries.items()})
        self._forget(monotonic)

    def counts(self) -> DeviceCounts:
        """All of them, counted."""
        states = [entry.track.state for entry in self._entries.values()]
        return DeviceCounts(
            total=len(states),
            healthy=states.count(DeviceState.HEALTHY),
            unhealthy=states.count(DeviceState.UNHEALTHY),
            unknown=states.count(DeviceState.UNKNOWN),
            cordoned=states.count(DeviceState.CORDONED),
            allocated=sum(bool(entry.use) for entry in self._entries.values()),
        )

    def slot_counts(self, entry: Entry) -> SlotCounts:
        """The slots of a device, counted."""
        return SlotCounts(total=len(self.slots(entry)), used=len(entry.use))

    def _seen(
        self,
        device_id: str,
        found: Mapping[str, Candidate],
        discovery: Discovery,
        gone: Collection[str],
        now: float,
        monotonic: float,
    ) -> Entry:
        """A device, known or new, after this look."""
        known = self._entries.get(device_id)
        if known is None:
            return self._judged(first_look(found[device_id], self.health, now=now, monotonic=monotonic), now, monotonic)
        why = discovery.withheld.get(device_id)
        if why is not None:
            return unwanted(known, now, CLAIMED, why)
        if device_id in self._awaited and device_id not in found:
            known = replace(known, selected=True)
        if device_id in gone and device_id not in found and not known.selected:
            return self._judged(unwanted_and_gone(known, now), now, monotonic)
        seen = look(
            known, found.get(device_id), discovery.unfit.get(device_id), self.health, now=now, monotonic=monotonic
        )
        return known if seen is known else self._judged(seen, now, monotonic)

    def _as_before(self, known: Entry, device: Device, since: float) -> Entry:
        """With what the last agent process reported of it, where that is all there is to know."""
        if known.track.state is device.state:
            known = replace(known, track=replace(known.track, since=min(known.track.since, since)))
        if device.allocated_to and not self._use_known:
            known = replace(known, use=held_before(device, self.replicas))
        return recognised(known, {device.id: reported(device)})

    def _deselect(self, device_ids: Collection[str]) -> None:
        """What the next look does not find of these is not wanted."""
        entries = {
            device_id: replace(entry, selected=False) if device_id in device_ids else entry
            for device_id, entry in self._entries.items()
        }
        self._replace(entries, quietly=True)

    def _missing(self, device_id: str, now: float, monotonic: float) -> Entry:
        entry = recognised(missing(device_id, self.health, now=now, monotonic=monotonic), self._reported)
        if self._draining or device_id in self._left:
            return unwanted(entry, now)
        return self._judged(entry, now, monotonic)

    def _left_out(self, entry: Entry, gone: bool, now: float, monotonic: float) -> Entry:
        return self._judged(unwanted_and_gone(entry, now) if gone else unwanted(entry, now), now, monotonic)

    def _judged(self, entry: Entry, now: float, monotonic: float) -> Entry:
        return judged(entry, self._cordoned.get(entry.device.id), now=now, monotonic=monotonic)

    def _forget(self, monotonic: float) -> None:
        entries = {
            device_id: without_old_allocations(entry, monotonic) if entry.allocated_at else entry
            for device_id, entry in self._entries.items()
        }
        if self._use_known:
            entries = {device_id: entry for device_id, entry in entries.items() if not forgettable(entry, monotonic)}
        self._replace(entries)

    def _replace(self, entries: dict[str, Entry], *, quietly: bool = False) -> None:
        if entries != self._entries:
            self._entries = entries
            if not quietly:
                self.version += 1
