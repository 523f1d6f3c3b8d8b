"""How punctual the threads of an agent are: gRPC's need not be, its own are."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from device_plugin_agent import grpc_options

async def serve():
    server = grpc_options.server(f"unix:{sys.argv[1]}")
    await server.start()
    for thread in sorted(os.listdir("/proc/self/task"), key=lambda thread: int(thread) != os.getpid()):
        print(int(Path("/proc", thread, "timerslack_ns").read_text()))
    await server.stop(None)

asyncio.run(serve())
"""

LINUX_DEFAULT = 50_000


def test_only_the_threads_of_grpc_may_oversleep(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "s")], check=True, capture_output=True, text=True
    ).stdout
    own, *of_grpc = map(int, told.split())
    assert own == LINUX_DEFAULT
    assert len(of_grpc) >= 3
    assert set(of_grpc) == {25_000_000}


def test_a_kernel_that_does_not_know_of_slack_keeps_nothing_from_working(tmp_path: Path) -> None:
    program = PROGRAM.replace(
        "async def serve", f"grpc_options._SLACK_FILE = Path({str(tmp_path / 'none' / 'there')!r})\nasync def serve"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "s")], check=True, capture_output=True, text=True
    ).stdout
    assert set(map(int, told.split())) == {LINUX_DEFAULT}
