"""HTTP to the API server, raw bytes in and out. The only file that knows aiohttp's client.

The kubernetes package's own calls are slow, strict about partial objects and take an answer 201 to a patch for nothing.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import aiohttp
import msgspec

from device_plugin_operator.access import Access

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)

_WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=75)
"""The API server sends a bookmark each minute: a stream without a byte for longer is dead."""

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
JSON = "application/json"

_log = logging.getLogger(__name__)

OnAnswer = Callable[[str, str, int], None]
"""Told method, path and status (0: none came) of each request."""


class RequestFailed(Exception):
    """A request brought nothing."""

    retry_after: float | None = None


REFUSALS = frozenset({400, 403, 422})
"""Answers that will be the same next time. All others are for trying again."""


class Unreachable(RequestFailed):
    """No answer: the API server or the network is away."""


class ApiError(RequestFailed):
    """The API server refused."""

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class _Status(msgspec.Struct):
    message: str = ""
    reason: str = ""


class Requests(Protocol):
    """Whoever sends requests."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
    ) -> bytes:
        """The answer's body. Raises RequestFailed."""
        ...


class Client:
    """One connection pool. Nothing is sent before the first request."""

    def __init__(self, access: Access, *, on_answer: OnAnswer = lambda *_: None) -> None:
        self.access = access
        self._on_answer = on_answer
        self._ssl = _ssl_context(access) if access.server.startswith("https") else False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64, ssl=self._ssl), read_bufsize=2**18, trust_env=True
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
    ) -> bytes:
        """The answer's body. Raises RequestFailed."""
        data = None if body is None else msgspec.json.encode(body)
        status = 0
        loop = asyncio.get_running_loop()
        sent = loop.time()
        try:
            async with self._session.request(
                method,
                self.access.server + path,
                params=params,
                data=data,
                headers=await self._headers(content_type),
                timeout=_TIMEOUT,
            ) as response:
                status = response.status
                content = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            took = round(loop.time() - sent, 6)
            _log.debug("Requested", extra={"method": method, "path": path, "status": status, "seconds": took})
            self._on_answer(method, path, status)
        if status >= 400:
            raise _refusal(status, content, response.headers.get("Retry-After"))
        return content

    async def watch(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The events of one watch, a line each, until the API server ends it. Raises RequestFailed."""
        status = 0
        try:
            async with self._session.get(
                self.access.server + path,
                params={**params, "watch": "true", "allowWatchBookmarks": "true"},
                headers=await self._headers(JSON),
                timeout=_WATCH_TIMEOUT,
            ) as response:
                status = response.status
                self._on_answer("WATCH", path, status)
                if status >= 400:
                    raise _refusal(status, await response.read(), response.headers.get("Retry-After"))
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
        except (aiohttp.ClientError, OSError) as error:
            if status == 0:
                self._on_answer("WATCH", path, status)
            raise Unreachable(f"WATCH {path}: {error or type(error).__name__}") from error

    async def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": JSON, "Content-Type": content_type, "User-Agent": "device-plugin-operator"}
        if authorization := await self.access.authorization():
            headers["Authorization"] = authorization
        return headers


def _ssl_context(access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=access.ca_path)
    if access.certificate_path:
        context.load_cert_chain(access.certificate_path, keyfile=access.private_key_path)
    # Cluster authorities made by older tools lack extensions that Python 3.13 asks for by default.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _refusal(status: int, content: bytes, retry_after: str | None) -> ApiError:
    try:
        answer = msgspec.json.decode(content, type=_Status)
    except msgspec.DecodeError:
        answer = _Status(message=content[:200].decode(errors="replace"))
    pause = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return ApiError(status, answer.reason or "Unknown", answer.message, pause)
