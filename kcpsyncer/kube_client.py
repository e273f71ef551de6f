"""The Kubernetes HTTP API of one cluster, physical or logical, as a client: requests, lists, watches.

Every request has a deadline and a bounded answer; redirects and proxies are not followed. Errors name the cluster's
answer and never a credential.
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import orjson

from kcpsyncer.kubeconfig import Access

Object = dict[str, Any]
TIMEOUT_S = 20.0
CONNECT_S = 5.0
PAGE = 500
ANSWER_BYTES = 32 * 1024 * 1024  # of one answer: OpenAPI documents are the largest
REQUESTS = 32  # at a time
WATCH_S = 290  # asked of the server; it ends the watch then
CLOSING_S = 0.05  # for connections that were just being made: they close in the turns after their cancellation
QUIET_S = 330.0  # without a word, not even a bookmark: the connection is dead
_APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Failure(Exception):
    """The cluster answered with an error; `code` 0: it did not answer."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason

    @property
    def is_gone(self) -> bool:
        return self.code == 404


def resource_path(group: str, version: str, plural: str, namespace: str = "", name: str = "") -> str:
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    place = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{base}{place}/{plural}" + (f"/{quote(name, safe='')}" if name else "")


class KubeClient:
    """Use it as an asynchronous context manager. `url` instead of the access's server, for another logical cluster."""

    def __init__(self, access: Access, url: str = "", manager: str = "kcp") -> None:
        self.url = url or access.server
        self._access, self._manager = access, manager
        self._session: aiohttp.ClientSession | None = None
        self._watching: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"User-Agent": "kcp", "Accept": "application/json"}
        if self._access.token:
            headers["Authorization"] = f"Bearer {self._access.token}"
        tls = tls_context(self._access)
        connector = aiohttp.TCPConnector(ssl=tls, limit=REQUESTS, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_S)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)
        # A watch keeps its connection. Among those of requests, a few clusters' watches would leave none for requests;
        # how many there are is bounded by whoever watches.
        self._watching = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=0), headers=headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._session, self._watching):
            if session is not None:
                await session.close()
        await asyncio.sleep(CLOSING_S)

    @property
    def access(self) -> Access:
        return self._access

    # --- verbs

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        """The answer's JSON. Raises Failure."""
        data = None if body is None else orjson.dumps(body)
        headers = {"Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        try:
            async with self._opened.request(
                method,
                self.url + path,
                params=query,
                data=data,
                headers=headers,
                allow_redirects=False,
                server_hostname=self._access.server_name or None,
            ) as response:
                text = await response.content.read(ANSWER_BYTES + 1)
                while not response.content.at_eof() and len(text) <= ANSWER_BYTES:
                    text += await response.content.read(ANSWER_BYTES + 1 - len(text))
                return _answer(response.status, text)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Failure(0, "Unreachable", _said(error)) from None

    async def get(self, path: str) -> Object | None:
        """None: there is none."""
        try:
            found: Object = await self.request("GET", path)
            return found
        except Failure as failure:
            if failure.is_gone:
                return None
            raise

    async def list(self, path: str, query: Mapping[str, str] | None = None) -> tuple[list[Object], str]:
        """All items, page by page, and the list's resourceVersion."""
        asked = {**(query or {}), "limit": str(PAGE)}
        items: list[Object] = []
        while True:
            page = await self.request("GET", path, query=asked)
            kind = {"apiVersion": page.get("apiVersion"), "kind": str(page.get("kind") or "").removesuffix("List")}
            items += ({**kind, **item} for item in page.get("items") or ())  # items of built-in kinds do not say it
            metadata = page.get("metadata") or {}
            token = metadata.get("continue")
            if not token:
                return items, metadata.get("resourceVersion") or ""
            asked["continue"] = token

    async def create(self, path: str, obj: Object) -> Object:
        created: Object = await self.request("POST", path, obj, {"fieldManager": self._manager})
        return created

    async def update(self, path: str, obj: Object) -> Object:
        updated: Object = await self.request("PUT", path, obj, {"fieldManager": self._manager})
        return updated

    async def apply(self, path: str, obj: Object, force: bool = True, manager: str = "") -> Object:
        """Server-side apply."""
        query = {"fieldManager": manager or self._manager, "force": "true" if force else "false"}
        applied: Object = await self.request("PATCH", path, obj, query, _APPLY)
        return applied

    async def merge(self, path: str, patch: Object) -> Object:
        merged: Object = await self.request("PATCH", path, patch, {"fieldManager": self._manager}, MERGE)
        return merged

    async def delete(self, path: str, uid: str = "") -> None:
        """Of exactly that object, if `uid` is given. That it is gone already is no error."""
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", path, body)
        except Failure as failure:
            if not failure.is_gone:
                raise

    async def watch(self, path: str, version: str, query: Mapping[str, str] | None = None) -> AsyncIterator[Object]:
        """Events after `version`, bookmarks too, until the server ends the watch. Raises Failure."""
        asked = {
            **(query or {}),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=QUIET_S)
        try:
            assert self._watching is not None
            async with self._watching.get(
                self.url + path,
                params=asked,
                timeout=timeout,
                allow_redirects=False,
                server_hostname=self._access.server_name or None,
            ) as response:
                if response.status != 200:
                    _answer(response.status, await response.content.read(ANSWER_BYTES))
                async for event in _lines(response.content):
                    yield event
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Failure(0, "Unreachable", _said(error)) from None

    @property
    def _opened(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[Object]:
    rest = bytearray()
    async for piece in content.iter_any():
        rest += piece
        *lines, last = rest.split(b"\n")
        for line in lines:
            if line:
                yield orjson.loads(bytes(line))
        rest = bytearray(last)
        if len(rest) > ANSWER_BYTES:
            raise Failure(0, "TooLarge", "an event is too large")


def _answer(code: int, text: bytes) -> Any:
    if len(text) > ANSWER_BYTES:
        raise Failure(0, "TooLarge", "the answer is too large")
    try:
        document = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        document = None
    if 200 <= code < 300 and document is not None:
        return document
    if isinstance(document, dict) and document.get("kind") == "Status":
        raise Failure(code, str(document.get("reason") or ""), str(document.get("message") or f"HTTP {code}"))
    raise Failure(code, "", f"HTTP {code}" if not 200 <= code < 300 else "the answer is not JSON")


def _said(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return "the server's certificate cannot be verified"
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    return f"cannot be reached: {type(error).__name__}"


def tls_context(access: Access) -> ssl.SSLContext:
    """Raises ssl.SSLError for what is no certificate. OpenSSL reads a client's key from a file only: it is ours, for a
    moment, and for our eyes."""
    context = ssl.create_default_context(cadata=access.authority or None)
    if access.certificate:
        with tempfile.TemporaryDirectory(prefix="kcp-") as directory:
            path = Path(directory) / "pair.pem"
            path.touch(mode=0o600)
            path.write_text(f"{access.certificate}\n{access.key}\n")
            context.load_cert_chain(path)
    return context


def tls_fault(access: Access) -> str:
    """Why no connection can be made with these certificates; "" if one can."""
    try:
        tls_context(access)
    except (ssl.SSLError, ValueError):
        return "its certificates and key cannot be used"
    return ""
