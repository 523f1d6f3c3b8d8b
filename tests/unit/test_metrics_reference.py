"""docs/metrics.md names every metric of the agent, and none that is not there."""

import re
from pathlib import Path

from device_plugin_agent.census import Census
from device_plugin_agent.metrics import Metrics

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
SUFFIXES = {"counter": "_total", "info": "_info"}


def test_the_page_has_the_metrics_that_an_agent_tells() -> None:
    census = Census(Metrics(), [], revision="r1", kubelet_restarts=0, now=0.0, version="1")
    told = {family.name + SUFFIXES.get(family.type, "") for family in census.collect()}
    (section,) = re.findall(r"^## The agent\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = {line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")}
    assert rows - {"process_*"} == told
