"""Device IDs."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from device_plugin_agent.slots import device_of, slot_ids
from device_plugin_agent.sources.identity import MAX_ID, id_of_path, id_of_simulated

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=300)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def test_a_plain_name_is_its_own_id() -> None:
    assert id_of_path("video3") == "video3"


def test_a_path_reads_as_a_path() -> None:
    assert id_of_path("dri/renderD128") == "dri--renderD128"


def test_names_that_would_collide_are_told_apart() -> None:
    assert len({id_of_path(name) for name in ("dri/card0", "dri--card0", "dri-card0", "dri card0", "dri\ncard0")}) == 5


@given(PATHS)
@example("0/:")
def test_every_id_is_legal_as_a_cdi_device_name_and_short_enough(path: str) -> None:
    device_id = id_of_path(path)
    assert len(device_id) <= MAX_ID
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?", device_id)


@given(PATHS, st.integers(1, 1000))
@example("a::0", 1)
def test_the_device_of_every_slot_can_be_told_from_its_id(path: str, replicas: int) -> None:
    device_id = id_of_path(path)
    slots = slot_ids(device_id, replicas)
    assert len(set(slots)) == replicas
    assert {device_of(slot) for slot in slots} == {device_id}
    assert max(map(len, slots)) <= 63


@given(st.sets(PATHS, min_size=2, max_size=20))
def test_different_paths_have_different_ids(paths: set[str]) -> None:
    assert len({id_of_path(path) for path in paths}) == len(paths)


def test_simulated_devices_of_equal_base_names_have_different_ids() -> None:
    assert id_of_simulated("a.com/camera", 0) != id_of_simulated("b.com/camera", 0)
    assert id_of_simulated("a.com/camera", 0).startswith("camera-")
    assert len(id_of_simulated("a.com/" + "x" * 63, 9999)) <= MAX_ID
