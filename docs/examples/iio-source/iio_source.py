"""Sensors of the kernel's Industrial I/O subsystem, as a source of the device plugin agent.

Source of the ABI: Documentation/ABI/testing/sysfs-bus-iio (`name`, `label`); nodes are /dev/iio:deviceN.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from device_plugin_agent.sources import Candidate, Discovery, HostView, Selection, Uevent, attribute, id_of_parts

_DEVICE = re.compile(r"iio:device[0-9]+")


@dataclass(frozen=True, kw_only=True)
class _Sensor:
    node: str
    directory: Path
    name: str

    @property
    def place(self) -> str:
        """What it hangs on, such as I2C address 1-0076: the number of the node follows the order of probing."""
        return self.directory.parent.name


class Iio:
    """Each sensor whose name fits is one device, known by where it hangs."""

    def __init__(self, parameters: Mapping[str, str], host: HostView) -> None:
        unknown = sorted(parameters.keys() - {"name"})
        if unknown:
            raise ValueError(f"unknown parameters {', '.join(unknown)}; known is name, a glob")
        self._name = parameters.get("name", "*")
        self._host = host

    def discover(self) -> Discovery:
        """Look at /sys/bus/iio once."""
        found = Selection("IIO devices", self._sensors(), lambda sensor: sensor.node)
        found.keep(
            f"name {self._name}",
            lambda sensor: None if fnmatchcase(sensor.name, self._name) else f"its name is {sensor.name}",
        )
        return Discovery(candidates=tuple(map(self._candidate, found.items)), steps=tuple(found.steps))

    def watched(self) -> frozenset[Path]:
        """/dev, where nodes come and go."""
        return frozenset((self._host.dev_root,))

    def concerns(self, event: Uevent) -> bool:
        """Whether it is about a sensor."""
        return event.subsystem == "iio"

    def _sensors(self) -> Iterator[_Sensor]:
        for link in sorted((self._host.sys_root / "bus/iio/devices").glob("iio:device*")):
            directory = self._host.sysfs_directory(link)
            if directory is not None and _DEVICE.fullmatch(link.name):
                yield _Sensor(node=f"/dev/{link.name}", directory=directory, name=attribute(directory, "name"))

    def _candidate(self, sensor: _Sensor) -> Candidate:
        attributes = {"name": sensor.name, "place": sensor.place, "label": attribute(sensor.directory, "label")}
        return Candidate(
            id=id_of_parts(sensor.name, sensor.place),
            nodes=(sensor.node,),
            sysfs=self._host.sysfs_path(sensor.directory),
            numa_node=self._host.numa_node_of(sensor.directory),
            attributes={key: value for key, value in attributes.items() if value},
        )
