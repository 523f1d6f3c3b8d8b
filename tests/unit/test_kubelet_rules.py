"""docs/kubelet.md names a test for each rule of the kubelet, and each of them is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/kubelet.md").read_text()

ROWS = {row.group(1): row.group(0) for row in re.finditer(r"^\| (R\d+) \|.*$", PAGE, re.MULTILINE)}


def test_every_rule_has_a_test_that_is_there() -> None:
    assert list(ROWS) == [f"R{number}" for number in range(1, 21)]
    for rule, row in ROWS.items():
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, f"{rule} has no test"
        for file, test in named:
            assert re.search(rf"^(async )?def {test}\(", (TESTS / file).read_text(), re.MULTILINE), f"{rule}: no {test}"
