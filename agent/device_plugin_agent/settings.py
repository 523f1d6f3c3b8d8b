"""What the agent is told at its start: flags, with the places a DaemonSet's pod has as defaults."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device_plugin_api.hostpaths import HEARTBEATS


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that is fixed for the life of one agent process."""

    config_name: str
    config_uid: str
    node_name: str
    log_level: str
    device_plugins_dir: Path
    pod_resources_socket: Path
    dev_root: Path
    sys_root: Path
    state_dir: Path
    heartbeat_dir: Path = Path(HEARTBEATS)
    http_port: int
    allow_block_devices: bool
    allow_memory_devices: bool


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the command line; ends the process with a usage message when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="device-plugin-agent", description="Serves the devices of one DevicePluginConfig on one node."
    )
    parser.add_argument("--config-name", required=True, help="the DevicePluginConfig to serve")
    parser.add_argument("--config-uid", required=True, help="its UID: another config's saved copy is never used")
    parser.add_argument("--node-name", default=environ.get("NODE_NAME"), help="this node (default: $NODE_NAME)")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--device-plugins-dir", type=Path, default=Path("/var/lib/kubelet/device-plugins"))
    parser.add_argument(
        "--pod-resources-socket", type=Path, default=Path("/var/lib/kubelet/pod-resources/kubelet.sock")
    )
    parser.add_argument("--dev-root", type=Path, default=Path("/host/dev"), help="where the node's /dev is seen")
    parser.add_argument("--sys-root", type=Path, default=Path("/host/sys"), help="where the node's /sys is seen")
    parser.add_argument("--state-dir", type=Path, default=Path("/var/lib/deviceplugins.dev"))
    parser.add_argument("--heartbeat-dir", type=Path, default=Path(HEARTBEATS), help="where heartbeat files are seen")
    parser.add_argument("--http-port", type=int, default=8081, help="port of /readyz and /livez; 0 takes any")
    parser.add_argument("--allow-block-devices", action="store_true", help="offer block devices that a config selects")
    parser.add_argument("--allow-memory-devices", action="store_true", help="offer /dev/mem, /dev/kmem and /dev/port")
    values = parser.parse_args(argv)
    if not values.node_name:
        parser.error("--node-name is needed: give it, or set NODE_NAME from spec.nodeName")
    return Settings(**vars(values))
