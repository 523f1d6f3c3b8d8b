"""The kubelet's Registration service: plugin/v1beta1/server.go."""

from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from device_plugin_agent.kubelet_api import deviceplugin_pb2 as api
from device_plugin_agent.kubelet_api import deviceplugin_pb2_grpc as rpc
from kubelet_double.clients import Clients, PluginError
from kubelet_double.faults import Faults
from kubelet_double.journal import Journal
from kubelet_double.names import refusal


class RegistrationService(rpc.RegistrationServicer):
    """Checks, dials back, and only then answers. All refusals are UNKNOWN."""

    def __init__(self, directory: Path, clients: Clients, *, journal: Journal, faults: Faults) -> None:
        self._directory = directory
        self._clients = clients
        self._journal = journal
        self._faults = faults

    async def Register(  # noqa: N802  (the kubelet's name)
        self, request: api.RegisterRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> api.Empty:
        """The order is upstream's: version, name, dial, options; the request's own options are not looked at."""
        error: str | None = "the caller went away"
        deadline = context.time_remaining()
        try:
            error = await self._refused(request)
        finally:
            self._journal.registered(request.resource_name, request.endpoint, request.version, error, deadline)
        if error is not None:
            await context.abort(grpc.StatusCode.UNKNOWN, error)
        return api.Empty()

    async def _refused(self, request: api.RegisterRequest) -> str | None:
        if self._faults.hold_register is not None:
            await self._faults.hold_register.wait()
        if self._faults.reject_register is not None:
            return self._faults.reject_register
        error = refusal(request.version, request.resource_name)
        if error is not None:
            return error
        try:
            # Joined without a check: a path into a subfolder works too.
            await self._clients.connect(request.resource_name, self._directory / request.endpoint)
        except PluginError as failed:
            return str(failed)
        return None
