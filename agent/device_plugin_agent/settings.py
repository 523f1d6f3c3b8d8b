"""What the agent is told at its start: flags, with the places a DaemonSet's pod has as defaults."""

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from device_plugin_agent.sources import HostView
from device_plugin_api.hostpaths import DEVICE_INFO, HEARTBEATS


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is fixed for the life of one agent process."""

    config_name: str
    config_uid: str
    node_name: str
    pod_name: str = ""
    """The agent's own pod; empty outside of one."""
    log_level: str
    device_plugins_dir: Path
    pod_resources_socket: Path
    dev_root: Path
    sys_root: Path
    net_dir: Path = Path("/host/net")
    state_dir: Path
    cdi_dir: Path = Path("/var/run/cdi")
    static_cdi_dir: Path = Path("/etc/cdi")
    devinfo_dir: Path = Path(DEVICE_INFO)
    driver_dir: Path = Path("/proc/driver")
    heartbeat_dir: Path = Path(HEARTBEATS)
    http_port: int
    allow_block_devices: bool
    allow_memory_devices: bool
    allow_mig_monitor: bool = False
    config: Path | None = None
    """Stand-alone: a file instead of the API server."""
    dry_run: bool = False

    @property
    def host(self) -> HostView:
        """The node as this agent sees it."""
        return HostView(
            dev_root=self.dev_root,
            sys_root=self.sys_root,
            heartbeat_dir=self.heartbeat_dir,
            net_dir=self.net_dir,
            driver_dir=self.driver_dir,
            cdi_dirs=(self.static_cdi_dir, self.cdi_dir),
            allow_block_devices=self.allow_block_devices,
            allow_memory_devices=self.allow_memory_devices,
            allow_mig_monitor=self.allow_mig_monitor,
        )


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the command line; ends the process with a usage message when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="device-plugin-agent",
        description="Serves the devices of one DevicePluginConfig on one node: --config-name and --config-uid name one "
        "in the cluster, --config one in a file, for a machine on its own. `record DIR` writes "
        "a machine's hardware to files, and `replay DIR` makes device nodes of them.",
    )
    parser.add_argument("--config-name", help="the DevicePluginConfig to serve")
    parser.add_argument("--config-uid", help="its UID: another config's saved copy is never used")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="stand-alone: a DevicePluginConfig, or its resources"
    )
    parser.add_argument("--dry-run", action="store_true", help="with --config: tell what would be offered, and end")
    parser.add_argument("--node-name", default=environ.get("NODE_NAME"), help="this node (default: $NODE_NAME)")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--device-plugins-dir", type=Path, default=Path("/var/lib/kubelet/device-plugins"))
    parser.add_argument(
        "--pod-resources-socket", type=Path, default=Path("/var/lib/kubelet/pod-resources/kubelet.sock")
    )
    for tree in ("dev", "sys"):
        text = f"where the node's /{tree} is seen (default: /host/{tree}; with --config: /{tree})"
        parser.add_argument(f"--{tree}-root", type=Path, help=text)
    parser.add_argument(
        "--net-dir",
        type=Path,
        help="where the node's /proc/1/net is seen (default: /host/net; with --config: /proc/1/net)",
    )
    parser.add_argument(
        "--driver-dir", type=Path, default=Path("/proc/driver"), help="where drivers tell of their devices: nvidia/gpus"
    )
    parser.add_argument("--state-dir", type=Path, default=Path("/var/lib/deviceplugins.dev"))
    parser.add_argument(
        "--cdi-dir", type=Path, default=Path("/var/run/cdi"), help="where container runtimes look for CDI specs"
    )
    parser.add_argument("--static-cdi-dir", type=Path, default=Path("/etc/cdi"), help="where else they look; read only")
    parser.add_argument(
        "--devinfo-dir", type=Path, default=Path(DEVICE_INFO), help="where Multus looks for device information"
    )
    parser.add_argument("--heartbeat-dir", type=Path, default=Path(HEARTBEATS), help="where heartbeat files are seen")
    parser.add_argument("--http-port", type=int, default=8081, help="port of /readyz and /livez; 0 takes any")
    parser.add_argument("--allow-block-devices", action="store_true", help="offer block devices that a config selects")
    parser.add_argument("--allow-memory-devices", action="store_true", help="offer /dev/mem, /dev/kmem and /dev/port")
    parser.add_argument("--allow-mig-monitor", action="store_true", help="this agent can see how MIG instances are")
    values = parser.parse_args(argv)
    in_cluster = values.config is None
    if in_cluster == (values.config_name is None or values.config_uid is None):
        parser.error("give either --config-name and --config-uid, or --config")
    if in_cluster and values.dry_run:
        parser.error("--dry-run needs --config")
    if in_cluster and not values.node_name:
        parser.error("--node-name is needed: give it, or set NODE_NAME from spec.nodeName")
    values.dev_root = values.dev_root or Path("/host/dev" if in_cluster else "/dev")
    values.sys_root = values.sys_root or Path("/host/sys" if in_cluster else "/sys")
    values.net_dir = values.net_dir or Path("/host/net" if in_cluster else "/proc/1/net")
    values.config_name = values.config_name or values.config.stem
    values.config_uid = values.config_uid or f"file-{sha256(bytes(values.config.resolve())).hexdigest()[:12]}"
    values.node_name = values.node_name or socket.gethostname()
    # The kubelet gives a pod its name as its host name: a DaemonSet's is short enough.
    values.pod_name = environ.get("HOSTNAME", "") if in_cluster else ""
    return Settings(**vars(values))
