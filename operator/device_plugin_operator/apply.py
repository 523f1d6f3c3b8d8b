"""Actions → API server."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import msgspec

from device_plugin_api import group
from device_plugin_api.config import ConfigStatus
from device_plugin_operator import decode_fleet, paths
from device_plugin_operator.client import APPLY_PATCH, MERGE_PATCH, ApiError, RequestFailed, Requests, Unreachable
from device_plugin_operator.facts import Config
from device_plugin_operator.fleet import Fleet
from device_plugin_operator.plan import daemonset, drift
from device_plugin_operator.plan.actions import (
    Action,
    ApplyDaemonSet,
    CreateNode,
    DeleteDaemonSet,
    DeleteNode,
    RepairDaemonSet,
    UpdateNode,
)
from device_plugin_operator.settings import Settings

_PARALLEL = 16
_NOT_FOUND, _CONFLICT = 404, 409
_MANAGER = {"fieldManager": daemonset.MANAGER}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """An action that was not carried out."""

    action: Action
    error: Exception


class NotRepaired(RequestFailed):
    """A DaemonSet is not as we want it although all was written: something else writes into it at once."""


class Applier:
    """Carries out what a plan says. Our own writes are known to the fleet before the watch tells of them."""

    def __init__(self, client: Requests, fleet: Fleet, settings: Settings) -> None:
        self._client = client
        self._fleet = fleet
        self._namespace = settings.agents_namespace
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def apply(self, actions: list[Action]) -> list[Failure]:
        """Carry out all of them, as far as they go; what failed is returned."""
        results = await asyncio.gather(*(self._one(action) for action in actions))
        return [failure for failure in results if failure is not None]

    async def _one(self, action: Action) -> Failure | None:
        async with self._slots:
            try:
                await self._carry_out(action)
            except RequestFailed as error:
                return Failure(action, error)
            except msgspec.DecodeError as error:
                # Something between us and the API server: whether the action was carried out, nobody knows.
                return Failure(action, Unreachable(f"unreadable answer: {error}"))
        return None

    async def _carry_out(self, action: Action) -> None:
        match action:
            case ApplyDaemonSet():
                await self._apply_daemonset(action)
            case RepairDaemonSet():
                await self._repair_daemonset(action)
            case DeleteDaemonSet():
                await self._delete(paths.daemonset(self._namespace, action.name), action.uid)
                _log.info("Deleted the DaemonSet of an earlier config", extra={"daemonset": action.name})
            case CreateNode():
                await self._create_node(action)
            case UpdateNode():
                await self._update_node(action)
            case DeleteNode():
                await self._delete(paths.node_device_plugin(action.name), action.uid)
                self._fleet.nodes.drop(action.name, action.uid)
                _log.info("Deleted a NodeDevicePlugin", extra={"ndp": action.name, "why": action.why})

    async def _apply_daemonset(self, action: ApplyDaemonSet) -> None:
        path = paths.daemonset(self._namespace, action.name)
        params = {**_MANAGER, "force": "true"}
        await self._client.request("PATCH", path, params=params, body=action.wanted, content_type=APPLY_PATCH)
        _log.info("Applied the DaemonSet", extra={"daemonset": action.name})

    async def _repair_daemonset(self, action: RepairDaemonSet) -> None:
        """The resourceVersion in the body makes sure that nobody else wrote meanwhile."""
        path = paths.daemonset(self._namespace, action.name)
        content = await self._client.request("PUT", path, params=_MANAGER, body=action.body)
        live = msgspec.json.decode(content, type=dict[str, Any])
        if not drift.settled(live, action.wanted, action.expected):
            raise NotRepaired(
                f"DaemonSet {action.name} is still not as wanted: a mutating webhook changes it at each update. Exempt "
                f"the namespace {self._namespace} from it"
            )
        _log.warning("Removed from the DaemonSet what others had added", extra={"daemonset": action.name})

    async def _create_node(self, action: CreateNode) -> None:
        try:
            content = await self._client.request("POST", paths.NODE_DEVICE_PLUGINS, params=_MANAGER, body=action.body)
        except ApiError as error:
            if error.status == _CONFLICT:
                return  # it is there: the watch will tell, or a deletion is on its way
            raise
        self._fleet.nodes.put(decode_fleet.node_object(content))
        _log.info("Created a NodeDevicePlugin", extra={"ndp": action.name})

    async def _update_node(self, action: UpdateNode) -> None:
        metadata: dict[str, Any] = {"uid": action.uid}
        if action.annotations:
            metadata["annotations"] = action.annotations
        body = {"metadata": metadata, "spec": action.spec}
        try:
            content = await self._client.request(
                "PATCH",
                paths.node_device_plugin(action.name),
                params=_MANAGER,
                body=body,
                content_type=MERGE_PATCH,
            )
        except ApiError as error:
            if error.status in (_NOT_FOUND, _CONFLICT):
                return  # it went, or another came, since we looked: the watch tells
            raise
        self._fleet.nodes.put(decode_fleet.node_object(content))
        _log.info("Updated a NodeDevicePlugin", extra={"ndp": action.name, "changed": sorted(action.spec)})

    async def _delete(self, path: str, uid: str) -> None:
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._client.request("DELETE", path, body=body)
        except ApiError as error:
            if error.status not in (_NOT_FOUND, _CONFLICT):
                raise

    async def write_status(self, config: Config, status: ConfigStatus) -> None:
        """Write the whole status: a member that is not in it any more is removed, lists are replaced."""
        empty: dict[str, Any] = dict.fromkeys(ConfigStatus.__struct_encode_fields__)
        body = {
            "apiVersion": group.API_VERSION,
            "kind": group.CONFIG_KIND,
            "metadata": {"uid": config.uid},
            "status": empty | msgspec.to_builtins(status),
        }
        try:
            await self._client.request(
                "PATCH", f"{paths.config(config.name)}/status", params=_MANAGER, body=body, content_type=MERGE_PATCH
            )
        except ApiError as error:
            if error.status not in (_NOT_FOUND, _CONFLICT):
                raise
