"""An HTTPS server on 127.0.0.1 that answers as a test says and remembers what it was asked."""

import asyncio
import base64
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from kcp.certificates import Subject, issue, make_authority, now_utc
from kcpshard.callouts.targets import ClientConfig

NAMES = ("localhost", "127.0.0.1", "hook.test.svc")


class Asked(NamedTuple):
    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Raw(bytes):
    """What goes over the wire as it is; the connection is closed after it."""


class Hanging(NamedTuple):
    """Nothing follows `first`, until the client goes."""

    first: bytes = b""


Reply = Raw | Hanging | tuple[int, Mapping[str, str], bytes]
Answering = Callable[[Asked], Reply]


def json_reply(document: Any, code: int = 200) -> Reply:
    return code, {"Content-Type": "application/json"}, orjson.dumps(document)


class WebhookServer:
    def __init__(self, answering: Answering, port: int, bundle: bytes) -> None:
        self.answering, self.port, self.bundle = answering, port, bundle
        self.asked: list[Asked] = []
        self.connections = 0

    def url(self, path: str = "/", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    def config(self, path: str = "/", host: str = "localhost") -> ClientConfig:
        return ClientConfig(self.url(path, host), None, self.bundle)

    def client_config(self, path: str = "/", host: str = "localhost") -> dict[str, Any]:
        """As in an object of the API."""
        return {"url": self.url(path, host), "caBundle": base64.b64encode(self.bundle).decode()}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while asked := await _read(reader):
                self.asked.append(asked)
                reply = self.answering(asked)
                if isinstance(reply, Hanging):
                    writer.write(reply.first)
                    await reader.read()
                    return
                if isinstance(reply, Raw):
                    writer.write(reply)
                    await writer.drain()
                    return
                code, headers, body = reply
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                writer.write(f"HTTP/1.1 {code} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except ValueError:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ")
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)


@asynccontextmanager
async def webhook_server(
    answering: Answering, *, names: Sequence[str] = NAMES, now: datetime | None = None, tls: bool = True
) -> AsyncIterator[WebhookServer]:
    """`names` of its certificate, which was issued at `now` for a year."""
    context, bundle = _serving(tuple(names), now)
    found = WebhookServer(answering, 0, bundle)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=context if tls else None)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await asyncio.sleep(0)


@cache
def _serving(names: tuple[str, ...], now: datetime | None) -> tuple[ssl.SSLContext, bytes]:
    authority = make_authority("test", now or now_utc())
    pair = issue(authority, Subject("hook"), now or now_utc(), names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory, "crt"), Path(directory, "key")
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        context.load_cert_chain(certificate, key)
    return context, authority.certificate
