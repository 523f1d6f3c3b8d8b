"""A line of the log is one JSON object, whatever is logged."""

import json
import logging

from device_plugin_operator.logs import JsonFormatter


def line(message: str, *arguments: object, error: BaseException | None = None, **extra: object) -> dict[str, object]:
    """What is logged, read back."""
    info = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("device_plugin_operator.x", logging.WARNING, __file__, 1, message, arguments, info)
    vars(record).update(extra)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_it_has_time_level_message_and_what_it_is_about() -> None:
    found = line("Will try %s", "again", config="cameras", after=0.5)
    assert isinstance(found.pop("ts"), float)
    assert found == {
        "level": "warning",
        "msg": "Will try again",
        "logger": "device_plugin_operator.x",
        "config": "cameras",
        "after": 0.5,
    }


def test_an_error_comes_with_its_stack_on_the_same_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        assert "ValueError: two\nlines" in str(line("Failed", error=error)["stack"])


def test_whole_objects_that_libraries_hang_on_a_record_stay_out() -> None:
    assert "settings" not in line("x", settings={"secret": "s"})
