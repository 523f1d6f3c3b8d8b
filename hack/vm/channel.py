"""JSON over a unix socket, as QEMU and the agent in its guest speak it: one object per line."""

import base64
import json
import socket
import time
from typing import Any, Self

from hardware import GUEST_SOCKET, QMP_SOCKET

_POLL_SECONDS = 0.05


class Refused(Exception):
    """The other side answered with an error."""


class Channel:
    """One connection. The other side serves one at a time, so it is held shortly."""

    def __init__(self, path: str, limit: float) -> None:
        """Connect; an OSError when nothing listens, or says nothing for `limit` seconds."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(limit)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, request: dict[str, Any]) -> Any:
        """Send `{"execute": …, "arguments": …}`; what it returns. Events on the way are passed over."""
        self._send(request)
        return self._answer()

    def sync(self, mark: int) -> None:
        """Have the agent in the guest say this, and pass over all it says before: answers that nobody waited for."""
        self._send({"execute": "guest-sync-delimited", "arguments": {"id": mark}})
        while self._answer() != mark:
            pass

    def _send(self, request: dict[str, Any]) -> None:
        self._lines.write(json.dumps(request).encode() + b"\n")
        self._lines.flush()

    def _answer(self) -> Any:
        while True:
            answer = self._read()
            if "error" in answer:
                raise Refused(str(answer["error"]["desc"]))
            if "return" in answer:
                return answer["return"]

    def _read(self) -> Any:
        line = self._lines.readline()
        if not line:
            raise ConnectionError("the machine hung up")
        # After 0xff the agent starts afresh: what an earlier client left unread ends there.
        return json.loads(line.rpartition(b"\xff")[2])


def qmp(request: dict[str, Any]) -> Any:
    """One question to QEMU."""
    with Channel(QMP_SOCKET, limit=10) as channel:
        channel.ask({"execute": "qmp_capabilities"})
        return channel.ask(request)


def run_in_guest(command: list[str], stdin: bytes, start_limit: float = 10) -> tuple[int, bytes, bytes]:
    """Run a command as root in the guest: its exit status, output and complaints (16 MB of each at most)."""
    with Channel(GUEST_SOCKET, limit=start_limit) as channel:
        channel.sync(time.monotonic_ns() % 2**31)
        arguments = {"path": command[0], "arg": command[1:], "capture-output": True}
        if stdin:
            arguments["input-data"] = base64.b64encode(stdin).decode()
        pid = channel.ask({"execute": "guest-exec", "arguments": arguments})["pid"]
        while True:
            status = channel.ask({"execute": "guest-exec-status", "arguments": {"pid": pid}})
            if status["exited"]:
                # Ended by a signal: as a shell tells it.
                code = int(status.get("exitcode", 128 + status.get("signal", 0)))
                return code, _bytes(status, "out-data"), _bytes(status, "err-data")
            time.sleep(_POLL_SECONDS)


def _bytes(status: dict[str, str], key: str) -> bytes:
    return base64.b64decode(status.get(key, ""))
