"""What is counted comes to Prometheus as it was counted."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from device_plugin_agent.census import Census, page
from device_plugin_agent.metrics import Metrics

HOSTILE = 'a"b\\c\nd'


def told(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Sample and the bound of its bucket, or else its resource → value."""
    census = Census(metrics, [], revision="r1", kubelet_restarts=3, now=0.0, version="1")
    return {
        (sample.name, sample.labels.get("le") or sample.labels.get("resource", "")): sample.value
        for family in text_string_to_metric_families(page(census).text)
        for sample in family.samples
    }


def test_a_duration_is_in_each_bucket_whose_bound_it_does_not_pass() -> None:
    metrics = Metrics()
    for seconds in (0.0001, 0.001, 0.0011, 7.0):
        metrics.scan.observe("example.com/camera", seconds=seconds)
    seen = told(metrics)
    buckets = {le: value for (name, le), value in seen.items() if name == "device_plugin_scan_duration_seconds_bucket"}
    assert buckets == {
        "0.001": 2,
        "0.005": 3,
        "0.01": 3,
        "0.05": 3,
        "0.1": 3,
        "0.5": 3,
        "1.0": 3,
        "5.0": 3,
        "+Inf": 4,
    }
    assert seen["device_plugin_scan_duration_seconds_count", "example.com/camera"] == 4
    assert seen["device_plugin_scan_duration_seconds_sum", "example.com/camera"] == pytest.approx(7.0022)


def test_what_fails_takes_time_too() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="broken"), metrics.allocate.time("example.com/camera"):
        raise ValueError("broken")
    assert told(metrics)["device_plugin_allocate_duration_seconds_count", "example.com/camera"] == 1


def test_counts_are_told_by_label_whatever_is_in_it() -> None:
    metrics = Metrics()
    metrics.allocations.add("example.com/camera", count=2)
    metrics.allocations.add("example.com/camera")
    metrics.allocations.add(HOSTILE)
    seen = told(metrics)
    assert seen["device_plugin_allocations_total", "example.com/camera"] == 3
    assert seen["device_plugin_allocations_total", HOSTILE] == 1
