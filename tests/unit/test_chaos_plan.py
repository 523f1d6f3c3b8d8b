"""What tests/chaos_bed lets go wrong stays within its bounds, whatever the seed."""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_bed.plan import CALM, CutApi, Edit, EndPod, JoinApi, KillAgent, Plug, Pull, StartPod, World, plan

WORLD = World(nodes=("one", "two"), plain=("cam-0", "cam-1", "cam-2"), shared=("mic-0",))
SECONDS = 120.0

any_seed = given(st.integers(0, 2**32))


def test_the_same_seed_gives_the_same_plan_and_another_another() -> None:
    assert plan(WORLD, 7, SECONDS) == plan(WORLD, 7, SECONDS)
    assert plan(WORLD, 7, SECONDS) != plan(WORLD, 8, SECONDS)


def test_within_ten_minutes_everything_goes_wrong() -> None:
    kinds = Counter(type(step.fault).__name__ for step in plan(WORLD, 1, 600.0))
    assert set(kinds) == {
        "Pull",
        "Plug",
        "KillAgent",
        "ReplaceAgent",
        "RestartKubelet",
        "CutApi",
        "JoinApi",
        "Edit",
        "StartPod",
        "EndPod",
    }


@settings(deadline=None)
@any_seed
def test_it_ends_with_everything_mended_and_a_calm_while(seed: int) -> None:
    steps = plan(WORLD, seed, SECONDS)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert all(0 < step.at <= SECONDS - CALM for step in steps)
    pulled: set[tuple[str, str]] = set()
    cut: set[str] = set()
    config = Edit()
    for step in steps:
        match step.fault:
            case Pull(node, device):
                assert (node, device) not in pulled
                pulled.add((node, device))
            case Plug(node, device):
                pulled.remove((node, device))
            case CutApi(node):
                assert not cut
                cut.add(node)
            case JoinApi(node):
                cut.remove(node)
            case Edit() as edit:
                assert edit != config
                config = edit
    assert not pulled
    assert not cut
    assert config == Edit()


@settings(deadline=None)
@any_seed
def test_no_device_comes_and_goes_so_often_that_agents_hold_it_back(seed: int) -> None:
    turns: dict[tuple[str, str], list[float]] = {}
    for step in plan(WORLD, seed, 600.0):
        if isinstance(step.fault, Pull | Plug):
            turns.setdefault((step.fault.node, step.fault.device), []).append(step.at)
    for times in turns.values():
        assert all(sum(at <= other < at + 60 for other in times) < 6 for at in times)


@settings(deadline=None)
@any_seed
def test_nothing_is_asked_of_the_api_server_while_it_stands_still(seed: int) -> None:
    standing = False
    for step in plan(WORLD, seed, 600.0):
        if step.fault in (CutApi(""), JoinApi("")):
            standing = step.fault == CutApi("")
        elif standing:
            assert not isinstance(step.fault, Edit | StartPod | EndPod), step


@settings(deadline=None)
@any_seed
def test_a_pod_that_ends_was_started_and_ends_once(seed: int) -> None:
    running: set[str] = set()
    for step in plan(WORLD, seed, 600.0):
        if isinstance(step.fault, StartPod):
            running.add(step.fault.name)
        elif isinstance(step.fault, EndPod):
            running.remove(step.fault.name)


@settings(deadline=None)
@any_seed
def test_an_agent_is_killed_at_most_every_twenty_seconds(seed: int) -> None:
    kills: dict[str, list[float]] = {}
    for step in plan(WORLD, seed, 600.0):
        if isinstance(step.fault, KillAgent):
            kills.setdefault(step.fault.node, []).append(step.at)
    for times in kills.values():
        assert all(later - at >= 20 for at, later in pairwise(times))
