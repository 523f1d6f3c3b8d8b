"""What the operator is told at its start: each setting is a flag, and the variable named beside it is its default."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_plugin_api.hardware import SOURCE_NAME

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that is fixed for the life of one operator process."""

    agent_image: str
    namespace: str = "device-plugin-system"
    agent_image_pull_policy: str = "IfNotPresent"
    source_images: Mapping[str, str] = field(default_factory=dict)
    """Name of a custom source → the agents' image that has it."""
    agents_namespace: str = "device-plugin-agents"
    agent_service_account: str = "device-plugin-agent"
    kubelet_root: str = "/var/lib/kubelet"
    allow_block_devices: bool = False
    allow_memory_devices: bool = False
    allow_mig_monitor: bool = False
    http_port: int = 8080
    log_level: str = "info"
    kubeconfig: str | None = None


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from flags and environment; ends the process with a usage message when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="device-plugin-operator",
        description="Turns DevicePluginConfigs into agents on nodes, and what the agents report into one status.",
        epilog="Each flag's default comes from the variable DEVICE_PLUGIN_<FLAG>, such as DEVICE_PLUGIN_AGENT_IMAGE.",
    )

    def flag(name: str, default: str, text: str, **more: Any) -> None:
        value = environ.get("DEVICE_PLUGIN_" + name.upper().replace("-", "_"), default)
        parser.add_argument(f"--{name}", default=value, help=f"{text} (default: {default or 'none'})", **more)

    flag("agent-image", "", "the agents' image; required")
    flag("namespace", "device-plugin-system", "the operator's own: its Lease is there")
    flag("agent-image-pull-policy", "IfNotPresent", "as in a pod", choices=("Always", "IfNotPresent", "Never"))
    flag("source-images", "", "images of agents with custom sources: <source>=<image>, separated by commas or spaces")
    flag("agents-namespace", "device-plugin-agents", "where agents run")
    flag("agent-service-account", "device-plugin-agent", "ServiceAccount of agents, in that namespace")
    flag("kubelet-root", "/var/lib/kubelet", "the kubelets' root directory; device-plugins does not follow it")
    flag("http-port", "8080", "port of /healthz, /readyz and /metrics; 0 takes any")
    flag("log-level", "info", "how much is logged", choices=("debug", "info", "warning", "error"))
    flag("kubeconfig", environ.get("KUBECONFIG", ""), "the way from outside of a cluster; needs the extra kubeconfig")
    for name, text in (
        ("allow-block-devices", "let agents offer block devices that a config selects"),
        ("allow-memory-devices", "let agents offer /dev/mem, /dev/kmem and /dev/port"),
        (
            "allow-mig-monitor",
            "let agents of MIG instances have CAP_SYS_ADMIN, without which nobody sees how those are",
        ),
    ):
        # Without a value it means true, as everywhere in Kubernetes.
        flag(name, "false", text, nargs="?", const="true")
    values = vars(parser.parse_args(argv))
    for name in ("allow_block_devices", "allow_memory_devices", "allow_mig_monitor"):
        text = values[name].lower()
        if text not in _TRUE + _FALSE:
            parser.error(f"--{name.replace('_', '-')} must be true or false, not {values[name]!r}")
        values[name] = text in _TRUE
    try:
        values["source_images"] = _images(values["source_images"])
    except ValueError as error:
        parser.error(f"--source-images {error}")
    if not values["agent_image"]:
        parser.error("--agent-image is needed: give it, or set DEVICE_PLUGIN_AGENT_IMAGE")
    if not values["http_port"].isdecimal() or int(values["http_port"]) > 65535:
        parser.error(f"--http-port must be a port, not {values['http_port']!r}")
    if not values["kubelet_root"].startswith("/"):
        parser.error(f"--kubelet-root must be an absolute path, not {values['kubelet_root']!r}")
    values["kubelet_root"] = values["kubelet_root"].rstrip("/")
    values["http_port"] = int(values["http_port"])
    values["kubeconfig"] = values["kubeconfig"] or None
    return Settings(**values)


def _images(text: str) -> dict[str, str]:
    """`a=x, b=y`; raises ValueError, worded for people."""
    images: dict[str, str] = {}
    for pair in text.replace(",", " ").split():
        name, equals, image = pair.partition("=")
        if not (SOURCE_NAME.fits(name) and equals and image):
            raise ValueError(f"must be <source>=<image> each, not {pair!r}")
        if name in images:
            raise ValueError(f"names {name} twice")
        images[name] = image
    return images
