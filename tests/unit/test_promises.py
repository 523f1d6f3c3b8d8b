"""What docs/truth.md promises leaves room for what the parts of the way take at most."""

from chaos_bed.findings import LIMITS, STATUS, WITHHELD
from device_plugin_agent.health.tracker import RECOVERY_PERIOD
from device_plugin_agent.podresources import PERIOD_IN_USE
from device_plugin_agent.report import INTERVAL
from device_plugin_api.resource import Health
from device_plugin_operator.reconcile import STATUS_PACE

MARGIN = 0.5
"""Seconds for requests, and for programs to get their turn."""


def test_that_a_device_is_free_is_seen_and_told_in_time() -> None:
    assert LIMITS[STATUS] >= PERIOD_IN_USE + INTERVAL + STATUS_PACE + MARGIN


def test_a_device_that_is_back_is_handed_out_in_time() -> None:
    assert RECOVERY_PERIOD * Health().success_threshold + MARGIN <= LIMITS[WITHHELD]
