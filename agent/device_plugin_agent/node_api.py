"""The one object this agent may see and report to, at the API server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec
from lightkube import ApiError, AsyncClient
from lightkube.generic_resource import create_global_resource
from lightkube.types import PatchType

from device_plugin_api import group

FIELD_MANAGER = "device-plugin-agent"

Unavailable = (httpx2.HTTPError, OSError, ValueError, TimeoutError)
"""What a call may raise when the API server is away, refuses, or answers rubbish. All of it passes."""

_NodeDevicePlugin = create_global_resource(group.GROUP, group.VERSION, group.NODE_KIND, group.NODE_PLURAL)


@dataclass(frozen=True, kw_only=True)
class Seen:
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

    def seen(self) -> Seen:
        return Seen(uid=self.metadata.uid, spec=self.spec or {}, status=self.status or {})


@contextmanager
def _readable() -> Iterator[None]:
    """The client stumbles over JSON of another shape than it expects, in one way or another."""
    try:
        yield
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"the API server's answer is no such object: {error!r}") from None


class NodeApi:
    """Reads and reports through lightkube, which reads a rotated token anew by itself."""

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self._name = name

    async def watch(self, server_timeout: int) -> AsyncIterator[Seen]:
        """Each version of the object from the current one on, for about `server_timeout` seconds.

        May raise what Unavailable names. A deletion is not told: the agent goes on until its pod is taken away.
        """
        events = self._client.watch(
            _NodeDevicePlugin, fields={"metadata.name": self._name}, server_timeout=server_timeout
        )
        with _readable():
            async for event, found in events:
                if event in ("ADDED", "MODIFIED"):
                    yield msgspec.convert(found, _Object).seen()

    async def config_uid(self, name: str) -> str | None:
        """Which config another object is of, None when there is no such object; may raise Unavailable."""
        try:
            with _readable():
                found = msgspec.convert(await self._client.get(_NodeDevicePlugin, name), _Object)
        except ApiError as error:
            if error.status.code == 404:
                return None
            raise
        uid = (found.spec or {}).get("configUID")
        return uid if isinstance(uid, str) else ""

    async def report(self, status: msgspec.Struct) -> None:
        """Replace the status; may raise Unavailable. Always a merge patch: mixing styles doubles managedFields."""
        with _readable():
            await self._client.patch(
                _NodeDevicePlugin.Status,
                self._name,
                {"status": msgspec.to_builtins(status)},
                patch_type=PatchType.MERGE,
                field_manager=FIELD_MANAGER,
            )
