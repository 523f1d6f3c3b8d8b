"""A made-up device that a daemon looks after: the daemon dies, and is started again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from contract.agent_bench import CAMERA, Bench, resource, spec
from device_plugin_api.resource import Health, Probe

MAX_AGE, PERIOD, FAILURES = 3, 1, 2
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


Driver = Callable[[str], object]


@pytest.fixture
def driver(bench: Bench) -> Driver:
    """Writes the attribute of the device's driver."""
    place = bench.settings.sys_root / "class/meter/state"
    place.parent.mkdir(parents=True)
    place.write_text("ok\n")
    return place.write_text


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
    bench: Bench, driver: Driver
) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(health=HEALTH)))
    async with bench.agent():
        async with daemon(bench):
            await bench.offers(1, 1)
        await bench.until(lambda: bench.states() == {"video0": "HeartbeatMissing"})
        await bench.offers(0, 1)
        (device,) = bench.resource_status().devices
        assert device.message == f"/run/deviceplugins.dev/meters/video0 was not touched for more than {MAX_AGE} s"
        async with daemon(bench):
            await bench.offers(1, 1)


async def test_what_the_driver_says_counts_while_the_daemon_lives(bench: Bench, driver: Driver) -> None:
    bench.plug("video0")
    bench.api.put(spec(resource(health=HEALTH)))
    async with bench.agent(), daemon(bench):
        await bench.offers(1, 1)
        driver("overheated\n")
        await bench.until(lambda: bench.states() == {"video0": "AttributeBad"})
        (device,) = bench.resource_status(CAMERA).devices
        assert device.message == "/sys/class/meter/state is 'overheated', not ok"
        driver("ok\n")
        await bench.offers(1, 1)
