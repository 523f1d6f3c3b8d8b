"""The device nodes of GPUs, for containers that get them by the kubelet."""

from device_plugin_agent.sources import sysfs_device
from device_plugin_agent.sources.host import HostView
from device_plugin_agent.sources.nvidia import proc
from device_plugin_agent.sources.nvidia.gpu import Gpu, Instance

_NEEDED = ("nvidiactl", "nvidia-uvm")
_USEFUL = ("nvidia-uvm-tools",)
"""Names below /dev that containers with any GPU get; the latter where the driver made them."""


def nodes(host: HostView, gpu: Gpu, instance: Instance | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its own nodes, and those that others have too. Raises NoNode."""
    if gpu.minor is None:
        raise sysfs_device.NoNode("the driver does not tell its device node")
    whole = f"nvidia{gpu.minor}"
    shared = [*_NEEDED, *(name for name in _USEFUL if (host.dev_root / name).exists())]
    if instance is None:
        own = [whole]
    else:
        own = proc.mig_capabilities(host.driver_dir, gpu.minor, instance.gpu_instance, instance.compute_instance)
        shared = [whole, *shared]
        if not own:
            raise sysfs_device.NoNode(f"{host.driver_dir}/nvidia-caps/mig-minors does not name its capabilities")
    return tuple(_checked(host, name) for name in own), tuple(_checked(host, name) for name in shared)


def _checked(host: HostView, name: str) -> str:
    try:
        return sysfs_device.checked(host, name)
    except sysfs_device.NoNode as missing:
        raise sysfs_device.NoNode(f"/dev/{name}: {missing}") from None
