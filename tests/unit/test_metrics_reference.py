"""docs/metrics.md names every metric of the agent with its labels, and none that is not there."""

import re
from pathlib import Path

from prometheus_client.core import InfoMetricFamily, Metric

from device_plugin_agent.census import Census
from device_plugin_agent.metrics import Metrics

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
SUFFIXES = {"counter": "_total", "info": "_info"}


def test_the_page_has_the_metrics_that_an_agent_tells() -> None:
    census = Census(Metrics(), [], revision="r1", kubelet_restarts=0, now=0.0, version="1")
    told = {family.name + SUFFIXES.get(family.type, ""): labels(family) for family in census.collect()}
    (section,) = re.findall(r"^## The agent\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    documented = {
        name.strip(" `"): set(re.sub(r"\(.*?\)", "", these).replace(",", " ").split()) for _, name, these, *_ in rows
    }
    del documented["process_*"]
    assert documented == told


def labels(family: Metric) -> set[str]:
    """Of a family that may have no sample yet: only its own, private, field tells. An info has them as its value."""
    if isinstance(family, InfoMetricFamily):
        return {label for sample in family.samples for label in sample.labels}
    return set(vars(family)["_labelnames"])
