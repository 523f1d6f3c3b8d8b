"""Where things are in the API."""

from device_plugin_api import group

GROUP = f"/apis/{group.GROUP}/{group.VERSION}"
CONFIGS = f"{GROUP}/{group.CONFIG_PLURAL}"
NODE_DEVICE_PLUGINS = f"{GROUP}/{group.NODE_PLURAL}"


def config(name: str) -> str:
    """One DevicePluginConfig."""
    return f"{CONFIGS}/{name}"


def node_device_plugin(name: str) -> str:
    """One NodeDevicePlugin."""
    return f"{NODE_DEVICE_PLUGINS}/{name}"


def node(name: str) -> str:
    """One Node."""
    return f"/api/v1/nodes/{name}"


def pods(namespace: str) -> str:
    """All pods of a namespace."""
    return f"/api/v1/namespaces/{namespace}/pods"


def daemonsets(namespace: str) -> str:
    """All DaemonSets of a namespace."""
    return f"/apis/apps/v1/namespaces/{namespace}/daemonsets"


def daemonset(namespace: str, name: str) -> str:
    """One DaemonSet."""
    return f"{daemonsets(namespace)}/{name}"


def leases(namespace: str) -> str:
    """All Leases of a namespace."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def lease(namespace: str, name: str) -> str:
    """One Lease."""
    return f"{leases(namespace)}/{name}"


EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
"""Events about cluster-scoped objects live in the default namespace."""
