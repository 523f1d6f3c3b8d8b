"""One honest count over the rungs' JUnit files: `count.py RUNG=FILE …` ends with `N passed, N failed, N skipped`.

A rung whose file is missing, or holds no test, did not come to its end: that is one failure, whatever else passed.
"""

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Count:
    """How many tests ended how, and in how much time."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    @property
    def tests(self) -> int:
        """All of them."""
        return self.passed + self.failed + self.skipped

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.seconds + other.seconds,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def count(report: Path) -> Count:
    """What one JUnit file says; errors in set-up and tear-down count as failures."""
    try:
        root = ElementTree.parse(report).getroot()  # noqa: S314 - files that pytest wrote a moment ago
    except (OSError, ElementTree.ParseError):
        return Count(failed=1)
    total = Count()
    for suite in root.iter("testsuite"):
        # A test that fails and then fails again in its tear-down is two cases of the same name.
        outcome: dict[tuple[str, str], str] = {}
        for case in suite.iter("testcase"):
            key = (case.get("classname", ""), case.get("name", ""))
            if case.find("failure") is not None or case.find("error") is not None:
                outcome[key] = "failed"
            elif case.find("skipped") is not None:
                outcome.setdefault(key, "skipped")
            else:
                outcome.setdefault(key, "passed")
        ends = list(outcome.values())
        total += Count(ends.count("passed"), ends.count("failed"), ends.count("skipped"), float(suite.get("time", "0")))
    return total if total.tests else Count(failed=1, seconds=total.seconds)


def main(arguments: list[str]) -> int:
    """Prints a line for each rung, then the sum alone on a line."""
    total = Count()
    for argument in arguments:
        rung, _, file = argument.partition("=")
        one = count(Path(file))
        if not Path(file).exists():
            print(f"  {rung:<10} did not come to its end: counted as 1 failed")  # noqa: T201 - its purpose
        else:
            print(f"  {rung:<10} {one}  in {one.seconds:.0f} s")  # noqa: T201 - its purpose
        total += one
    print(total)  # noqa: T201 - its purpose
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
