"""Unix sockets as the kubelet leaves them lying about."""

import os
import socket
import stat
from pathlib import Path

import grpc.aio

LONGEST_PATH = 107


async def listen(server: grpc.aio.Server, private: Path) -> None:
    """Serve at a path outside the directory that others watch."""
    check(private)
    server.add_insecure_port(f"unix:{private}")
    await server.start()


def show(private: Path, public: Path) -> None:
    """Let a served socket appear elsewhere, as one creation.

    gRPC unlinks the path it was given when it stops, which a kubelet's process end does not; nor would another
    ctime later on be true to life. So the public name is the only one that stays.
    """
    check(public)
    os.link(private, public)
    private.unlink()


def place_dead(path: Path) -> None:
    """A socket file that nobody listens to."""
    check(path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


def remove_all(directory: Path) -> None:
    """ManagerImpl.removeContents: sockets go, files and folders stay."""
    for path in directory.iterdir():
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


def check(path: Path) -> None:
    """Fail with words where the system would only say "too long"."""
    length = len(os.fsencode(path))
    if length > LONGEST_PATH:
        raise ValueError(f"a socket's path has at most {LONGEST_PATH} bytes, this one {length}: {path}")
