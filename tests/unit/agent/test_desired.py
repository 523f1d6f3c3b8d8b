"""The last good configuration on the node's disk."""

from pathlib import Path

import msgspec
import pytest

from device_plugin_agent.desired import Desired, LastGood
from device_plugin_api.node import NodeSpec
from device_plugin_api.resource import Resource
from device_plugin_api.sources import SimulatedSource, Source

SPEC = NodeSpec(
    config_name="c",
    config_uid="u",
    node_name="n",
    node_uid="nu",
    revision="r1",
    resources=(Resource(name="example.com/a", source=Source(simulated=SimulatedSource(count=2))),),
)
DESIRED = Desired(
    spec=SPEC, leaving=(Resource(name="example.com/b", source=Source(simulated=SimulatedSource(count=1))),)
)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    LastGood(tmp_path, "u").save(DESIRED)
    assert LastGood(tmp_path, "u").load() == DESIRED


def test_another_configs_copy_is_never_loaded(tmp_path: Path) -> None:
    LastGood(tmp_path, "u").save(DESIRED)
    assert LastGood(tmp_path, "v").load() is None


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"\xff\xfe", b'{"sha256": "x", "spec": {}}'])
def test_a_damaged_copy_is_set_aside_and_not_fatal(tmp_path: Path, damage: bytes) -> None:
    saved = LastGood(tmp_path, "u")
    saved.save(DESIRED)
    (tmp_path / "u/desired.json").write_bytes(damage)
    assert saved.load() is None
    assert (tmp_path / "u/desired.damaged").read_bytes() == damage
    saved.save(DESIRED)
    assert saved.load() == DESIRED


def test_a_copy_with_one_bit_flipped_is_noticed(tmp_path: Path) -> None:
    saved = LastGood(tmp_path, "u")
    saved.save(DESIRED)
    path = tmp_path / "u/desired.json"
    path.write_bytes(path.read_bytes().replace(b"example.com/a", b"example.com/b"))
    assert saved.load() is None


def test_a_state_directory_that_cannot_be_written_costs_nothing_but_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "u").write_text("a file where the directory should be")
    LastGood(tmp_path, "u").save(DESIRED)
    assert "Could not save the configuration" in caplog.text
    assert LastGood(tmp_path, "u").load() is None


def test_the_copy_is_plain_json_with_the_apis_own_names(tmp_path: Path) -> None:
    LastGood(tmp_path, "u").save(DESIRED)
    saved = msgspec.json.decode((tmp_path / "u/desired.json").read_bytes())
    assert saved["spec"]["configUID"] == "u"


def test_a_copy_without_resources_that_leave_is_as_older_agents_know_it(tmp_path: Path) -> None:
    LastGood(tmp_path, "u").save(Desired(spec=SPEC))
    assert LastGood(tmp_path, "u").load() == Desired(spec=SPEC)
    assert msgspec.json.decode((tmp_path / "u/desired.json").read_bytes()).keys() == {"sha256", "spec"}
