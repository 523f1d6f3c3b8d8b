"""The one table of a resource's devices: discovery, health and use come in, everything else reads it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from device_plugin_agent.health.probes import EXISTS, exists
from device_plugin_agent.health.tracker import Observation, Track, step
from device_plugin_agent.health.verdict import STEADY, Flaps, restless, shown, worst
from device_plugin_agent.slots import device_of, slot_ids
from device_plugin_agent.sources import Candidate, Discovery, Unfit
from device_plugin_agent.sources.base import DRIVER, DRIVER_CHANGED
from device_plugin_api.config import DeviceCounts, SlotCounts
from device_plugin_api.node import Device, DeviceState, Holder, SelectionStep
from device_plugin_api.resource import Health, Probe

MISSING_RETENTION = 3600.0
"""Seconds that a free device stays listed as missing, so that people can see that, and since when, it is gone."""

ALLOCATION_GRACE = 30.0
"""Seconds after an Allocate in which the device counts as used although podresources does not name it yet (R8)."""


NOT_SELECTED = "NotSelected"
"""Reason of a device that the configuration no longer wants."""

CLAIMED = "ClaimedByOtherConfig"
"""Reason of a device that a container still has, and that then goes to another configuration."""


_LEAVES = "it goes when the container that has it ends"

Tracks = Mapping[Probe, Track | None]
"""A device's probes, Exists first; None for one that has not looked yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One device and all that is known of it."""

    device: Candidate
    """As last seen."""
    track: Track
    """What everybody is told."""
    tracks: Tracks = field(default_factory=dict)
    worst: Track | None = None
    """The worst of `tracks`: what would be told if it neither flapped nor were cordoned."""
    flaps: Flaps = STEADY
    present: bool = True
    selected: bool = True
    """Whether the configuration still wants it."""
    use: Mapping[str, tuple[Holder, ...]] = field(default_factory=dict)
    """Slot → who has it, for those that somebody has."""
    allocated_at: Mapping[str, float] = field(default_factory=dict)
    """Slot → monotonic time of its last Allocate, for as long as podresources may not know of it (R8)."""
    gone_at: float | None = None
    """Monotonic time of the look that missed it first."""

    @property
    def settled(self) -> bool:
        """Whether it is not on its way back to Healthy."""
        return not self.flaps.flapping and all(track is None or track.settled for track in self.tracks.values())

    @property
    def holders(self) -> tuple[Holder, ...]:
        """Who has it, each once."""
        return tuple(dict.fromkeys(holder for holders in self.use.values() for holder in holders))

    @property
    def calm(self) -> bool:
        """Whether a look that finds it as it is would change nothing."""
        return (
            self.present
            and self.selected
            and not self.flaps.turns
            and self.device.failure is None
            and self.device.trouble is None
            and all(track is not None and track.undisturbed for track in self.tracks.values())
        )

    @property
    def healthy(self) -> bool:
        """What the kubelet is told."""
        return self.selected and self.track.state is DeviceState.HEALTHY

    @property
    def taken(self) -> frozenset[str]:
        """The slots that a container has, or is just being given."""
        return frozenset((*self.use, *self.allocated_at))


