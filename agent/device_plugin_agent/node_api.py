"""The one object this agent may see and report to, at the API server."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import msgspec

from device_plugin_agent.api_server import ApiError, ApiServer
from device_plugin_agent.http_client import HttpError
from device_plugin_api import group

FIELD_MANAGER = "device-plugin-agent"

Unavailable = (ApiError, *HttpError, ValueError)
"""What a call may raise when the API server is away, refuses, or answers rubbish. All of it passes."""

_PATH = f"/apis/{group.GROUP}/{group.VERSION}/{group.NODE_PLURAL}"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The object as the API server has it, undecoded: a newer operator may have written it."""

    uid: str
    spec: dict[str, Any]
    status: dict[str, Any]


class _Metadata(msgspec.Struct):
    uid: str


class _Object(msgspec.Struct):
    metadata: _Metadata
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


class NodeApi:
    """Reads and reports."""

    def __init__(self, server: ApiServer, name: str) -> None:
        self._server = server
        self._name = name

    async def watch(self, server_timeout: int) -> AsyncGenerator[Seen]:
        """Each version of the object from the current one on, for about `server_timeout` seconds.

        May raise what Unavailable names. A deletion is not told: the agent goes on until its pod is taken away.
        """
        selector = f"metadata.name={self._name}"
        async with aclosing(self._server.watch(_PATH, field_selector=selector, seconds=server_timeout)) as events:
            async for event, content in events:
                if event in ("ADDED", "MODIFIED"):
                    found = msgspec.json.decode(content, type=_Object)
                    yield Seen(uid=found.metadata.uid, spec=found.spec or {}, status=found.status or {})

    async def config_uid(self, name: str) -> str | None:
        """Which config another object is of, None when there is no such object; may raise Unavailable."""
        try:
            found = msgspec.json.decode(await self._server.get(f"{_PATH}/{name}"), type=_Object)
        except ApiError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise
        uid = (found.spec or {}).get("configUID")
        return uid if isinstance(uid, str) else ""

    async def report(self, status: msgspec.Struct) -> None:
        """Replace the status; may raise Unavailable. Always a merge patch: mixing styles doubles managedFields."""
        path = f"{_PATH}/{self._name}/status"
        await self._server.merge_patch(path, {"status": status}, field_manager=FIELD_MANAGER)
