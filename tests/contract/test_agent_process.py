"""The agent as a process of its own."""

import asyncio
import json
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contract.agent_bench import CAMERA, Bench, Door


@asynccontextmanager
async def agent_process(bench: Bench, root: Path, http_port: int = 0) -> AsyncIterator[Process]:
    """Stand-alone, with the cameras of this node."""
    config = root / "config.yaml"
    config.write_text(f"resources: [{{name: {CAMERA}, source: {{paths: {{include: [/dev/video*]}}}}}}]\n")
    settings = bench.settings
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "device_plugin_agent", "--config", str(config), "--http-port", str(http_port)),
        *("--device-plugins-dir", str(settings.device_plugins_dir)),
        *("--pod-resources-socket", str(settings.pod_resources_socket)),
        *("--dev-root", str(settings.dev_root), "--sys-root", str(settings.sys_root)),
        *("--net-dir", str(settings.net_dir), "--state-dir", str(settings.state_dir)),
        *("--cdi-dir", str(settings.cdi_dir), "--devinfo-dir", str(settings.devinfo_dir)),
        *("--heartbeat-dir", str(settings.heartbeat_dir)),
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "in the middle of Register"])
async def test_a_process_that_is_told_to_end_closes_its_streams_and_is_gone(
    bench: Bench, tmp_path: Path, registered: bool
) -> None:
    bench.plug("video0")
    held = Door()
    if not registered:
        bench.kubelet.faults.hold_register = held
    async with agent_process(bench, tmp_path) as process:
        if registered:
            await bench.offers(1, 1)
        else:
            await bench.until(lambda: held.knocks > 0)
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        lines = (await asyncio.wait_for(process.stderr.read(), 20)).decode().splitlines()
        assert await process.wait() == 0
        assert time.monotonic() - told < 2
    held.set()
    assert json.loads(lines[-1])["msg"] == "Stopped"
    if registered:
        await bench.offers(0, 1)
        assert len(bench.kubelet.received) == 1, "no list was sent to say goodbye"


async def test_a_process_that_fails_says_so_in_one_line_of_json_like_all_others(bench: Bench, tmp_path: Path) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        async with agent_process(bench, tmp_path, taken.getsockname()[1]) as process:
            _, told = await asyncio.wait_for(process.communicate(), 20)
    lines = [json.loads(line) for line in told.decode().splitlines()]
    assert process.returncode == 1
    assert (lines[-1]["level"], lines[-1]["msg"]) == ("error", "Failed")
    assert "Address already in use" in lines[-1]["stack"]
