"""The Kubernetes API server as an agent uses it."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from device_plugin_agent.http_client import MOST, HttpClient, Response
from device_plugin_api.service_account import ServiceAccount


class ApiError(Exception):
    """The API server said no, in its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class ApiServer:
    """GET, PATCH and watch with the pod's own identity.

    Every method may raise ApiError, what HttpError names, and ValueError for an answer that cannot be read.
    """

    def __init__(self, account: ServiceAccount, *, agent: str) -> None:
        """`agent` says who asks, as in a browser's User-Agent."""
        self._account = account
        self._agent = agent
        self._http = HttpClient(account.server, trust(account.ca_path))

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def get(self, path: str) -> bytes:
        """An object, as JSON."""
        async with self._http.request("GET", path, self._headers()) as response:
            return await _accepted(response)

    async def merge_patch(self, path: str, patch: Any, *, field_manager: str) -> None:
        """Merge `patch` into an object."""
        target = f"{path}?{urlencode({'fieldManager': field_manager})}"
        headers = self._headers() | {"Content-Type": "application/merge-patch+json"}
        async with self._http.request("PATCH", target, headers, msgspec.json.encode(patch)) as response:
            await _accepted(response)

    async def watch(self, path: str, *, field_selector: str, seconds: int) -> AsyncGenerator[tuple[str, bytes]]:
        """Type and object, as JSON, of each event: first what is there, then what changes, for about `seconds`."""
        # Without a resourceVersion: nothing to resume, so nothing that can be too old (410).
        wanted = {"watch": "true", "fieldSelector": field_selector, "timeoutSeconds": str(seconds)}
        async with self._http.request("GET", f"{path}?{urlencode(wanted)}", self._headers()) as response:
            if response.status != HTTPStatus.OK:
                await _accepted(response)
            async with aclosing(_lines(response)) as lines:
                async for line in lines:
                    event = msgspec.json.decode(line, type=_Event)
                    if event.type == "ERROR":
                        raise _refusal(bytes(event.object), response.status)
                    yield event.type, bytes(event.object)

    def _headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Authorization": f"Bearer {self._account.token()}",
            "User-Agent": self._agent,
        }


async def _lines(response: Response) -> AsyncGenerator[bytes]:
    """The lines of a body as they come, the last one even if it was cut short."""
    rest = b""
    async with aclosing(response.pieces()) as pieces:
        async for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line
            if len(rest) > MOST:
                raise ValueError(f"an event of more than {MOST} bytes")
    if rest:
        yield rest


def trust(authority: Path | None) -> ssl.SSLContext:
    """TLS to a server that `authority` vouches for; where none is given, one of the system's."""
    context = ssl.create_default_context(cafile=authority)
    # From 3.13 on Python asks for RFC 5280 to the letter. Kubernetes does not, and the authorities of many clusters
    # lack what it wants (an authority key identifier).
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def _accepted(response: Response) -> bytes:
    content = await response.read()
    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(content, response.status)
    return content


def _refusal(answer: bytes, code: int) -> ApiError:
    """Kubernetes says why in a Status; what stands between may say it in any other way, with the HTTP status `code`."""
    try:
        status = msgspec.json.decode(answer, type=_Status)
    except msgspec.DecodeError:
        return ApiError(code, answer[:200].decode(errors="replace"))
    return ApiError(status.code or code, status.message)
