"""Health: from what was seen to a state."""

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.health.tracker import RECOVERY_PERIOD, WORKS, Look, Observation, Track, step
from device_plugin_api.node import DeviceState
from device_plugin_api.resource import Health

GONE = Observation(look=Look.ABSENT, reason="DeviceMissing", message="/dev/a is gone from the node")
BROKEN = Observation(look=Look.BAD, reason="LinkDown", message="no carrier")
BLIND = Observation(look=Look.FAILED, reason="ProbeFailed", message="I/O error")
HEALTH = Health(failure_threshold=3, success_threshold=2)


def after(*looks: Observation, spacing: float = RECOVERY_PERIOD, health: Health = HEALTH) -> Track:
    track: Track | None = None
    for number, look in enumerate(looks):
        track = step(track, look, health, now=1000 + number * spacing, monotonic=number * spacing)
    assert track is not None
    return track


def test_a_device_seen_working_for_the_first_time_is_healthy_at_once() -> None:
    assert after(WORKS).state is DeviceState.HEALTHY


def test_a_device_that_is_gone_is_unhealthy_at_once_whatever_the_thresholds() -> None:
    track = after(WORKS, GONE)
    assert (track.state, track.reason) == (DeviceState.UNHEALTHY, "DeviceMissing")


def test_a_device_that_is_back_is_healthy_after_the_success_threshold_and_says_so_meanwhile() -> None:
    coming = after(WORKS, GONE, WORKS)
    assert (coming.state, coming.reason, coming.message) == (
        DeviceState.UNHEALTHY,
        "Recovering",
        "seen working 1 of 2 times",
    )
    assert after(WORKS, GONE, WORKS, WORKS).state is DeviceState.HEALTHY


def test_looks_that_come_thick_and_fast_do_not_count_towards_recovery() -> None:
    assert after(GONE, *[WORKS] * 8, spacing=RECOVERY_PERIOD / 10).state is DeviceState.UNHEALTHY
    assert after(GONE, *[WORKS] * 12, spacing=RECOVERY_PERIOD / 10).state is DeviceState.HEALTHY


def test_a_device_flapping_ten_times_a_second_never_becomes_healthy() -> None:
    assert after(WORKS, *[GONE, WORKS] * 200, spacing=0.05).state is DeviceState.UNHEALTHY


def test_a_bad_look_changes_nothing_before_the_failure_threshold() -> None:
    assert after(WORKS, BROKEN, BROKEN).state is DeviceState.HEALTHY
    track = after(WORKS, BROKEN, BROKEN, BROKEN)
    assert (track.state, track.reason) == (DeviceState.UNHEALTHY, "LinkDown")


def test_a_good_look_forgets_the_bad_ones_before_it() -> None:
    assert after(WORKS, BROKEN, BROKEN, WORKS, BROKEN, BROKEN).state is DeviceState.HEALTHY


def test_a_look_that_fails_makes_the_device_unknown_and_after_the_threshold_unhealthy() -> None:
    track = after(WORKS, BLIND)
    assert (track.state, track.reason) == (DeviceState.UNKNOWN, "ProbeFailed")
    assert after(WORKS, BLIND, BLIND, BLIND).state is DeviceState.UNHEALTHY


def test_failing_and_bad_looks_in_turn_do_not_keep_a_device_unknown_for_ever() -> None:
    assert after(WORKS, BLIND, BROKEN, BLIND).state is DeviceState.UNHEALTHY


def test_a_fault_that_lasts_is_no_news() -> None:
    for fault in (GONE, BROKEN, BLIND):
        assert after(*[fault] * 4) == after(*[fault] * 9)


def test_since_moves_only_when_the_state_changes() -> None:
    assert after(WORKS, GONE, BROKEN, BLIND, WORKS).since == 1001


LOOKS = st.lists(st.sampled_from([WORKS, GONE, BROKEN, BLIND]), min_size=1, max_size=40)
THRESHOLDS = st.builds(Health, failure_threshold=st.integers(1, 5), success_threshold=st.integers(1, 5))


@given(LOOKS, THRESHOLDS, st.floats(0.01, 3))
def test_no_sequence_of_looks_leaves_a_state_without_a_reason_or_healthy_after_absence(
    looks: list[Observation], health: Health, spacing: float
) -> None:
    track = after(*looks, spacing=spacing, health=health)
    assert track.reason
    assert track.since <= 1000 + (len(looks) - 1) * spacing
    if looks[-1] is GONE:
        assert track.state is DeviceState.UNHEALTHY


@given(LOOKS, THRESHOLDS)
def test_from_every_state_good_looks_lead_to_healthy_and_bad_ones_to_unhealthy(
    looks: list[Observation], health: Health
) -> None:
    assert after(*looks, *[WORKS] * health.success_threshold, health=health).state is DeviceState.HEALTHY
    for look in (BROKEN, BLIND):
        assert after(*looks, *[look] * health.failure_threshold, health=health).state is DeviceState.UNHEALTHY
