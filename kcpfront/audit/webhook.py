"""Audit records POSTed to a server as EventLists. On a thread only: it may wait as long as it takes.

Where the server is, whom to trust and what to show says a kubeconfig. A batch that the server does not take is sent
again a few times, later and later; then it is lost. Meanwhile the queue before it fills (`delivery`).
"""

import base64
import binascii
import http.client
import random
import ssl
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

TRIES = 5
_FACTOR, _JITTER = 1.5, 0.2
_TIMEOUT_S = 30.0
_ANSWER_BYTES = 64 * 1024


class KubeconfigError(Exception):
    """The file does not say where to send records; the text names it."""


class Server(NamedTuple):
    host: str
    port: int
    path: str
    context: ssl.SSLContext | None  # None: http
    token: str


class Webhook:
    """`stop` set: no more waiting between tries."""

    def __init__(self, server: Server, first_pause_s: float, stop: threading.Event | None = None) -> None:
        self._server, self._first_pause_s = server, first_pause_s
        self.stop = stop or threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def write(self, records: Sequence[bytes]) -> None:
        """Raises OSError when the server did not take them, tried again or not."""
        items = b",".join(record.rstrip(b"\n") for record in records)
        body = b'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[' + items + b"]}"
        pause_s = self._first_pause_s
        for left in range(TRIES - 1, -1, -1):
            try:
                code = self._post(body)
            except (OSError, http.client.HTTPException) as fault:
                self._let_go()
                reason = f"{type(fault).__name__}: {fault}"
            else:
                if code < 300:
                    return
                reason = f"the server answered {code}"
                if code < 500 and code != 429:
                    raise OSError(reason)
            if not left or self.stop.wait(pause_s * (1 + random.random() * _JITTER)):  # noqa: S311 - no secret
                raise OSError(reason)
            pause_s *= _FACTOR

    def _post(self, body: bytes) -> int:
        server = self._server
        if self._connection is None:
            self._connection = self._opened()
        headers = {"Content-Type": "application/json", "User-Agent": "kcp"}
        if server.token:
            headers["Authorization"] = f"Bearer {server.token}"
        self._connection.request("POST", server.path, body, headers)
        response = self._connection.getresponse()
        response.read(_ANSWER_BYTES)
        if not response.isclosed():  # there is more of it than anybody wants
            self._let_go()
        return response.status

    def _opened(self) -> http.client.HTTPConnection:
        server = self._server
        if server.context is None:
            return http.client.HTTPConnection(server.host, server.port, timeout=_TIMEOUT_S)
        return http.client.HTTPSConnection(server.host, server.port, timeout=_TIMEOUT_S, context=server.context)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()


def read_server(path: Path) -> Server:
    """The current context of a kubeconfig. Raises KubeconfigError."""
    try:
        document = yaml.safe_load(path.read_text())
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        users = document.get("users") or []
        user = _named(users, context["user"]).get("user") or {} if context.get("user") else {}
        return _server(cluster, user, path.parent)
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError, binascii.Error) as fault:
        raise KubeconfigError(f"{path} is no usable kubeconfig: {type(fault).__name__}: {fault}") from None


def _named(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise LookupError(f"there is no {name!r}")


def _server(cluster: Mapping[str, Any], user: Mapping[str, Any], base: Path) -> Server:
    parts = urlsplit(cluster["server"])
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
        raise ValueError("server is no URL of a server")
    context = _context(cluster, user, base) if parts.scheme == "https" else None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    token = user.get("token") or ""
    if not token and (file := user.get("tokenFile")):
        token = (base / file).read_text().strip()
    return Server(parts.hostname, parts.port or (443 if context else 80), target, context, token)


def _context(cluster: Mapping[str, Any], user: Mapping[str, Any], base: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", base)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = (_content(user, member, base) for member in ("client-certificate", "client-key"))
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:  # 0600; the library reads files only
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _content(holder: Mapping[str, Any], member: str, base: Path) -> bytes:
    if data := holder.get(f"{member}-data"):
        return base64.b64decode(data, validate=True)
    file = holder.get(member)
    return (base / file).read_bytes() if file else b""
