"""What the agent's log looks like."""

import json
import logging

import pytest

from device_plugin_agent.logs import JsonFormatter, set_up
from device_plugin_agent.trouble import Trouble


def test_a_line_is_one_json_object_with_what_it_is_about() -> None:
    record = logging.makeLogRecord(
        {"name": "device_plugin_agent.x", "levelname": "WARNING", "msg": "Two\nlines of %s", "args": ("text",)}
        | {"created": 1.23456, "device": "video0", "err": ValueError("no\ngood")}
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "ts": 1.235,
        "level": "warning",
        "msg": "Two\nlines of text",
        "logger": "device_plugin_agent.x",
        "device": "video0",
        "err": "no\ngood",
    }


def test_trouble_is_told_when_it_begins_when_its_reason_changes_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "test")
    trouble = Trouble(logging.getLogger("test"), "Could not speak", resource="example.com/a")
    trouble.worked()
    for why in ("refused", "refused", "refused", "silent", "silent"):
        trouble.failed(why)
    trouble.worked()
    trouble.worked()
    assert [(record.levelname, record.getMessage(), vars(record).get("err")) for record in caplog.records] == [
        ("WARNING", "Could not speak", "refused"),
        ("WARNING", "Could not speak", "silent"),
        ("INFO", "Could not speak: over", None),
    ]
    assert {vars(record)["resource"] for record in caplog.records} == {"example.com/a"}


@pytest.mark.parametrize(
    ("level", "written"), [("debug", ["debug", "info", "warning"]), ("info", ["info", "warning"]), ("error", [])]
)
def test_only_lines_from_the_level_on_are_written(
    level: str, written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    root, ours = logging.getLogger(), logging.getLogger("device_plugin_agent")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    try:
        set_up(level)
        log = ours.getChild("x")
        log.debug("a")
        log.info("b")
        log.warning("c")
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
    assert [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()] == written
