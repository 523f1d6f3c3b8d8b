"""From several probes, restlessness and a cordon to the state that is shown."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from device_plugin_agent.health.tracker import RECOVERY_PERIOD, WORKS, Look, Observation, Track, step
from device_plugin_agent.health.verdict import (
    FLAP_FAULT,
    FLAP_QUIET,
    FLAP_TURNS,
    FLAP_WINDOW,
    STEADY,
    restless,
    shown,
    worst,
)
from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Health

GONE = Observation(look=Look.ABSENT, reason="DeviceMissing", message="/dev/a is gone from the node")
DOWN = Observation(look=Look.BAD, reason="LinkDown", message="eth0 is down")
BLIND = Observation(look=Look.FAILED, reason="ProbeFailed", message="I/O error")
HEALTH = Health(failure_threshold=3, success_threshold=2)


def track(state: DeviceState, reason: str = "x", good: int = 0) -> Track:
    return Track(state=state, reason=reason, since=0.0, good=good)


HEALTHY, UNHEALTHY, UNKNOWN = (track(state) for state in list(DeviceState)[:3])


class Device:
    """One device with one probe, and a clock."""

    def __init__(self, health: Health = HEALTH) -> None:
        self.health = health
        self.time = 100.0
        self.worst: Track | None = None
        self.flaps = STEADY
        self.shown = track(DeviceState.UNKNOWN)

    def look(self, seen: Observation, after: float = RECOVERY_PERIOD) -> Track:
        self.time += after
        found = step(self.worst, seen, self.health, now=self.time, monotonic=self.time)
        self.flaps = restless(self.flaps, self.worst, found, self.time)
        self.worst = found
        self.shown = shown(self.shown, found, self.flaps, None, now=self.time, monotonic=self.time)
        return self.shown


def test_the_worst_probe_counts_and_of_equally_bad_ones_the_first() -> None:
    first, second = track(DeviceState.UNHEALTHY, "First"), track(DeviceState.UNHEALTHY, "Second")
    assert worst([HEALTHY, UNKNOWN, first, second]) is first
    assert worst([HEALTHY, UNKNOWN]) is UNKNOWN


def test_a_fault_that_lasts_is_shown_before_one_that_is_passing() -> None:
    recovering = track(DeviceState.UNHEALTHY, "Recovering", good=1)
    assert worst([recovering, UNHEALTHY, UNKNOWN]) is UNHEALTHY
    assert worst([recovering, UNKNOWN]) is recovering


def test_a_device_that_was_pulled_and_plugged_once_is_not_flapping() -> None:
    device = Device()
    for seen in (WORKS, GONE, WORKS, WORKS):
        device.look(seen)
    assert device.shown.reason == "Works"


def test_a_device_that_fails_three_times_a_minute_is_flapping_and_says_how_often() -> None:
    device = Device()
    for _ in range(4):
        for seen in (WORKS, WORKS, GONE):
            device.look(seen)
    assert (device.shown.state, device.shown.reason) == (DeviceState.UNHEALTHY, "Flapping")
    assert f"at least {FLAP_TURNS} times" in device.shown.message


def test_a_device_that_never_comes_back_for_long_enough_is_flapping_too() -> None:
    device = Device()
    device.look(WORKS)
    for _ in range(20):
        device.look(GONE, 0.1)
        device.look(WORKS, 0.1)
    assert device.shown.reason == "Flapping"


def test_while_it_flaps_hardly_anything_changes_that_would_be_told() -> None:
    device = Device()
    told = set()
    for _ in range(2000):
        told.add(device.look(GONE, 0.1))
        told.add(device.look(WORKS, 0.1))
    assert len(told) <= 20


def test_failures_that_lie_far_apart_are_no_flapping() -> None:
    device = Device()
    for _ in range(40):
        for seen in (WORKS, WORKS, GONE):
            device.look(seen, FLAP_WINDOW / 3)
    assert device.shown.reason == "DeviceMissing"


def test_flapping_ends_in_what_the_device_is_after_a_quiet_while() -> None:
    for last, reason in ((WORKS, "Works"), (GONE, "DeviceMissing")):
        device = Device()
        for _ in range(4):
            for seen in (WORKS, WORKS, GONE):
                device.look(seen)
        device.look(last)
        for _ in range(int(FLAP_QUIET) + 2):
            device.look(last)
        assert device.shown.reason == reason


def test_a_fault_that_stays_is_told_by_its_own_reason_although_the_device_flapped_before() -> None:
    device = Device()
    for _ in range(4):
        for seen in (WORKS, WORKS, GONE):
            device.look(seen)
    assert device.look(DOWN, FLAP_FAULT - 1).reason == "Flapping"
    assert device.look(DOWN, 1).reason == "LinkDown"
    assert device.look(WORKS).reason == "Flapping"


def test_a_device_that_was_steady_for_a_while_is_not_flapping_at_its_next_failure() -> None:
    device = Device()
    for _ in range(4):
        for seen in (WORKS, WORKS, GONE):
            device.look(seen)
    for _ in range(int(FLAP_QUIET) + 2):
        device.look(WORKS)
    assert device.look(GONE).reason == "DeviceMissing"


def test_since_moves_only_when_the_shown_state_changes() -> None:
    device = Device()
    device.look(WORKS)
    since = device.look(GONE).since
    for _ in range(30):
        device.look(GONE, 0.1)
        device.look(WORKS, 0.1)
    assert device.shown.reason == "Flapping"
    assert device.shown.since == since


def test_a_cordoned_device_shows_why_and_that_it_is_broken_besides() -> None:
    told = shown(HEALTHY, HEALTHY, STEADY, "lens broken", now=5, monotonic=5)
    assert (told.state, told.reason, told.message, told.since) == (DeviceState.CORDONED, "Cordoned", "lens broken", 5)
    broken = replace(UNHEALTHY, reason="LinkDown", message="eth0 is down")
    again = shown(told, broken, STEADY, "lens broken", now=9, monotonic=9)
    assert (again.message, again.since) == ("lens broken; besides, LinkDown: eth0 is down", 5)


def test_a_device_that_is_no_longer_cordoned_is_what_it_is() -> None:
    told = shown(track(DeviceState.CORDONED), UNHEALTHY, STEADY, None, now=9, monotonic=9)
    assert (told.state, told.since) == (DeviceState.UNHEALTHY, 9)


LOOKS = st.lists(st.tuples(st.sampled_from([WORKS, GONE, DOWN, BLIND]), st.floats(0.01, 20)), max_size=60)
THRESHOLDS = st.builds(Health, failure_threshold=st.integers(1, 5), success_threshold=st.integers(1, 5))


@given(LOOKS, THRESHOLDS)
def test_from_whatever_it_went_through_a_steadily_good_device_is_healthy_within_a_bounded_time(
    looks: list[tuple[Observation, float]], health: Health
) -> None:
    device = Device(health)
    for seen, after in looks:
        told = device.look(seen, after)
        assert told.reason
        assert told.since <= device.time
    begun = device.time
    while device.look(WORKS).state is not DeviceState.HEALTHY:
        assert device.time - begun <= health.success_threshold * RECOVERY_PERIOD + FLAP_QUIET
    assert device.look(WORKS).state is DeviceState.HEALTHY


@given(LOOKS, THRESHOLDS, st.sampled_from([GONE, DOWN, BLIND]))
def test_from_whatever_it_went_through_a_fault_that_stays_is_told_by_its_own_reason_within_a_bounded_time(
    looks: list[tuple[Observation, float]], health: Health, fault: Observation
) -> None:
    device = Device(health)
    for seen, after in looks:
        device.look(seen, after)
    begun = device.time
    told = device.look(fault)
    while (told.state, told.reason, told.message) != (DeviceState.UNHEALTHY, fault.reason, fault.message):
        assert device.time - begun <= health.failure_threshold * RECOVERY_PERIOD + FLAP_FAULT
        told = device.look(fault)
    assert device.look(fault) == told, "and no news from then on"


@given(LOOKS, THRESHOLDS)
def test_flapping_never_makes_a_device_look_better_than_it_is(
    looks: list[tuple[Observation, float]], health: Health
) -> None:
    device = Device(health)
    for seen, after in looks:
        told = device.look(seen, after)
        assert device.worst is not None
        if told.state is DeviceState.HEALTHY:
            assert device.worst.state is DeviceState.HEALTHY
