"""The agent as it is measured: a process of its own, stand-alone, on a made-up node."""

import asyncio
import os
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import image
from bench.agent.kubelet import Kubelet

RESOURCE = "example.com/bench"

PATHS = f"resources: [{{name: {RESOURCE}, source: {{paths: {{include: [/dev/bench*]}}}}}}]\n"


def simulated(count: int, replicas: int = 1) -> str:
    """A configuration with that many devices, each shared so often."""
    source = f"source: {{simulated: {{count: {count}}}}}"
    return f"resources: [{{name: {RESOURCE}, {source}, sharing: {{replicas: {replicas}}}}}]\n"


class Subject:
    """One agent process."""

    def __init__(self, process: asyncio.subprocess.Process, dev: Path, started: float, port: int) -> None:
        self.process = process
        self.port = port
        self.dev = dev
        self.started = started
        """time.monotonic(), in seconds."""

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self.process.pid

    def scrape(self) -> float:
        """Ask for its metrics, as Prometheus would; how long that took, in seconds."""
        asked = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            answer.read()
        return time.monotonic() - asked

    def plug(self, name: str) -> float:
        """Make a device node; when that was done."""
        os.mknod(self.dev / name, 0o020666, os.makedev(1, 3))
        return time.monotonic()

    def pull(self, name: str) -> float:
        """Take it away; when that was done."""
        (self.dev / name).unlink()
        return time.monotonic()


async def refusal(kubelet: Kubelet, config: str) -> str:
    """What an agent says of a configuration that it does not take."""
    path = kubelet.directory / "config.yaml"
    path.write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "device_plugin_agent", "--config", str(path)), stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    return told.decode().strip().removeprefix("device-plugin-agent: ").removeprefix(f"{path}: ")


@asynccontextmanager
async def running(kubelet: Kubelet, config: str, *, machine: Path | None = None) -> AsyncIterator[Subject]:
    """Its life, ended by SIGTERM; `machine` has the trees dev and sys that it looks at, made-up ones when not given."""
    root = kubelet.directory
    machine = machine or root
    for directory in (machine / "dev", machine / "sys", root / "state", root / "run"):
        directory.mkdir(exist_ok=True)
    (root / "config.yaml").write_text(config)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (root / "agent.log").open("ab") as log:
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "device_plugin_agent"),
            *("--config", str(root / "config.yaml")),
            *("--device-plugins-dir", str(kubelet.plugins)),
            *("--pod-resources-socket", str(kubelet.pod_resources)),
            *("--dev-root", str(machine / "dev"), "--sys-root", str(machine / "sys")),
            *("--state-dir", str(root / "state"), "--heartbeat-dir", str(root / "run")),
            *("--http-port", str(port)),
            stderr=log,
            env=image.environment(),
        )
    try:
        yield Subject(process, machine / "dev", started, port)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
