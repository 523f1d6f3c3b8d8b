"""docs/reference/settings.md names every flag, and none that is not there."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from device_plugin_agent import settings as agent
from device_plugin_operator import settings as operator

PAGE = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()


@pytest.mark.parametrize(
    ("title", "parse"), [("The operator", operator.parse), ("The agent", agent.parse)], ids=["operator", "agent"]
)
def test_the_page_has_the_flags_that_help_tells_of(
    title: str, parse: Callable[[Sequence[str], Mapping[str, str]], object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    told = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {flag for row in rows for flag in re.findall("--[a-z-]+", row)} == told


def test_the_defaults_of_the_operator_are_those_on_the_page() -> None:
    defaults = vars(operator.parse(["--agent-image=x"], {}))
    for flag, variable, default in re.findall(r"^\| `--([a-z-]+)` \| `([A-Z_]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE):
        assert str(defaults[flag.replace("-", "_")]).lower() == default.lower()
        assert variable == f"DEVICE_PLUGIN_{flag.replace('-', '_').upper()}"
