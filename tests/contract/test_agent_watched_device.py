"""A made-up device that a daemon looks after: the daemon dies, and is started again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_api.resource import Health, Probe

MAX_AGE, PERIOD, FAILURES = 2, 1, 2
HEALTH = Health(
    probes=(
        Probe(type="Exists"),
        Probe(type="HeartbeatFile", name="meters/$(DEVICE_ID)", max_age_seconds=MAX_AGE),
        Probe(type="SysfsAttribute", path="/sys/class/meter/state", equals=("ok",)),
    ),
    period_seconds=PERIOD,
    failure_threshold=FAILURES,
    success_threshold=1,
)


@pytest.fixture
def state(bench: Bench) -> Path:
    """The attribute of the device's driver."""
    place = bench.settings.sys_root / "class/meter/state"
    place.parent.mkdir(parents=True)
    place.write_text("ok\n")
    return place


@asynccontextmanager
async def daemon(bench: Bench) -> AsyncIterator[None]:
    """It touches its file ten times a second, until it dies."""
    place = bench.settings.heartbeat_dir / "meters/video0"
    place.parent.mkdir(exist_ok=True)

    async def live() -> None:
        while True:
            place.touch()
            await asyncio.sleep(0.1)

    task = asyncio.create_task(live())
    try:
        yield
    finally:
        task.cancel()


async def test_when_the_daemon_dies_its_device_is_unhealthy_and_well_again_with_the_next_one(
    bench: Bench, state: Path
) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(health=HEALTH)))
    async with bench.agent():
        async with daemon(bench):
            await bench.offers(1, 1)
        died = bench.clock.monotonic()
        await bench.until(lambda: bench.states() == {"video0": "HeartbeatMissing"})
        assert bench.clock.monotonic() - died >= MAX_AGE - 0.5
        await bench.offers(0, 1)
        (device,) = bench.resource_status().devices
        assert device.message == f"/run/deviceplugins.dev/meters/video0 was not touched for more than {MAX_AGE} s"
        async with daemon(bench):
            await bench.offers(1, 1)


async def test_what_the_driver_says_counts_while_the_daemon_lives(bench: Bench, state: Path) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(health=HEALTH)))
    async with bench.agent(), daemon(bench):
        await bench.offers(1, 1)
        state.write_text("overheated\n")
        await bench.until(lambda: bench.states() == {"video0": "AttributeBad"})
        (device,) = bench.resource_status(CAMERA).devices
        assert device.message == "/sys/class/meter/state is 'overheated', not ok"
        state.write_text("ok\n")
        await bench.offers(1, 1)
