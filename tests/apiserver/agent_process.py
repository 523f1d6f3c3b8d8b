"""A real agent's process with its pod's own token. Its node is a folder: a /dev, and no kubelet unless one is given."""

import os
import shutil
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from apiserver.operator_world import AGENTS
from apiserver_fixture import ControlPlane
from apiserver_fixture.process import Process
from kubelet_double.double import KubeletDouble

ACCOUNT = "device-plugin-agent"

# Pods have what the kubelet gives them of their ServiceAccount at one place; agents of this machine have a folder each.
_MAIN = (
    "import functools, pathlib, sys; from device_plugin_agent import __main__ as agent; "
    "agent.in_cluster = functools.partial(agent.in_cluster, directory=pathlib.Path(sys.argv.pop(1))); agent.main()"
)


class NodeFolder:
    """What agents of one node share."""

    def __init__(self, folder: Path, kubelet: KubeletDouble | None = None) -> None:
        self.folder = folder
        for name in ("dev", "sys", "state", "plugins", "cdi", "run"):
            (folder / name).mkdir()
        self.plugins = kubelet.directory if kubelet is not None else folder / "plugins"
        self.pod_resources = kubelet.podresources_socket if kubelet is not None else folder / "none.sock"

    def plug(self, name: str) -> None:
        """Make a device node that reads as zeros."""
        os.mknod(self.folder / "dev" / name, 0o020666, os.makedev(1, 5))


class AgentProcess:
    """One agent of `config` (its name and UID) in the pod named, which is bound to the node already."""

    def __init__(
        self,
        plane: ControlPlane,
        at: NodeFolder,
        config: tuple[str, str],
        node: str,
        pod: str,
        *,
        port: int | None = None,
    ) -> None:
        """`port`: of what stands between it and the API server."""
        name, uid = config
        folder, server = at.folder, urlsplit(plane.url)
        where = f"KUBERNETES_SERVICE_HOST={server.hostname}", f"KUBERNETES_SERVICE_PORT={port or server.port}"
        account = folder / f"{pod}-account"
        account.mkdir()
        (account / "token").write_text(plane.token_for(AGENTS, ACCOUNT, node=node, pod=pod))
        shutil.copy(plane.ca_file, account / "ca.crt")
        self.process = Process(
            [
                *("/usr/bin/env", *where),
                *(sys.executable, "-c", _MAIN, str(account), f"--config-name={name}", f"--config-uid={uid}"),
                *(f"--node-name={node}", "--http-port=0", f"--dev-root={folder / 'dev'}"),
                *(f"--sys-root={folder / 'sys'}", f"--state-dir={folder / 'state'}", f"--cdi-dir={folder / 'cdi'}"),
                *(f"--device-plugins-dir={at.plugins}", f"--heartbeat-dir={folder / 'run'}"),
                *(f"--pod-resources-socket={at.pod_resources}", f"--devinfo-dir={folder / 'devinfo'}"),
                f"--net-dir={folder / 'net'}",
            ],
            folder / f"{pod}.log",
        )

    def kill(self) -> None:
        """As the kernel does it."""
        os.kill(self.process.pid, signal.SIGKILL)
