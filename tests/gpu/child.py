"""Programs that tests start beside the agent: as they are, or with a /dev of their own that has only what is given."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).with_name("cuda_program.py")

_USUAL = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
"""Nodes that every container has."""

_TRACELESS = {"CUDA_CACHE_DISABLE": "1"}
"""The driver keeps nothing of what it compiles."""

_APART = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs /dev
for each in $NODES; do
  path=${each%%=*} number=${each#*=}
  mkdir -p "${path%/*}"
  mknod -m 666 "$path" c "${number%%:*}" "${number#*:}"
done
mkdir /dev/shm
mount -t tmpfs tmpfs /dev/shm
# The driver's libraries make nodes that they miss, where they may.
mount -o remount,ro /dev || true
echo apart
code=0
"$@" || code=$?
find /dev -type c -name 'nvidia*' -printf 'node %p\n'
exit "$code"
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit status {self.code}; {self.out.strip()} {self.err.strip()}"


@dataclass(frozen=True)
class Apart(Ended):
    """The same of one that had a /dev of its own."""

    nodes: frozenset[str]
    """The driver's nodes in it at the end."""


def run(*command: str, env: Mapping[str, str] | None = None) -> Ended:
    """Start it and wait; what the machine does not have, or does not end, is an end too."""
    try:
        done = subprocess.run(
            command, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=60, check=False
        )
    except OSError as error:
        return Ended(127, "", f"{error.filename}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Ended(124, "", f"{' '.join(command[:4])} did not end within 60 s")
    return Ended(done.returncode, done.stdout, done.stderr)


def cuda(what: str, *, gpu: str = "") -> Ended:
    """The CUDA program on this machine as it is; on one GPU when its UUID is given."""
    return run(*_cuda(what), env={**_TRACELESS, **({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})})


def apart(what: str, nodes: Iterable[str], env: Mapping[str, str]) -> Apart:
    """The CUDA program where /dev has these nodes of the driver and no others. Skips where that cannot be had."""
    numbers = " ".join(f"{path}={_number(path)}" for path in (*filter(os.path.exists, _USUAL), *nodes))
    around = ("unshare", "--mount", "sh", "-c", _APART, "sh")
    done = run(*around, *_cuda(what), env={**env, **_TRACELESS, "NODES": numbers})
    lines = done.out.splitlines()
    if "apart" not in lines:
        pytest.skip(f"no /dev of its own can be made here: {done}")
    found = frozenset(line.removeprefix("node ") for line in lines if line.startswith("node "))
    out = "\n".join(line for line in lines if line != "apart" and not line.startswith("node "))
    return Apart(done.code, out, done.err, found)


def _cuda(what: str) -> tuple[str, ...]:
    # Isolated: nothing of the tests' own packages is needed.
    return sys.executable, "-I", str(_PROGRAM), what


def _number(path: str) -> str:
    seen = os.stat(path)
    assert stat.S_ISCHR(seen.st_mode), f"{path} is no character device"
    return f"{os.major(seen.st_rdev)}:{os.minor(seen.st_rdev)}"
