"""The operator as it is measured: a process of its own, with its own ServiceAccount's rights."""

import asyncio
import sys
import time
from pathlib import Path

from apiserver_fixture.process import Process
from bench.operator.counters import Counters, parse
from bench.process import Usage, usage

_END = 20.0
"""Seconds that it may take to end."""


class Operator:
    """One process after another, on one port."""

    def __init__(self, kubeconfig: Path, folder: Path, port: int) -> None:
        self._command = [
            sys.executable,
            *("-m", "device_plugin_operator"),
            *("--kubeconfig", str(kubeconfig)),
            *("--agent-image", "agent:bench"),
            *("--http-port", str(port)),
        ]
        self._log = folder / "operator.log"
        self._port = port
        self._process: Process | None = None

    def start(self) -> float:
        """When it was started, by time.monotonic()."""
        self._process = Process(self._command, self._log)
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
