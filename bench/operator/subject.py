"""The operator as it is measured: a process of its own, with its own ServiceAccount's rights."""

import asyncio
import sys
import time
from urllib.parse import urlsplit

from apiserver_fixture import ControlPlane
from apiserver_fixture.process import Process
from bench import image
from bench.operator.counters import Counters, parse
from bench.process import Usage, usage

# As in its image: without the kubernetes package, which kopf would load if it were there. Pods have what the kubelet
# gives them of their ServiceAccount at one place; this one has a folder.
_MAIN = (
    "import functools, pathlib, sys; sys.modules['kubernetes'] = None; from device_plugin_operator import access; "
    "access.in_cluster = functools.partial(access.in_cluster, directory=pathlib.Path(sys.argv.pop(1))); "
    "from device_plugin_operator.__main__ import main; main()"
)

_END = 20.0
"""Seconds that it may take to end."""


class Operator:
    """One process after another, on one port."""

    def __init__(self, plane: ControlPlane, port: int) -> None:
        account = plane.folder / "operator"
        account.mkdir()
        (account / "token").write_text(plane.token_for("device-plugin-system", "device-plugin-operator"))
        (account / "ca.crt").write_bytes(plane.ca_file.read_bytes())
        self._command = [
            *(sys.executable, "-c", _MAIN, str(account)),
            *("--agent-image", "agent:bench"),
            *("--http-port", str(port)),
        ]
        server = urlsplit(plane.url)
        self._environment = image.environment() | {
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }
        self._log = plane.folder / "operator.log"
        self._port = port
        self._process: Process | None = None

    def start(self) -> float:
        """When it was started, by time.monotonic()."""
        self._process = Process(self._command, self._log, self._environment)
        return time.monotonic()

    async def stop(self) -> None:
        """By SIGTERM; returns when it is gone."""
        if self._process is not None:
            await asyncio.to_thread(self._process.stop, _END)

    @property
    def usage(self) -> Usage:
        """What it has and has used."""
        assert self._process is not None
        self._process.check()
        return usage(self._process.pid)

    async def until_ready(self) -> None:
        """Wait for /readyz."""
        while not (await self._get("/readyz")).startswith("HTTP/1.1 200"):
            assert self._process is not None
            self._process.check()
            await asyncio.sleep(0.05)

    async def counters(self) -> Counters:
        """What it counts itself."""
        return parse(await self._get("/metrics"), ("rest_client_requests_total", "controller_runtime_reconcile_total"))

    async def _get(self, path: str) -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer.decode()
