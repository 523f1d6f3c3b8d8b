"""The ledger on the node's disk, where all agents of the node find it."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from device_plugin_agent.claims.ledger import Ledger, Page

_log = logging.getLogger(__name__)


class Busy(Exception):
    """Another agent is at it; in a moment it will not be."""


class ClaimsUnavailable(Exception):
    """The ledger cannot be changed; the text says why."""

    def __init__(self, why: str, known: Ledger | None) -> None:
        super().__init__(why)
        self.known = known
        """What is in it, when it can be read at least."""


class Store:
    """`ledger.json`, changed under a lock and replaced as a whole, and a mark of each living agent beside it."""

    def __init__(self, directory: Path, uid: str) -> None:
        self.directory = directory
        self._uid = uid
        self._file = directory / "ledger.json"
        self._alive: int | None = None

    def change(self, change: Callable[[Ledger], dict[str, Page]]) -> Ledger:
        """Read, change, write if that made a difference; the ledger after it. Raises Busy and ClaimsUnavailable."""
        before: Ledger | None = None
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._live()
            with self._locked():
                before = self._read()
                after = change(before)
                if after != before:
                    self._write(after)
                return after
        except BlockingIOError:
            raise Busy from None
        except OSError as error:
            raise ClaimsUnavailable(f"{error.filename or self._file}: {error.strerror}", before) from None

    def lives(self, uid: str) -> bool:
        """Whether an agent of that config runs on this node."""
        try:
            mark = os.open(self._mark(uid), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(mark)
        return False

    def forget(self, uid: str) -> None:
        """Remove the mark of a config that is gone."""
        with suppress(OSError):
            self._mark(uid).unlink()

    def close(self) -> None:
        """No longer count as living."""
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None

    def _live(self) -> None:
        if self._alive is None:
            alive = os.open(self._mark(self._uid), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # Shared, since for a moment two agents of one config may run; the kernel lifts it however they end.
                fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                os.close(alive)
                raise
            self._alive = alive

    def _mark(self, uid: str) -> Path:
        return self.directory / f"{uid}.alive"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self.directory / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(lock)

    def _read(self) -> Ledger:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, Page])
        except FileNotFoundError:
            return {}
        except ValueError as error:
            # Nobody is left without devices for it: who offers something claims it again at the next look.
            _log.warning("Set damaged claims aside", extra={"err": str(error)})
            self._file.replace(self._file.with_suffix(".damaged"))
            return {}

    def _write(self, ledger: Ledger) -> None:
        fresh = self._file.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(ledger))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
