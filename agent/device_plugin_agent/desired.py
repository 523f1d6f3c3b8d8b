"""What this node shall run: told by the API server, kept on the node's disk for when that is away."""

import hashlib
import logging
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from device_plugin_api.node import NodeSpec
from device_plugin_api.resource import Resource

_log = logging.getLogger(__name__)


_NOTHING = msgspec.Raw(b"")


class _Saved(Struct, rename="camel", kw_only=True):
    sha256: str
    spec: msgspec.Raw
    leaving: msgspec.Raw = _NOTHING


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """What this node shall run, and what it may not simply stop running."""

    spec: NodeSpec
    leaving: tuple[Resource, ...] = ()
    """What left the configuration while a container had a device of it: the spec does not tell of that any more."""


class LastGood:
    """The last accepted configuration on disk: written atomically, checksummed, below its config's UID."""

    def __init__(self, state_dir: Path, config_uid: str) -> None:
        self._path = state_dir / config_uid / "desired.json"

    @property
    def preceded(self) -> bool:
        """Whether a process before this one saved a configuration here, whatever became of it."""
        return self._path.parent.is_dir()

    def load(self) -> Desired | None:
        """What was saved, or None when there is nothing. A damaged copy is set aside, not fatal."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("Could not read the saved configuration", extra={"err": str(error)})
            return None
        try:
            saved = msgspec.json.decode(content, type=_Saved)
            if _checksum(saved.spec, saved.leaving) != saved.sha256:
                raise ValueError("its checksum does not fit")
            return Desired(
                spec=msgspec.json.decode(saved.spec, type=NodeSpec),
                leaving=msgspec.json.decode(saved.leaving or b"[]", type=tuple[Resource, ...]),
            )
        except ValueError as error:
            _log.warning("Set a damaged saved configuration aside", extra={"err": str(error)})
            self._set_aside()
            return None

    def save(self, desired: Desired) -> None:
        """Keep it. A disk that is full or read-only costs only the next start's independence."""
        spec = msgspec.Raw(msgspec.json.encode(desired.spec))
        saved: dict[str, object] = {"sha256": _checksum(spec), "spec": spec}
        if desired.leaving:  # an older agent, which does not know it, can read all other copies
            leaving = msgspec.Raw(msgspec.json.encode(desired.leaving))
            saved |= {"sha256": _checksum(spec, leaving), "leaving": leaving}
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(saved))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("Could not save the configuration", extra={"err": str(error)})

    def remove(self) -> None:
        """Its config is gone, and its UID never comes again."""
        try:
            for path in self._path.parent.glob("desired.*"):
                path.unlink()
            self._path.parent.rmdir()
        except OSError as error:
            _log.info("Could not remove the saved configuration", extra={"err": str(error)})

    def _set_aside(self) -> None:
        try:
            self._path.replace(self._path.with_suffix(".damaged"))
        except OSError as error:
            _log.warning("Could not set it aside", extra={"err": str(error)})


def _checksum(*contents: msgspec.Raw) -> str:
    return hashlib.sha256(b"".join(contents)).hexdigest()
