"""How patient a registration is."""

from hypothesis import given
from hypothesis import strategies as st

from device_plugin_agent.kubelet import pause

GRACE = 300.0
"""Seconds after which the kubelet forgets a plugin (endpointStopGracePeriod)."""


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_however_often_it_failed_the_next_attempt_is_well_within_the_kubelets_grace(
    failures: int, jitter: float
) -> None:
    assert 0 < pause(failures, jitter) < GRACE / 5


@given(st.integers(1, 60))
def test_attempts_come_ever_more_slowly_from_a_few_milliseconds_on(failures: int) -> None:
    assert pause(1, 0.0) < 0.05
    assert pause(failures, 0.0) <= pause(failures + 1, 0.0)
