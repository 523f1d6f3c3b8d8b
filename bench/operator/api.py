"""HTTP as thousands of identities: requests share a pool of connections, each watch has its own."""

import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import msgspec

_REQUESTS = 64
"""Connections for everything but watches."""

JSON = "application/json"
MERGE = "application/merge-patch+json"


class Refused(OSError):
    """The API server's answer was no."""


class Api:
    """One API server; `token` is the administrator's."""

    def __init__(self, url: str, ca_file: Path, token: str) -> None:
        context = ssl.create_default_context(cafile=str(ca_file))
        self._url = url
        self._token = token
        self._requests = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_REQUESTS, ssl=context))
        self._watches = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=60),
            read_bufsize=2**18,
        )

    async def close(self) -> None:
        """End all connections."""
        await self._requests.close()
        await self._watches.close()

    async def request(
        self, method: str, path: str, *, body: object = None, content_type: str = JSON, token: str = ""
    ) -> bytes:
        """The answer's body; raises OSError."""
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._requests.request(
                method, self._url + path, data=data, headers=self._headers(content_type, token)
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"{method} {path}: {error!r}") from error
        if response.status >= 400:
            raise Refused(f"{method} {path}: {response.status} {content[:500].decode(errors='replace')}")
        return content

    async def watch(self, path: str, params: Mapping[str, str], *, token: str = "") -> AsyncIterator[bytes]:
        """The lines of one watch until the API server ends it; raises OSError."""
        try:
            async with self._watches.get(
                self._url + path, params={**params, "watch": "true"}, headers=self._headers(JSON, token)
            ) as response:
                if response.status >= 400:
                    raise Refused(f"WATCH {path}: {response.status} {await response.text()}")
                async for line in response.content:
                    yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"WATCH {path}: {error!r}") from error

    def _headers(self, content_type: str, token: str) -> dict[str, str]:
        return {
            "Accept": JSON,
            "Authorization": f"Bearer {token or self._token}",
            "Content-Type": content_type,
            "User-Agent": "bench",
        }
