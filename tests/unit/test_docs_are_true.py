"""What the pages list is what the code has."""

import re
from pathlib import Path

import pytest

from device_plugin_operator.census import Census
from device_plugin_operator.clock import SystemClock
from device_plugin_operator.metrics import Metrics
from device_plugin_operator.queue import WorkQueue
from operator_fixture.truth_table import ROWS

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"

SUFFIXES = {"counter": "_total", "info": "_info"}


def section(page: str, title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def first_cells(text: str) -> list[str]:
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def test_the_page_has_the_reasons_that_a_status_can_have() -> None:
    told = [
        reason
        for cell in first_cells(section("architecture.md", "What the words in STATUS mean"))
        for reason in cell.split(", ")
    ]
    assert sorted(told) == sorted({row[2] for row in ROWS})


def test_the_page_has_the_metrics_that_an_operator_tells() -> None:
    metrics = Metrics()
    queue = WorkQueue(SystemClock(), lambda: 0.0, metrics)
    metrics.registry.register(Census(queue=queue, leads=lambda: False, statuses=dict))
    told = {family.name + SUFFIXES.get(family.type, "") for family in metrics.registry.collect()}
    cells = [
        line.split("|")[1] for line in section("metrics.md", "The operator").splitlines() if line.startswith("| `")
    ]
    assert {name for cell in cells for name in re.findall(r"`([\w*]+)`", cell)} - {"process_*"} == told


def test_the_page_of_a_devices_life_has_the_reasons_that_an_agent_can_tell() -> None:
    code = "\n".join(path.read_text() for path in sorted((TESTS.parent / "agent").rglob("*.py")))
    written = r'(?:\breason=|\btold_as=|\b_bad\(|^[A-Z_]+ = )"([A-Z][A-Za-z]+)"'
    reasons = set(re.findall(written, code, re.MULTILINE))
    assert {"Works", "LinkDown", "MigMode", "PortErrors", "ClaimedByOtherConfig"} <= reasons
    page = (DOCS / "devices.md").read_text()
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()


@pytest.mark.parametrize(("letter", "count"), [("T", 21), ("B", 14)])
def test_every_trap_has_a_test_that_is_there(letter: str, count: int) -> None:
    page = (DOCS / "traps.md").read_text()
    rows = {row.group(1): row.group(0) for row in re.finditer(rf"^\| ({letter}\d+) \|.*$", page, re.MULTILINE)}
    assert list(rows) == [f"{letter}{number}" for number in range(1, count + 1)]
    for trap, row in rows.items():
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, f"{trap} has no test"
        for file, test in named:
            assert re.search(rf"^(async )?def {test}\(", (TESTS / file).read_text(), re.MULTILINE), f"{trap}: no {test}"