class Inventory:
    """The devices of one resource. Every change moves `version`; nothing here does I/O or reads a clock."""

    def __init__(self, health: Health, replicas: int = 1) -> None:
        self.health = health
        self.replicas = replicas
        self.version = 0
        self.steps: tuple[SelectionStep, ...] = ()
        self._entries: dict[str, Entry] = {}
        self._cordoned: Mapping[str, str] = {}
        self._draining = False

    @property
    def entries(self) -> Mapping[str, Entry]:
        """ID → device, sorted by ID."""
        return self._entries

    @property
    def settled(self) -> bool:
        """Whether no device is on its way back to Healthy."""
        return all(entry.settled for entry in self._entries.values())

    def observe(self, discovery: Discovery, *, now: float, monotonic: float) -> None:
        """Take in one look at the host. `now` is Unix time."""
        found = {candidate.id: candidate for candidate in discovery.candidates}
        if self._draining:
            self._replace({device_id: _recognised(entry, found) for device_id, entry in self._entries.items()})
            self._forget(monotonic)
            return
        entries: dict[str, Entry] = {}
        for device_id in sorted({*found, *self._entries}):
            known = self._entries.get(device_id)
            if known is None:
                entries[device_id] = self._first_look(found[device_id], now, monotonic)
            else:
                why = discovery.withheld.get(device_id)
                if why is not None:
                    entries[device_id] = self._unwanted(known, now, CLAIMED, f"{why}; {_LEAVES}")
                else:
                    unfit = discovery.unfit.get(device_id)
                    entries[device_id] = self._look(known, found.get(device_id), unfit, now, monotonic)
        if discovery.steps != self.steps:
            self.steps = discovery.steps
            self.version += 1
        self._replace(entries)
        self._forget(monotonic)

    def use(self, holders: Mapping[str, tuple[Holder, ...]], *, now: float, monotonic: float, asked: float) -> None:
        """Take in who has which slot, as podresources tells; a used device that nobody found is listed as missing.

        `asked` is the monotonic time of the question: what it names of earlier Allocates it will miss no more.
        """
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

    def miss(self, device_ids: Iterable[str], *, now: float, monotonic: float) -> None:
        """These were ours before this process began; those that no look has found since are listed as missing."""
        missing = {
            device_id: self._missing(device_id, now, monotonic)
            for device_id in device_ids
            if device_id not in self._entries
        }
        self._replace(dict(sorted((self._entries | missing).items())))

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

    def adopt(self, devices: Iterable[Device], since: Mapping[str, float], *, monotonic: float) -> None:
        """Take over from what the last agent process reported: since when, and what was there that is not any more.

        `since` is Unix time for each device's ID. The next look tells which of them are missing.
        """
        entries = dict(self._entries)
        for device in devices:
            known = entries.get(device.id)
            if known is not None:
                if known.track.state is device.state:
                    track = replace(known.track, since=min(known.track.since, since[device.id]))
                    known = replace(known, track=track)
                entries[device.id] = _recognised(known, {device.id: _reported(device)})
            elif device.allocated_to if self._draining else device.reason not in (NOT_SELECTED, CLAIMED):
                entries[device.id] = Entry(
                    device=_reported(device),
                    track=Track(
                        state=device.state, reason=device.reason, message=device.message, since=since[device.id]
                    ),
                    tracks={
                        EXISTS: Track(
                            state=DeviceState.UNHEALTHY,
                            reason=device.reason,
                            message=device.message,
                            since=since[device.id],
                        )
                    },
                    present=False,
                    selected=not self._draining,
                    # Which of its slots each has, podresources will tell.
                    use={slot_ids(device.id, self.replicas)[0]: device.allocated_to} if device.allocated_to else {},
                    gone_at=monotonic,
                )
        self._replace(dict(sorted(entries.items())))

    def reselect(self) -> None:
        """The configuration selects anew: what the next look does not find is not missing but no longer wanted."""
        self._replace(
            {device_id: replace(entry, selected=False) for device_id, entry in self._entries.items()}, quietly=True
        )

    def restore(self) -> None:
        """The resource is back in the configuration; the next look tells what it selects."""
        self._draining = False

    def drain(self, *, now: float, monotonic: float) -> None:
        """The resource leaves the configuration: free devices go, used ones stay Unhealthy until they are free."""
        self._draining = True
        self._replace({device_id: self._unwanted(entry, now) for device_id, entry in self._entries.items()})
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

    def _missing(self, device_id: str, now: float, monotonic: float) -> Entry:
        """A device of which nothing is known but its ID."""
        gone = step(None, exists(None, device_id), self.health, now=now, monotonic=monotonic)
        entry = Entry(
            device=Candidate(id=device_id),
            track=gone,
            tracks={EXISTS: gone},
            present=False,
            gone_at=monotonic,
        )
        return self._unwanted(entry, now) if self._draining else self._judged(entry, now, monotonic)

    def _first_look(self, found: Candidate, now: float, monotonic: float) -> Entry:
        track = step(None, exists(found, _name(found)), self.health, now=now, monotonic=monotonic)
        return self._judged(
            Entry(device=found, track=track, tracks={EXISTS: track} | self._not_looked_at()), now, monotonic
        )

    def _look(self, known: Entry, found: Candidate | None, unfit: Unfit | None, now: float, monotonic: float) -> Entry:
        if found is None and unfit is not None and unfit.leaves:
            return self._unwanted(known, now, unfit.reason, f"{unfit.why}; {_LEAVES}")
        if found is None and not known.selected:
            return self._unwanted(known, now)
        if found is not None and known.taken and _rebound(known.device, found):
            # Who has it was given what the former driver made of it.
            driver, former = (each.attributes.get(DRIVER, "none") for each in (found, known.device))
            found, unfit = None, Unfit(reason=DRIVER_CHANGED, why=f"its driver is {driver}, and was {former}")
        if found == known.device and known.calm and known.tracks.keys() == set(self.health.probes):
            return known
        seen = exists(found, _name(known.device), unfit)
        track = step(known.tracks.get(EXISTS, known.track), seen, self.health, now=now, monotonic=monotonic)
        if found is None:
            gone_at = monotonic if known.gone_at is None else known.gone_at
            # What the other probes saw of it says nothing about what may come back.
            gone = replace(known, tracks={EXISTS: track}, present=False, gone_at=gone_at)
            return self._judged(gone, now, monotonic)
        tracks: dict[Probe, Track | None] = {EXISTS: track}
        if known.present:
            tracks |= {
                probe: known.tracks[probe] for probe in self.health.probes if probe in known.tracks and probe != EXISTS
            }
        else:
            tracks |= self._not_looked_at()
        back = replace(known, device=found, tracks=tracks, present=True, selected=True, gone_at=None)
        return self._judged(back, now, monotonic)

    def _not_looked_at(self) -> dict[Probe, Track | None]:
        return {probe: None for probe in self.health.probes if probe != EXISTS}

    def _judged(self, entry: Entry, now: float, monotonic: float) -> Entry:
        """With the state that follows from its probes, its restlessness and whether it is cordoned."""
        if not entry.selected or not entry.tracks:
            return entry
        waiting = Track(
            state=DeviceState.UNKNOWN, reason="NotLookedAt", message="a probe has not looked yet", since=now
        )
        found = worst(waiting if track is None else track for track in entry.tracks.values())
        flaps = restless(entry.flaps, entry.worst, found, monotonic)
        cordon = self._cordoned.get(entry.device.id)
        told = shown(entry.track, found, flaps, cordon, now=now, monotonic=monotonic)
        return replace(entry, worst=found, flaps=flaps, track=told)

    def _unwanted(
        self, entry: Entry, now: float, reason: str = NOT_SELECTED, message: str = f"no longer selected; {_LEAVES}"
    ) -> Entry:
        since = entry.track.since if entry.track.state is DeviceState.UNHEALTHY else now
        track = Track(
            state=DeviceState.UNHEALTHY,
            reason=reason,
            message=message,
            since=since,
        )
        return replace(entry, track=track, selected=False)

    def _forget(self, monotonic: float) -> None:
        known = {
            device_id: _without_old_allocations(entry, monotonic) if entry.allocated_at else entry
            for device_id, entry in self._entries.items()
        }
        self._replace(
            {
                device_id: entry
                for device_id, entry in known.items()
                if entry.taken or not self._forgettable(entry, monotonic)
            }
        )

    def _forgettable(self, entry: Entry, monotonic: float) -> bool:
        if not entry.selected:
            return True
        return entry.gone_at is not None and monotonic - entry.gone_at >= MISSING_RETENTION

    def _replace(self, entries: dict[str, Entry], *, quietly: bool = False) -> None:
        if entries != self._entries:
            self._entries = entries
            if not quietly:
                self.version += 1


def _without_old_allocations(entry: Entry, monotonic: float) -> Entry:
    fresh = {slot: at for slot, at in entry.allocated_at.items() if monotonic - at < ALLOCATION_GRACE}
    return entry if len(fresh) == len(entry.allocated_at) else replace(entry, allocated_at=fresh)


def _recognised(entry: Entry, found: Mapping[str, Candidate]) -> Entry:
    """With what was found of it, where nothing but its ID is known."""
    device = entry.device
    bare = not entry.present and device == Candidate(id=device.id)
    return replace(entry, device=found.get(device.id, device)) if bare else entry


def _reported(device: Device) -> Candidate:
    return Candidate(id=device.id, path=device.path, numa_node=device.numa_node, attributes=device.attributes)


def _rebound(known: Candidate, found: Candidate) -> bool:
    return known.attributes.get(DRIVER, "") != found.attributes.get(DRIVER, "")


def _name(device: Candidate) -> str:
    return device.path or device.id
