"""What the kubelet knows of a resource's plugin besides its devices: devicemanager/endpoint.go."""

from dataclasses import dataclass

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from kubelet_double.clients import PluginClient, PluginError


@dataclass
class Endpoint:
    """endpointInfo: a plugin that is there, has stopped, or was there before the kubelet restarted."""

    resource: str
    client: PluginClient | None = None
    """None after a restart (newStoppedEndpointImpl)."""
    options: api.DevicePluginOptions | None = None
    stopped: float | None = None
    """When it went; None while it is there."""

    @property
    def name(self) -> str:
        """The socket's name."""
        return self.client.socket.name if self.client else ""

    def live(self) -> PluginClient:
        """The client to call; PluginError when the plugin has stopped."""
        if self.client is None or self.stopped is not None:
            raise PluginError(f"endpoint {self.resource} has been stopped")
        return self.client
