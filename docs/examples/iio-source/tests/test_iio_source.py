"""The example's source on a made tree of /sys and /dev, and through the agent."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import yaml
from iio_source import Iio

from device_plugin_agent.clock import SystemClock
from device_plugin_agent.sources import Candidate, HostView, Uevent, source_for
from device_plugin_api.config import ConfigSpec

HERE = Path(__file__).parents[1]


@pytest.fixture
def host(tmp_path: Path) -> HostView:
    for name in ("dev", "sys/bus/iio/devices"):
        (tmp_path / name).mkdir(parents=True)
    return HostView(dev_root=tmp_path / "dev", sys_root=tmp_path / "sys")


def plug(host: HostView, number: int, name: str, place: str, **attributes: str) -> None:
    device = f"iio:device{number}"
    directory = host.sys_root / f"devices/platform/i2c-1/{place}/{device}"
    directory.mkdir(parents=True)
    for key, value in ({"name": name} | attributes).items():
        (directory / key).write_text(f"{value}\n")
    (host.sys_root / f"bus/iio/devices/{device}").symlink_to(directory)
    os.mknod(host.dev_root / device, 0o020666, os.makedev(240, number))


def found(host: HostView, **parameters: str) -> list[Candidate]:
    return list(Iio(parameters, host).discover().candidates)


def test_sensors_are_chosen_by_name_and_each_other_one_is_told(host: HostView) -> None:
    plug(host, 0, "bme280", "1-0076")
    plug(host, 1, "ads1015", "1-0048")
    discovery = Iio({"name": "bme*"}, host).discover()
    assert [sensor.nodes for sensor in discovery.candidates] == [("/dev/iio:device0",)]
    assert discovery.steps[-1].dropped == ("/dev/iio:device1: its name is ads1015",)


def test_a_sensor_is_known_by_its_place_and_not_by_the_order_of_probing(host: HostView, tmp_path: Path) -> None:
    plug(host, 0, "bme280", "1-0076")
    plug(host, 1, "bme280", "1-0077", label="outside")
    assert [sensor.id for sensor in found(host)] == ["bme280-1-0076", "bme280-1-0077"]
    assert found(host)[1].attributes == {"name": "bme280", "place": "1-0077", "label": "outside"}


def test_a_node_without_sensors_has_none(host: HostView) -> None:
    (host.sys_root / "bus/iio/devices").rmdir()
    assert found(host) == []


def test_it_looks_again_when_a_sensor_comes_or_goes(host: HostView) -> None:
    source = Iio({}, host)
    assert source.watched() == {host.dev_root}
    assert source.concerns(Uevent(action="add", devpath="/devices/x", subsystem="iio"))
    assert not source.concerns(Uevent(action="add", devpath="/devices/x", subsystem="net"))


def test_an_unknown_parameter_is_refused_with_those_that_are_known(host: HostView) -> None:
    with pytest.raises(ValueError, match="unknown parameters nam; known is name"):
        Iio({"nam": "x"}, host)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's entry points, as an installer writes them down."""
    declared: Mapping[str, Mapping[str, str]] = tomllib.loads((HERE / "pyproject.toml").read_text())["project"][
        "entry-points"
    ]
    directory = tmp_path / "packages/iio_source-0.1.0.dist-info"
    directory.mkdir(parents=True)
    lines = [f"[{group}]\n{name} = {value}\n" for group, entries in declared.items() for name, value in entries.items()]
    (directory / "entry_points.txt").write_text("".join(lines))
    (directory / "METADATA").write_text("Metadata-Version: 2.1\nName: iio-source\nVersion: 0.1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "packages")


@pytest.mark.usefixtures("installed")
def test_the_agent_serves_the_configuration_of_the_example(host: HostView) -> None:
    plug(host, 3, "bme280", "1-0076")
    document = yaml.safe_load((HERE / "config.yaml").read_text())
    (resource,) = msgspec.convert(document["spec"], ConfigSpec).resources
    (sensor,) = source_for(resource, host, SystemClock()).discover().candidates
    assert (sensor.id, sensor.path) == ("bme280-1-0076", "/dev/iio:device3")
