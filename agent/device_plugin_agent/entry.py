"""One device and all that is known of it, and what a look at it means. Pure."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from device_plugin_agent.health.probes import EXISTS, exists
from device_plugin_agent.health.tracker import Track, step
from device_plugin_agent.health.verdict import STEADY, Flaps, restless, shown, worst
from device_plugin_agent.slots import slot_ids
from device_plugin_agent.sources import Candidate, Unfit
from device_plugin_agent.sources.base import DRIVER, DRIVER_CHANGED
from device_plugin_api.node import Device, DeviceState, Holder
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


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One device and all that is known of it."""

    device: Candidate
    """As last seen."""
    track: Track
    """What everybody is told."""
    tracks: Tracks = msgspec.field(default_factory=dict)
    worst: Track | None = None
    """What would be told if it neither flapped nor were cordoned; None for what is told whatever the cordon."""
    flaps: Flaps = STEADY
    present: bool = True
    selected: bool = True
    """Whether the configuration still wants it."""
    use: Mapping[str, tuple[Holder, ...]] = msgspec.field(default_factory=dict)
    """Slot → who has it, for those that somebody has."""
    allocated_at: Mapping[str, float] = msgspec.field(default_factory=dict)
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
    def places(self) -> frozenset[str]:
        """Host paths that lead to something for as long as it is on the node; none when that is not known."""
        return self.device.marks or frozenset(filter(None, (self.device.path,)))

    @property
    def bare(self) -> bool:
        """Whether nothing but its ID is known of it."""
        return not self.present and self.device == Candidate(id=self.device.id)

    @property
    def healthy(self) -> bool:
        """What the kubelet is told."""
        return self.selected and self.track.state is DeviceState.HEALTHY

    @property
    def taken(self) -> frozenset[str]:
        """The slots that a container has, or is just being given."""
        return frozenset((*self.use, *self.allocated_at))


def first_look(found: Candidate, health: Health, *, now: float, monotonic: float) -> Entry:
    """A device that was not known; no probe but Exists has looked yet."""
    track = step(None, exists(found, _name(found)), health, now=now, monotonic=monotonic)
    return Entry(device=found, track=track, tracks={EXISTS: track} | _not_looked_at(health))


def missing(device_id: str, health: Health, *, now: float, monotonic: float) -> Entry:
    """A device of which nothing is known but its ID."""
    gone = step(None, exists(None, device_id), health, now=now, monotonic=monotonic)
    return Entry(device=Candidate(id=device_id), track=gone, tracks={EXISTS: gone}, present=False, gone_at=monotonic)


def look(
    known: Entry, found: Candidate | None, unfit: Unfit | None, health: Health, *, now: float, monotonic: float
) -> Entry:
    """A known device after one more look; the very same entry when nothing is new."""
    if found is None and unfit is not None and unfit.leaves:
        return unwanted(known, now, unfit.reason, unfit.why)
    if found is None and not known.selected:
        return unwanted(known, now)
    if found is not None and known.taken and not known.bare and _rebound(known.device, found):
        # Who has it was given what the former driver made of it.
        driver, former = (each.attributes.get(DRIVER, "none") for each in (found, known.device))
        found, unfit = None, Unfit(reason=DRIVER_CHANGED, why=f"its driver is {driver}, and was {former}")
    if found == known.device and known.calm and known.tracks.keys() == set(health.probes):
        return known
    seen = exists(found, _name(known.device), unfit)
    track = step(known.tracks.get(EXISTS, known.track), seen, health, now=now, monotonic=monotonic)
    if found is None:
        gone_at = monotonic if known.gone_at is None else known.gone_at
        # What the other probes saw of it says nothing about what may come back.
        return replace(known, tracks={EXISTS: track}, present=False, gone_at=gone_at)
    others = _kept(known.tracks, health) if known.present else _not_looked_at(health)
    return replace(known, device=found, tracks={EXISTS: track} | others, present=True, selected=True, gone_at=None)


