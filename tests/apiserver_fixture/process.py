"""A child process that never outlives us, whatever happens to us."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

# The kernel kills the child when the thread that started it ends: an interrupted or killed pytest leaves nothing.
# A program of its own instead of preexec_fn, which may not be used beside threads. Exits when we died meanwhile.
_TIED = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


class Exited(Exception):
    """The child ended by itself."""


class Process:
    """One daemon: its log goes into a file, Ctrl-C at the terminal does not reach it, no descriptor of ours does."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = Path(command[0]).name
        self.log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                close_fds=True,
                start_new_session=True,
                env=environment,
            )

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self._child.pid

    @property
    def code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._child.poll()

    def check(self) -> None:
        """Raises Exited, with the end of its log, when it does not run any more."""
        code = self.code
        if code is not None:
            raise Exited(f"{self.name} ended with {code}:\n{self.tail()}")

    def tail(self, size: int = 4000) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-size:].decode(errors="replace")

    def stop(self, within: float = 5.0) -> None:
        """Ask it to end, then make it; returns when it is gone."""
        if self._child.poll() is not None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(within)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
