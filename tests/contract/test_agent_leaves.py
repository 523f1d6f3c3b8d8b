"""What an agent leaves on its node when it ends: everything, unless its config is gone from the node."""

from pathlib import Path

import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_agent.entry import ALLOCATION_GRACE
from device_plugin_api.resource import Allocation, Cdi
from kubelet_double.pods import Pod

LENS = "example.com/lens"
BY_CDI = Allocation(cdi=Cdi(mode="Always"))


@pytest.fixture
def serving(bench: Bench) -> Bench:
    """A config with two resources, whose devices containers get by CDI."""
    bench.plug("video0", "other0")
    bench.api.put(spec(resource(allocation=BY_CDI), resource(LENS, "/dev/other*", allocation=BY_CDI), cdi=True))
    return bench


async def settled(bench: Bench) -> None:
    """Both are offered, and no process before this one can have handed out anything that is not known by now."""
    await bench.offers(1, 1)
    await bench.offers(1, 1, LENS)
    bench.clock.pass_(ALLOCATION_GRACE)
    await bench.until(lambda: saved(bench) != [])


def saved(bench: Bench) -> list[Path]:
    return [path for path in bench.state.iterdir() if path.name != "claims"]


def specs(bench: Bench) -> list[str]:
    """The resources that container runtimes still know devices of."""
    return sorted(path.name.split("_")[-1].split("-")[0] for path in bench.settings.cdi_dir.iterdir())


async def test_a_config_that_is_gone_leaves_nothing_when_no_container_has_anything(serving: Bench) -> None:
    foreign = serving.settings.cdi_dir / "vendor.json"
    foreign.write_text("{}")
    async with serving.agent():
        await settled(serving)
        assert len(specs(serving)) == 3
        serving.api.objects.clear()
    assert list(serving.settings.cdi_dir.iterdir()) == [foreign]
    assert saved(serving) == []
    assert "config-uid" not in (serving.state / "claims/ledger.json").read_text()
    assert not list((serving.state / "claims").glob("*.alive"))


async def test_a_config_that_was_applied_again_is_another_one(serving: Bench) -> None:
    async with serving.agent():
        await settled(serving)
        serving.api.objects |= dict.fromkeys(serving.api.objects, "another-uid")
    assert (specs(serving), saved(serving)) == ([], [])


async def test_what_a_container_has_of_a_config_that_is_gone_stays_for_its_next_start(serving: Bench) -> None:
    async with serving.agent():
        await settled(serving)
        await serving.hand_out(Pod("p"), ago=ALLOCATION_GRACE)
        serving.api.objects.clear()
    (left,) = serving.settings.cdi_dir.iterdir()
    assert "video0" in left.read_text() and "other0" not in left.read_text()
    ledger = (serving.state / "claims/ledger.json").read_text()
    assert "video0" in ledger and "other0" not in ledger


async def test_the_devices_of_a_config_that_is_gone_are_another_configs_at_once(serving: Bench) -> None:
    other = serving.neighbour("younger")
    other.api.put(spec(resource("example.com/younger", "/dev/*")))
    async with serving.agent():
        await settled(serving)
        async with other.agent():
            await other.offers(0, 0, "example.com/younger")
        serving.api.objects.clear()
    other.api.put(spec(resource("example.com/younger", "/dev/*"), revision="r2"))
    async with other.agent():
        await other.offers(2, 2, "example.com/younger")


async def test_a_first_agent_need_not_wait_for_what_another_handed_out(serving: Bench) -> None:
    async with serving.agent():
        await serving.offers(1, 1)
        await serving.offers(1, 1, LENS)
        await serving.until(lambda: saved(serving) != [])
        serving.api.objects.clear()
    assert (specs(serving), saved(serving)) == ([], [])


async def test_an_agent_that_just_took_anothers_place_leaves_everything(serving: Bench) -> None:
    async with serving.agent():
        await settled(serving)
        before = specs(serving)
    async with serving.agent():
        await serving.offers(1, 1)
        await serving.offers(1, 1, LENS)
        serving.api.objects.clear()
    assert specs(serving) == before
    assert saved(serving) != []


@pytest.mark.parametrize("doubt", ["its config lives", "no API server", "no podresources", "only just handed out"])
async def test_everything_stays_when(doubt: str, serving: Bench) -> None:
    async with serving.agent():
        await settled(serving)
        before = specs(serving)
        match doubt:
            case "no API server":
                serving.api.down = True
            case "no podresources":
                await serving.kubelet.stop()
                serving.api.objects.clear()
            case "only just handed out":
                await serving.kubelet.admit(Pod("p"), "c", {CAMERA: 1})
                serving.api.objects.clear()
    assert specs(serving) == before
    assert saved(serving) != []
