"""What this node shall run: told by the API server, kept on the node's disk for when that is away."""

import hashlib
import logging
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from device_plugin_api.node import NodeSpec

_log = logging.getLogger(__name__)


class _Saved(Struct, rename="camel", kw_only=True):
    sha256: str
    spec: msgspec.Raw


class LastGood:
    """The last accepted spec on disk, written atomically, with a checksum, in a directory of its config's UID."""

    def __init__(self, state_dir: Path, config_uid: str) -> None:
        self._path = state_dir / config_uid / "desired.json"

    def load(self) -> NodeSpec | None:
        """The spec, or None when there is none. A damaged copy is set aside, not fatal."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("Could not read the saved configuration", extra={"err": str(error)})
            return None
        try:
            saved = msgspec.json.decode(content, type=_Saved)
            if hashlib.sha256(saved.spec).hexdigest() != saved.sha256:
                raise ValueError("its checksum does not fit")
            return msgspec.json.decode(saved.spec, type=NodeSpec)
        except ValueError as error:
            _log.warning("Set a damaged saved configuration aside", extra={"err": str(error)})
            self._set_aside()
            return None

    def save(self, spec: NodeSpec) -> None:
        """Keep it. A disk that is full or read-only costs only the next start's independence."""
        content = msgspec.json.encode(spec)
        saved = msgspec.json.encode(_Saved(sha256=hashlib.sha256(content).hexdigest(), spec=msgspec.Raw(content)))
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(saved)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("Could not save the configuration", extra={"err": str(error)})

    def _set_aside(self) -> None:
        try:
            self._path.replace(self._path.with_suffix(".damaged"))
        except OSError as error:
            _log.warning("Could not set it aside", extra={"err": str(error)})
