"""What a node really is: its /dev, its processes and its kubelet, all seen from the machine that the nodes run on."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from chaos_bed.samples import Holders
from e2e_bed.cluster import run
from e2e_bed.kubelet_view import KubeletView

_PATIENCE = 1.0
"""Seconds for an answer of podresources."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A process of the agent."""

    pid: int
    node: str


@dataclass(frozen=True, kw_only=True)
class User:
    """A container's first process."""

    pid: int
    node: str
    name: str
    """`namespace/pod/container`"""
    devices: frozenset[str]
    """Those in its /dev."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """What runs, on all nodes, at one moment: each was still there after the last was found."""

    agents: tuple[Agent, ...]
    users: tuple[User, ...]

    def running(self, node: str) -> Holders:
        """Device → whose process runs with it."""
        found: dict[str, set[str]] = {}
        for user in self.users:
            if user.node == node:
                for device in user.devices:
                    found.setdefault(device, set()).add(user.name)
        return {device: frozenset(names) for device, names in found.items()}


def processes(config: str, prefix: str, proc: Path = Path("/proc")) -> Processes:
    """Agents of a config, and containers whose command ends with its name; devices are those with that prefix."""
    agent, user = f"--config-name={config}", config
    agents: list[Agent] = []
    users: list[User] = []
    for pid, arguments in _commands(proc):
        try:
            if agent in arguments:
                agents.append(Agent(pid=pid, node=_environment(proc, pid)["NODE_NAME"]))
            elif arguments[-1] == user:
                users.append(_user(proc, pid, prefix))
        except (OSError, KeyError):
            continue  # it has just begun, or ended
    pids = [agent.pid for agent in agents] + [user.pid for user in users]
    alive = {pid for pid in pids if _alive(proc, pid)}
    return Processes(
        agents=tuple(each for each in agents if each.pid in alive),
        users=tuple(each for each in users if each.pid in alive),
    )


def _commands(proc: Path) -> Iterator[tuple[int, list[str]]]:
    for name in os.listdir(proc):
        if name.isdecimal():
            try:
                content = (proc / name / "cmdline").read_bytes()
            except OSError:
                continue
            if content:
                yield int(name), content.decode(errors="replace").rstrip("\0").split("\0")


def _environment(proc: Path, pid: int) -> dict[str, str]:
    content = (proc / str(pid) / "environ").read_bytes().decode(errors="replace")
    return dict(entry.partition("=")[::2] for entry in content.split("\0") if "=" in entry)


def _user(proc: Path, pid: int, prefix: str) -> User:
    environment = _environment(proc, pid)
    place = proc / str(pid) / "root/dev"
    return User(
        pid=pid,
        node=environment["NODE"],
        name=f"{environment['NAMESPACE']}/{environment['POD']}/c0",
        devices=frozenset(name for name in os.listdir(place) if name.startswith(prefix)),
    )


def _alive(proc: Path, pid: int) -> bool:
    """Zombies have an empty command."""
    try:
        return bool((proc / str(pid) / "cmdline").read_bytes())
    except OSError:
        return False


class Oracle:
    """One node, without asking the product."""

    def __init__(self, node: str, prefix: str, resources: Sequence[str], view: KubeletView) -> None:
        pid = run("docker", "inspect", "--format", "{{.State.Pid}}", node).strip()
        self._dev = Path(f"/proc/{pid}/root/dev")
        self._prefix = prefix
        self._resources = resources
        self._view = view

    def present(self) -> frozenset[str]:
        """Devices that have a device node."""
        return frozenset(name for name in os.listdir(self._dev) if name.startswith(self._prefix))

    def plug(self, device: str) -> None:
        """Make a character device that reads as zeros."""
        os.mknod(self._dev / device, 0o666 | stat.S_IFCHR, os.makedev(1, 5))

    def pull(self, device: str) -> None:
        """Take it away."""
        (self._dev / device).unlink()

    def offered(self) -> frozenset[str] | None:
        """Devices that the kubelet would hand out, or has; None without an answer."""
        try:
            answer = self._view.all_allocatable(_PATIENCE)
        except grpc.RpcError:
            return None
        return frozenset(_device(slot) for name in self._resources for slot in answer.get(name, ()))

    def held(self) -> Holders | None:
        """Who has which; None without an answer."""
        try:
            answer = self._view.all_holders(_PATIENCE)
        except grpc.RpcError:
            return None
        found: dict[str, set[str]] = {}
        for name in self._resources:
            for slot, holders in answer.get(name, {}).items():
                found.setdefault(_device(slot), set()).update(holders)
        return {device: frozenset(holders) for device, holders in found.items()}


def _device(slot: str) -> str:
    return slot.partition("::")[0]
