"""A source of somebody's own: the package of docs/examples/iio-source, in its own image, finds sensors in a node."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from apiserver_fixture.client import Client
from e2e_bed import recorded
from e2e_bed.bed import Bed, until
from e2e_bed.cluster import SYSTEM, WORKERS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

(NODE, *_) = WORKERS
CONFIG = Path(__file__).parents[2] / "docs/examples/iio-source/config.yaml"
SENSORS = {"bme280": "1-0076", "ads1015": "1-0048"}
"""Name and place; the example's configuration wants the first."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[None]:
    """Two sensors on one I2C bus, as Documentation/ABI/testing/sysfs-bus-iio has them."""
    sys, dev = tmp_path / "sys", tmp_path / "dev"
    listing = sys / "bus/iio/devices"
    for made in (listing, dev):
        made.mkdir(parents=True)
    for number, (name, place) in enumerate(SENSORS.items()):
        directory = sys / f"devices/platform/i2c-1/{place}/iio:device{number}"
        directory.mkdir(parents=True)
        (directory / "name").write_text(f"{name}\n")
        (listing / directory.name).symlink_to(os.path.relpath(directory, listing))
        os.mknod(dev / directory.name, 0o020666, os.makedev(240, number))
    with recorded.made(NODE, sys, dev):
        yield


def test_a_package_of_ones_own_is_run_from_the_image_that_the_operators_settings_name(
    bed: Bed, machine: None, cluster: Client
) -> None:
    spec = yaml.safe_load(CONFIG.read_text())["spec"]
    spec["resources"][0]["name"] = bed.resource
    bed.apply(spec | {"nodeSelector": {"kubernetes.io/hostname": NODE}})
    until(lambda: bed.reported(NODE).get("bme280-1-0076", {}).get("state") == "Healthy", "the sensor is told", limit=90)
    (told,) = bed.report(NODE)["status"]["resources"]
    assert [each["id"] for each in told["devices"]] == ["bme280-1-0076"]
    dropped = [line for step in told["candidates"] for line in step.get("dropped", [])]
    assert dropped == ["/dev/iio:device1: its name is ads1015"]
    settings = cluster.get("v1", "ConfigMap", "device-plugin-settings", namespace=SYSTEM)["data"]
    (agent,) = bed.agent(NODE)["spec"]["containers"]
    assert settings["sourceImages"] == f"iio={agent['image']}"
    assert agent["image"] != settings["agentImage"]

    until(lambda: bed.offered(NODE) == 1, "the sensor is allocatable")
    bed.pod("reader", 1, node=NODE, script='echo "$SENSOR_PLACES"; ls /dev | grep ^iio;')
    bed.running("reader")
    assert bed.told("reader")[-2:] == ["1-0076", "iio:device0"]
    recorded.gone(NODE, "/dev/iio:device0")
    until(
        lambda: bed.reported(NODE)["bme280-1-0076"]["state"] == "Unhealthy",
        "that its node is gone is told as of every other source",
    )
