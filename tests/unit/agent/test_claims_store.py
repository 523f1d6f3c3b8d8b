"""The ledger on disk, as several processes see it."""

import subprocess
import sys
from pathlib import Path

import pytest

from device_plugin_agent.claims.ledger import Claim, Claimant, Page, settle
from device_plugin_agent.claims.store import Busy, ClaimsUnavailable, Store

ME = Claimant(created="2026-01-01T00:00:00Z", config="cameras", uid="me")
WANT = Claim(resource="example.com/camera", device="video0", wanted=frozenset({"/dev/video0"}))

LIVING = """
import sys, pathlib
from device_plugin_agent.claims.store import Store
store = Store(pathlib.Path(sys.argv[1]), "other")
store.change(dict)
print("up", flush=True)
sys.stdin.read()
"""


def test_what_one_agent_writes_another_reads(tmp_path: Path) -> None:
    Store(tmp_path / "claims", "me").change(lambda ledger: settle(ledger, ME, [WANT], ()))
    assert Store(tmp_path / "claims", "other").change(dict)["me"].claims[0].owned == {"/dev/video0"}


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    store = Store(tmp_path, "me")
    store.change(lambda ledger: settle(ledger, ME, [WANT], ()))
    before = (tmp_path / "ledger.json").stat().st_ino
    store.change(lambda ledger: settle(ledger, ME, [WANT], ()))
    assert (tmp_path / "ledger.json").stat().st_ino == before


def test_while_another_agent_changes_the_ledger_nobody_waits(tmp_path: Path) -> None:
    inner = Store(tmp_path, "other")

    def nested(_: object) -> dict[str, Page]:
        with pytest.raises(Busy):
            inner.change(dict)
        return {}

    assert Store(tmp_path, "me").change(nested) == {}


def test_a_directory_that_cannot_be_had_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("not a directory")
    with pytest.raises(ClaimsUnavailable, match="File exists"):
        Store(tmp_path / "claims", "me").change(dict)


def test_an_agent_lives_until_its_process_is_killed(tmp_path: Path) -> None:
    store = Store(tmp_path, "me")
    assert not store.lives("other")
    with subprocess.Popen(
        [sys.executable, "-c", LIVING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert store.lives("other")
        process.kill()
        process.wait()
        assert not store.lives("other")


def test_an_agent_that_ended_is_not_living_and_its_mark_can_be_removed(tmp_path: Path) -> None:
    store = Store(tmp_path, "me")
    store.change(dict)
    assert Store(tmp_path, "other").lives("me")
    store.close()
    assert not Store(tmp_path, "other").lives("me")
    Store(tmp_path, "other").forget("me")
    assert not (tmp_path / "me.alive").exists()
