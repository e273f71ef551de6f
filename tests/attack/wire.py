"""Requests as raw bytes, and answers without what differs from one request to the next."""

import re
import socket
import ssl
from http.client import HTTPException, HTTPResponse
from typing import NamedTuple

from tests.attack.targets import Attack

_IGNORED = frozenset({"date", "audit-id", "content-length"})
# Revisions, uids, times, and the ages that tables show.
_ALTERING = re.compile(
    rb"\d{19}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z"
    rb'|(?<=")(?:\d+[smhd]){1,2}(?=")'
)


class Answer(NamedTuple):
    code: int  # 0: the connection was closed without one
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def without(self, name: str) -> "Answer":
        """As it would be for a logical cluster of another name."""
        headers = tuple((key, value.replace(name, "@")) for key, value in self.headers)
        body = self.body.replace(name.encode(), b"@").replace(name.upper().encode(), b"@")
        return Answer(self.code, headers, _ALTERING.sub(b"#", body))


class Wire:
    """One identity's connection, opened anew when it was closed."""

    def __init__(
        self, port: int, context: ssl.SSLContext, headers: tuple[tuple[str, str], ...] = (), timeout_s: float = 4.0
    ) -> None:
        self._port, self._context, self._headers, self._timeout_s = port, context, headers, timeout_s
        self._socket: ssl.SSLSocket | None = None

    def ask(self, attack: Attack) -> Answer:
        lines = [f"{attack.method} {attack.target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(attack.body)}"]
        lines += [f"{name}: {value}" for name, value in (*self._headers, *attack.headers)]
        data = "\r\n".join((*lines, "", "")).encode() + attack.body
        for _ in range(2):
            try:
                return self._once(attack.method, data)
            except (OSError, HTTPException):
                self.close()
        return Answer(0, (), b"")

    def send(self, data: bytes) -> ssl.SSLSocket:
        """Raises OSError."""
        if self._socket is None:
            plain = socket.create_connection(("127.0.0.1", self._port), timeout=self._timeout_s)
            self._socket = self._context.wrap_socket(plain, server_hostname="localhost")
        self._socket.sendall(data)
        return self._socket

    def _once(self, method: str, data: bytes) -> Answer:
        response = HTTPResponse(self.send(data), method=method)
        try:
            response.begin()
            body = response.read()
        finally:
            response.close()
        if response.will_close:
            self.close()
        shown = sorted((k.lower(), v) for k, v in response.getheaders() if k.lower() not in _IGNORED)
        return Answer(response.status, tuple(shown), body)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
