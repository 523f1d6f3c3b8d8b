from pathlib import Path

import pytest

from device_plugin_api import crd

CRDS = Path(__file__).parents[2] / "crds"


@pytest.mark.parametrize("name", sorted(crd.files()))
def test_the_file_is_what_the_types_say(name: str) -> None:
    assert (CRDS / name).read_text() == crd.files()[name], "run `make manifests`"


def test_there_is_no_other_definition() -> None:
    assert {path.name for path in CRDS.glob("*.yaml")} == set(crd.files()) | {"kustomization.yaml"}


def test_the_generator_writes_its_files_into_the_directory_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["crd", str(tmp_path)])
    crd.main()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == crd.files()
