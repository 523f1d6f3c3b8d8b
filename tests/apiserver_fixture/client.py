"""A small synchronous client: dicts in, dicts out, the server's own words in errors."""

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Json = dict[str, Any]

USER_AGENT = "device-plugin-tests"

_COMES_AGAIN = 30
"""How often it comes again when the server asks for that (429), as it does for a moment after a CRD has changed."""

_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class ApiError(Exception):
    """The server said no; `message` holds its words, `causes` what it has against each field."""

    def __init__(self, status: int, body: Json) -> None:
        self.status = status
        self.body = body
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", ""))
        self.causes: list[Json] = list((body.get("details") or {}).get("causes") or [])
        super().__init__(f"{status} {self.reason}: {self.message}")


class Client:
    """Requests as one identity over one connection; threads take turns. `with` or close() ends the connection."""

    def __init__(self, url: str, ca_file: Path, token: str) -> None:
        self._url, self._ca_file = url, ca_file
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
        }
        where = urlsplit(url)
        context = ssl.create_default_context(cafile=str(ca_file))
        self._connection = http.client.HTTPSConnection(
            where.hostname or "", where.port or 443, context=context, timeout=20
        )
        self._turn = threading.Lock()
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    def with_token(self, token: str) -> "Client":
        """The same server, asked by somebody else."""
        return Client(self._url, self._ca_file, token)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Json:
        """One request; raises ApiError for an answer of 400 and above. Plain text comes back as {"text": …}."""
        target = f"{path}?{urlencode(query)}" if query else path
        headers = dict(self._headers)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        with self._turn:
            for _ in range(_COMES_AGAIN):
                status, later, answer = self._exchange(method, target, content, headers)
                if status != http.client.TOO_MANY_REQUESTS or later is None:
                    break
                time.sleep(later)
        try:
            parsed = json.loads(answer)
        except ValueError:
            parsed = {"text": answer.decode(errors="replace")}
        if status >= 400:
            raise ApiError(status, parsed if "text" not in parsed else {"message": parsed["text"]})
        return dict(parsed)

    def _exchange(
        self, method: str, target: str, content: bytes | None, headers: dict[str, str]
    ) -> tuple[int, int | None, bytes]:
        """Status, seconds after which to come again where the server asks for that, content."""
        reused = self._connection.sock is not None
        try:
            self._connection.request(method, target, content, headers)
            response = self._connection.getresponse()
            later = response.headers.get("Retry-After")
            return response.status, None if later is None else int(later), response.read()
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            # The server may have closed the connection while it lay idle; then it has seen nothing of this request.
            if reused and isinstance(error, http.client.RemoteDisconnected | BrokenPipeError):
                return self._exchange(method, target, content, headers)
            raise

    def watch(self, path: str, *, seconds: int, **query: str) -> Iterator[Json]:
        """Events for so many seconds over a connection of its own: first one for each object that is there."""
        where = urlsplit(self._url)
        context = ssl.create_default_context(cafile=str(self._ca_file))
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port or 443, context=context, timeout=seconds + 10
        )
        with contextlib.closing(connection):
            target = f"{path}?{urlencode({'watch': 'true', 'timeoutSeconds': str(seconds), **query})}"
            connection.request("GET", target, headers=self._headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(response.status, json.loads(response.read()))
            for line in response:
                yield json.loads(line)

    def path(
        self,
        api_version: str,
        kind: str,
        name: str | None = None,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> str:
        """Where objects of this kind are, by the server's own discovery. One without namespace is in `default`."""
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if (api_version, kind) not in self._kinds:
            for found in self.request("GET", root)["resources"]:
                if "/" not in found["name"]:
                    self._kinds[api_version, found["kind"]] = (found["name"], found["namespaced"])
        plural, namespaced = self._kinds[api_version, kind]
        parts = [root]
        if namespaced and (namespace is not None or name is not None):
            parts += ["namespaces", namespace or "default"]
        parts.append(plural)
        if name is not None:
            parts.append(quote(name))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)

    def _path_of(self, item: Json, name: str | None, subresource: str | None) -> str:
        namespace = item.get("metadata", {}).get("namespace", "default")
        return self.path(item["apiVersion"], item["kind"], name, namespace=namespace, subresource=subresource)

    def create(self, item: Json, *, dry_run: bool = False, field_validation: str = "Strict") -> Json:
        """POST; unknown fields are an error unless `field_validation` is Warn or Ignore."""
        query = {"fieldValidation": field_validation} | ({"dryRun": "All"} if dry_run else {})
        return self.request("POST", self._path_of(item, None, None), query=query, body=item)

    def update(self, item: Json, *, subresource: str | None = None, dry_run: bool = False) -> Json:
        """PUT."""
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self.request("PUT", self._path_of(item, item["metadata"]["name"], subresource), query=query, body=item)

    def get(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Json:
        """GET one."""
        return self.request("GET", self.path(api_version, kind, name, namespace=namespace))

    def find(self, api_version: str, kind: str, name: str, *, namespace: str | None = None) -> Json | None:
        """GET one, or None."""
        try:
            return self.get(api_version, kind, name, namespace=namespace)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def list(self, api_version: str, kind: str, *, namespace: str | None = None, **query: str) -> list[Json]:
        """GET all; `query` holds labelSelector, fieldSelector and the like."""
        return list(self.request("GET", self.path(api_version, kind, namespace=namespace), query=query)["items"])

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        body: Any,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        style: str = "merge",
        dry_run: bool = False,
    ) -> Json:
        """PATCH; `style` is merge, json or strategic."""
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        path = self.path(api_version, kind, name, namespace=namespace, subresource=subresource)
        return self.request("PATCH", path, query=query, body=body, content_type=_PATCH_TYPES[style])

    def apply(
        self, item: Json, *, manager: str = "tests", subresource: str | None = None, dry_run: bool = False
    ) -> Json:
        """Server-side apply with forced ownership."""
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return self.request(
            "PATCH",
            self._path_of(item, item["metadata"]["name"], subresource),
            query=query | ({"dryRun": "All"} if dry_run else {}),
            body=item,
            content_type="application/apply-patch+yaml",
        )

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        *,
        namespace: str | None = None,
        propagation: str | None = None,
        missing_ok: bool = False,
    ) -> None:
        """DELETE, without grace; `propagation` is Foreground, Background or Orphan."""
        query = {"gracePeriodSeconds": "0"} | ({"propagationPolicy": propagation} if propagation else {})
        try:
            self.request("DELETE", self.path(api_version, kind, name, namespace=namespace), query=query)
        except ApiError as error:
            if not (missing_ok and error.status == 404):
                raise
