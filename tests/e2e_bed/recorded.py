"""Recorded machines in the cluster's nodes: a tree in place of /sys, and device nodes of the recorded names."""

import io
import json
import lzma
import shlex
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from device_plugin_agent.record import DEVICES, record
from e2e_bed.cluster import on_node

_MACHINES = Path(__file__).parents[1] / "recorded/machines"
_TREE = "/var/lib/deviceplugins.dev/recorded"
"""In the agents' state directory, which they have mounted anyway."""


@contextmanager
def machine(node: str, name: str) -> Iterator[None]:
    """The node looks like that machine to agents of tests/e2e_hardware/Dockerfile."""
    with _looks_like(node, lzma.decompress((_MACHINES / f"{name}.tar.xz").read_bytes())):
        yield


@contextmanager
def made(node: str, sys_root: Path, dev_root: Path, *beside: Path) -> Iterator[None]:
    """The same for a machine that was made in these directories, and what else is to lie beside its /sys."""
    with TemporaryDirectory() as directory:
        record(sys_root, dev_root, Path(directory), with_serials=True)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as files:
            for name in ("sys", DEVICES):
                files.add(Path(directory, name), name)
            for path in beside:
                files.add(path, path.name)
    with _looks_like(node, archive.getvalue()):
        yield


@contextmanager
def _looks_like(node: str, archive: bytes) -> Iterator[None]:
    _into(node, archive)
    made = _make_devices(node, archive)
    try:
        yield
    finally:
        on_node(node, f"rm -rf {_TREE} {shlex.join(made)}")


def gone(node: str, *paths: str) -> None:
    """Take files out of the tree (`/sys/…`) or out of /dev, as a driver does when a device leaves."""
    on_node(node, f"rm -rf {shlex.join(_in_node(path) for path in paths)}")


def says(node: str, attribute: str, text: str) -> None:
    """Let a file below /sys read so."""
    # Renamed into place: nobody reads it half written.
    place = shlex.quote(_in_node(attribute))
    on_node(node, f"printf '%s\\n' {shlex.quote(text)} >{place}.new && mv {place}.new {place}")


def adds(node: str, name: str, *lines: str) -> None:
    """Lines at the end of a file beside the machine's /sys."""
    on_node(node, f"printf '%s\\n' {shlex.join(lines)} >>{_TREE}/{name}")


def cdi_spec(node: str, file: str, devices: Mapping[str, Sequence[str]]) -> None:
    """A CDI spec of NVIDIA's kind: name → device nodes; each device also puts its name into FROM_CDI."""
    made = [
        {
            "name": name,
            "containerEdits": {"env": [f"FROM_CDI={name}"], "deviceNodes": [{"path": path} for path in paths]},
        }
        for name, paths in devices.items()
    ]
    spec = json.dumps({"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": made})
    on_node(node, f"mkdir -p /etc/cdi; printf %s {shlex.quote(spec)} >{file}.new; mv {file}.new {file}")


def _in_node(path: str) -> str:
    return f"{_TREE}{path}" if path.startswith("/sys/") else path


def _into(node: str, archive: bytes) -> None:
    script = f"rm -rf {_TREE} && mkdir -p {_TREE} && tar -C {_TREE} -x"
    subprocess.run(["docker", "exec", "-i", node, "sh", "-c", script], input=archive, check=True, timeout=60)


def _make_devices(node: str, archive: bytes) -> list[str]:
    """Those that the node has not; their numbers are the recorded machine's, so nobody should open them."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        listed = files.extractfile(next(each for each in files if Path(each.name).name == DEVICES))
        assert listed is not None
        lines = listed.read().decode().splitlines()
    script = ["set -e"]
    for line in lines:
        kind, number, name = line.split(" ", 2)
        if kind == "b" or number.startswith("1:"):
            continue  # disks, and the machine's memory
        path = shlex.quote(f"/dev/{name}")
        make = f"mknod -m 0600 {path} {kind} {number.replace(':', ' ')}; echo {path}"
        script.append(f"[ -e {path} ] || {{ mkdir -p $(dirname {path}); {make}; }}")
    return on_node(node, "\n".join(script)).splitlines()
