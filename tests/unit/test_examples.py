"""The worked examples stand alone: what they and their tests import is installed with the agent, or beside them."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "docs/examples"


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_an_example_and_its_tests_need_nothing_of_our_own_tests() -> None:
    ours = {path.stem for path in TESTS.iterdir()}
    used = {(file.name, name) for file in EXAMPLES.rglob("*.py") for name in imported(file)}
    assert ("iio_source.py", "device_plugin_agent") in used
    assert [each for each in used if each[1] in ours] == []
