"""CDI specs in the directory that container runtimes read. Only files of this config are ever touched."""

import hashlib
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from device_plugin_agent.cdi.spec import VENDOR, Device, Spec, class_of, merged, spec

_log = logging.getLogger(__name__)


class CdiFile:
    """The file of one resource. The kubelet replays old answers at each start of a container, so names stay in it."""

    def __init__(self, directory: Path, config_uid: str, resource_name: str) -> None:
        self.trouble: str | None = None
        """Why the last change could not be written."""
        self._class = class_of(config_uid, resource_name)
        self.path = directory / f"{_prefix(config_uid)}{self._class}.json"
        self._devices = self._read()

    @property
    def devices(self) -> Mapping[str, Device]:
        """Name → what a container runtime gives for it now."""
        return self._devices

    @property
    def intact(self) -> bool:
        """Whether the file is as it was left."""
        return self.trouble is None and self.path.exists() == bool(self._devices)

    def qualified(self, name: str) -> str:
        """A device's name for the container runtime."""
        return f"{VENDOR}/{self._class}={name}"

    def settle(self, wanted: Iterable[Device], used: Collection[str] | None) -> None:
        """Write what is wanted, and keep what containers may start again with. A failure is told in `trouble`."""
        devices = merged(wanted, self._devices.values(), used)
        try:
            if devices:
                self._write(spec(self._class, devices))
            elif self.path.exists():  # else nothing is touched: who only reads specs of others may not write there
                self.path.unlink(missing_ok=True)
        except OSError as error:
            trouble = f"{self.path}: {error.strerror}"
            if trouble != self.trouble:
                _log.warning("Could not write a CDI spec", extra={"err": trouble})
            self.trouble = trouble
            return
        self.trouble = None
        self._devices = {each.name: each for each in devices}

    def _read(self) -> dict[str, Device]:
        try:
            return {each.name: each for each in msgspec.json.decode(self.path.read_bytes(), type=Spec).devices}
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("Could not read a CDI spec", extra={"err": f"{self.path}: {error}"})
            return {}

    def _write(self, content: Spec) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")  # runtimes read .json and .yaml
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


def remove_leftovers(directory: Path, config_uid: str, resources: Iterable[str]) -> None:
    """Remove the files of this config's resources but for these: served ones, and those that a container has."""
    kept = {f"{_prefix(config_uid)}{class_of(config_uid, name)}.json" for name in resources}
    for path in directory.glob(f"{_prefix(config_uid)}*.json"):
        if path.name not in kept:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("Could not remove a CDI spec", extra={"err": f"{path}: {error.strerror}"})


def _prefix(config_uid: str) -> str:
    return f"{VENDOR}_{hashlib.sha256(config_uid.encode()).hexdigest()[:8]}_"
