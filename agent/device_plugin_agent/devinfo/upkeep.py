"""When device information files are written, and when nobody needs them any more."""

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from device_plugin_agent.devinfo.document import content, file_name
from device_plugin_agent.inventory import Inventory
from device_plugin_api.group import GROUP

_log = logging.getLogger(__name__)

_INDEX = f".{GROUP}_"

_Slot = tuple[str, str]
"""Resource name, slot."""


class Upkeep:
    """The files of one config on one node. No others are ever touched.

    They outlive the agent, since the kubelet starts containers again without asking it. So which ones are ours stands
    in a file beside them, which goes as they do when the machine starts anew.

    `handed_over` tells whether podresources names by now what the process before this one handed out last.
    """

    def __init__(self, directory: Path, config_uid: str, handed_over: Callable[[], bool]) -> None:
        self._directory = directory
        self._index = directory / f"{_INDEX}{hashlib.sha256(config_uid.encode()).hexdigest()[:8]}.json"
        self._handed_over = handed_over
        self._heard = False
        self._ours = _read(self._index)
        self._settled: dict[str, tuple[int, bool, bool]] = {}
        self._trouble = ""

    def settle(self, resource_name: str, inventory: Inventory, *, told: bool) -> None:
        """Bring a resource's files up to date: of what is offered, if it is to be told, and of what a container has."""
        state = inventory.version, told, self._use_known
        if self._settled.get(resource_name) == state and self._intact(resource_name):
            return
        offered = {
            slot_id: content(entry.device)
            for entry in inventory.entries.values()
            if told and entry.present and entry.selected
            for slot_id in inventory.slots(entry)
        }
        taken = {slot_id for entry in inventory.entries.values() for slot_id in entry.taken}
        try:
            self._note(
                self._ours | {file_name(resource_name, slot_id): (resource_name, slot_id) for slot_id in offered}
            )
            for slot_id, text in offered.items():
                self._write(file_name(resource_name, slot_id), text)
            if self._use_known:
                self._remove(self._of(resource_name, but_for=taken | offered.keys()))
        except OSError as error:
            self._settled.pop(resource_name, None)
            self._tell(f"{error.filename}: {error.strerror}")
            return
        self._settled[resource_name] = state
        self._tell("")

    def heard(self, use: Mapping[str, Collection[str]], served: Collection[str]) -> None:
        """Who has what, by podresources: files of resources that are not served go when nobody has the device."""
        self._heard = True
        if not self._use_known:
            return
        gone = {
            name
            for name, (resource, slot_id) in self._ours.items()
            if resource not in served and slot_id not in use.get(resource, ())
        }
        try:
            self._remove(gone)
        except OSError as error:
            self._tell(f"{error.filename}: {error.strerror}")

    @property
    def _use_known(self) -> bool:
        return self._heard and self._handed_over()

    def _intact(self, resource_name: str) -> bool:
        names = self._of(resource_name)
        if not names:
            return True
        try:
            return names <= set(os.listdir(self._directory))
        except OSError:
            return False

    def _of(self, resource_name: str, but_for: Collection[str] = ()) -> set[str]:
        """The files of a resource, but for those of some slots."""
        return {
            name
            for name, (resource, slot_id) in self._ours.items()
            if resource == resource_name and slot_id not in but_for
        }

    def _write(self, name: str, text: bytes) -> None:
        path = self._directory / name
        try:
            if path.read_bytes() == text:
                return
        except FileNotFoundError:
            pass
        fresh = self._directory / f".{name}.new"
        fresh.write_bytes(text)
        fresh.replace(path)

    def _remove(self, names: Collection[str]) -> None:
        if not names:
            return
        # A file is called by its resource and device: a config that was deleted and applied again has the same ones.
        others = [_read(path).keys() for path in self._directory.glob(f"{_INDEX}*.json") if path != self._index]
        for name in set(names).difference(*others):
            (self._directory / name).unlink(missing_ok=True)
        self._note({name: slot for name, slot in self._ours.items() if name not in names})

    def _note(self, ours: dict[str, _Slot]) -> None:
        if ours == self._ours and self._index.exists() == bool(ours):
            return
        if ours:
            self._directory.mkdir(parents=True, exist_ok=True)
            fresh = self._index.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(ours))
            fresh.replace(self._index)
        else:
            self._index.unlink(missing_ok=True)
        self._ours = ours

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            _log.warning("Could not keep device information files", extra={"err": trouble})
        self._trouble = trouble


def _read(index: Path) -> dict[str, _Slot]:
    try:
        return msgspec.json.decode(index.read_bytes(), type=dict[str, _Slot])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.warning("Could not read which device information files are a config's", extra={"err": str(error)})
        return {}
