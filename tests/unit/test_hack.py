import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "hack" / script, *arguments], capture_output=True, text=True, check=False
    )


def test_field_reference_is_what_the_types_say(tmp_path: Path) -> None:
    made = tmp_path / "config.md"
    assert run("reference.py", made).returncode == 0
    assert made.read_text() == (ROOT / "docs/reference/config.md").read_text(), "run `make manifests`"


def report(*cases: str) -> str:
    return f'<testsuites><testsuite time="1.5">{"".join(cases)}</testsuite></testsuites>'


PASSED = '<testcase classname="a" name="passed"/>'
FAILED = '<testcase classname="a" name="failed"><failure/></testcase>'
SKIPPED = '<testcase classname="a" name="skipped"><skipped/></testcase>'
BROKEN_TEAR_DOWN = '<testcase classname="a" name="passed"><error/></testcase>'


@pytest.mark.parametrize(
    ("cases", "line", "code"),
    [
        ((PASSED,), "1 passed, 0 failed, 0 skipped", 0),
        ((PASSED, SKIPPED), "1 passed, 0 failed, 1 skipped", 0),
        ((PASSED, FAILED), "1 passed, 1 failed, 0 skipped", 1),
        ((PASSED, BROKEN_TEAR_DOWN), "0 passed, 1 failed, 0 skipped", 1),
        ((SKIPPED,), "0 passed, 0 failed, 1 skipped", 1),
        ((), "0 passed, 1 failed, 0 skipped", 1),
    ],
)
def test_count_of_one_rung(tmp_path: Path, cases: tuple[str, ...], line: str, code: int) -> None:
    file = tmp_path / "unit.xml"
    file.write_text(report(*cases))
    done = run("count.py", f"unit={file}")
    assert done.stdout.splitlines()[-1] == line
    assert done.returncode == code


def test_a_rung_without_report_is_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "unit.xml"
    file.write_text(report(PASSED))
    done = run("count.py", f"unit={file}", f"e2e={tmp_path / 'none.xml'}")
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"
    assert "did not come to its end" in done.stdout
    assert done.returncode == 1


def test_the_next_version_can_be_made_of_this_one() -> None:
    patch = ROOT / "tests/e2e/next_version.patch"
    check = ["git", "apply", "--check", "-C1", str(patch)]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"hack/next-version.sh cannot: {done.stderr}"
