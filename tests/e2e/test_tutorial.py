"""docs/tutorial.md: every command of it, in order, and what it is said to show."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from apiserver_fixture.client import Client
from e2e_bed.bed import until
from e2e_bed.cluster import GROUP, KUBECONFIG, WORKERS, on_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[2] / "docs/tutorial.md"
NODE = WORKERS[0]
_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "=== step ==="


@dataclass
class Step:
    """Commands, and the lines that they show; `…` stands for anything."""

    commands: str
    shows: list[str] = field(default_factory=list)


def steps(page: str) -> list[Step]:
    """What a page has its reader do."""
    found: list[Step] = []
    for language, content in _BLOCK.findall(page):
        if language == "sh":
            found.append(Step(content))
        else:
            found[-1].shows = content.splitlines()
    return found


def words(line: str) -> str:
    """A line but for the widths of its columns."""
    return " ".join(line.split())


@pytest.fixture(autouse=True)
def clean(cluster: Client) -> Iterator[None]:
    """Nothing of the tutorial is there, before and after."""

    def clear() -> None:
        cluster.delete(GROUP, "DevicePluginConfig", "meters", missing_ok=True)
        cluster.delete("v1", "Pod", "meter-reader", namespace="default", missing_ok=True)
        cluster.patch("v1", "Node", NODE, {"metadata": {"labels": {"example.com/meters": None}}})
        on_node(
            NODE,
            "pkill -f '[d]eviceplugins.dev/meters/meter-0'; rm -rf /dev/meter-[01] /run/deviceplugins.dev/meters",
        )
        until(
            lambda: (
                cluster.find("v1", "Pod", "meter-reader", namespace="default") is None
                and cluster.find(GROUP, "NodeDevicePlugin", f"meters.{NODE}") is None
            ),
            "nothing of the tutorial is there",
        )

    clear()
    yield
    clear()


def test_a_reader_of_the_tutorial_sees_what_it_says(tmp_path: Path) -> None:
    todo = steps(PAGE.read_text().replace("dp-worker", NODE))
    assert len(todo) >= 10
    script = "".join(f"{step.commands}echo '{_END}'\n" for step in todo)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"KUBECONFIG": str(KUBECONFIG)},
        capture_output=True,
        text=True,
        timeout=540,
    )
    *finished, rest = done.stdout.split(f"{_END}\n")
    for step, shown in zip(todo, finished, strict=False):
        seen = [words(line) for line in shown.splitlines()]
        wanted = [words(line).replace("…", "*") for line in step.shows]
        fits = len(seen) == len(wanted) and all(map(fnmatchcase, seen, wanted))
        assert fits, f"{step.commands}\nshows\n{shown}\nand not\n" + "\n".join(step.shows)
    assert len(finished) == len(todo), f"{todo[len(finished)].commands}\nfailed: {rest}{done.stderr}"