def judged(entry: Entry, cordon: str | None, *, now: float, monotonic: float) -> Entry:
    """With the state that follows from its probes, its restlessness and why it is cordoned, if it is."""
    if entry.selected and entry.tracks:
        waiting = Track(
            state=DeviceState.UNKNOWN, reason="NotLookedAt", message="a probe has not looked yet", since=now
        )
        found = worst(waiting if track is None else track for track in entry.tracks.values())
        entry = replace(entry, worst=found, flaps=restless(entry.flaps, entry.worst, found, monotonic))
    if entry.worst is None:
        return entry
    told = shown(entry.track, entry.worst, entry.flaps, cordon, now=now, monotonic=monotonic)
    return replace(entry, track=told)


def unwanted(entry: Entry, now: float, reason: str = NOT_SELECTED, why: str = "no longer selected") -> Entry:
    """One that is not offered any more, and stays only for the container that has it."""
    since = entry.track.since if entry.track.state is DeviceState.UNHEALTHY else now
    track = Track(state=DeviceState.UNHEALTHY, reason=reason, message=f"{why}; {_LEAVES}", since=since)
    return replace(entry, track=track, worst=None, selected=False)


def unwanted_and_gone(entry: Entry, now: float) -> Entry:
    """One that is not offered and has left the node: nobody can tell whether it would be wanted if it came back.

    Its cordon, if it has one, is still to be judged.
    """
    seen = exists(None, _name(entry.device))
    left = unwanted(entry, now, seen.reason, seen.message)
    return replace(left, track=entry.track, worst=left.track, flaps=STEADY)


def recognised(entry: Entry, found: Mapping[str, Candidate]) -> Entry:
    """With what was found of it, where nothing but its ID is known."""
    device = entry.device
    return replace(entry, device=found.get(device.id, device)) if entry.bare else entry


def reported(device: Device) -> Candidate:
    """What a status tells of a device."""
    return Candidate(id=device.id, path=device.path, numa_node=device.numa_node, attributes=device.attributes)


def held_before(device: Device, replicas: int) -> dict[str, tuple[Holder, ...]]:
    """Who has it by the last report. Its first slot stands for whichever are used: podresources will tell."""
    return {slot_ids(device.id, replicas)[0]: device.allocated_to} if device.allocated_to else {}


def handed_on(
    device: Device, use: Mapping[str, tuple[Holder, ...]], *, selected: bool, since: float, monotonic: float
) -> Entry:
    """What the last agent process reported and no look has found: the next one tells whether it is missing.

    `use`: slot → who has it. `since` is Unix time.
    """
    track = Track(state=device.state, reason=device.reason, message=device.message, since=since)
    return Entry(
        device=reported(device),
        track=track,
        tracks={EXISTS: replace(track, state=DeviceState.UNHEALTHY)},
        present=False,
        selected=selected,
        use=use,
        gone_at=monotonic,
    )


def without_old_allocations(entry: Entry, monotonic: float) -> Entry:
    """Without those that podresources has had time enough to name."""
    fresh = {slot: at for slot, at in entry.allocated_at.items() if monotonic - at < ALLOCATION_GRACE}
    return entry if len(fresh) == len(entry.allocated_at) else replace(entry, allocated_at=fresh)


def forgettable(entry: Entry, monotonic: float) -> bool:
    """Whether nobody needs it in the list any longer."""
    if entry.taken:
        return False
    return not entry.selected or (entry.gone_at is not None and monotonic - entry.gone_at >= MISSING_RETENTION)


def _kept(tracks: Tracks, health: Health) -> dict[Probe, Track | None]:
    """What the probes have seen that are still asked for."""
    return {probe: tracks[probe] for probe in health.probes if probe in tracks and probe != EXISTS}


def _not_looked_at(health: Health) -> dict[Probe, Track | None]:
    return {probe: None for probe in health.probes if probe != EXISTS}


def _rebound(known: Candidate, found: Candidate) -> bool:
    return known.attributes.get(DRIVER, "") != found.attributes.get(DRIVER, "")


def _name(device: Candidate) -> str:
    return device.path or device.id
