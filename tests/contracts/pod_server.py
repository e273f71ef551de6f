"""A server over TLS that answers as a physical cluster does about namespaces, logs and upgrades into pods."""

import asyncio
import base64
import contextlib
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from kcp import certificates
from kcp.certificates import Subject
from kcpsyncer.kubeconfig import Access, parse

Head = tuple[str, str, dict[str, str]]  # method, target, headers


class PodServer:
    """`namespaces` are the objects it has. A log has `lines`, the last once `more` is set; an upgrade echoes."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.namespaces: dict[str, dict[str, Any]] = {}
        self.lines: list[bytes] = [b"one\n", b"two\n"]
        self.more = asyncio.Event()
        self.more.set()
        self.refusal = 0  # answered to all connections
        self.access: Access
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        raw = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = raw[0].split()
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in raw[1:] if line)}
        self.heads.append((method, target, headers))
        parts = urlsplit(target).path.strip("/").split("/")
        if len(parts) == 4:
            found = self.namespaces.get(parts[3])
            _json(writer, 200 if found else 404, found or {"kind": "Status", "code": 404})
            return True
        if self.refusal:
            _json(writer, self.refusal, {"kind": "Status", "code": self.refusal, "message": "says the cluster"})
            return False
        if parts[-1] == "log":
            await self._log(writer)
            return False
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            b"Upgrade: %b\r\nSec-WebSocket-Accept: x\r\nX-Secret: of-the-cluster\r\n\r\n" % headers["upgrade"].encode()
        )
        while data := await reader.read(65536):
            if data == b"bye":
                return False
            writer.write(data)
            await writer.drain()
        return False

    async def _log(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        for line in self.lines[:-1]:
            writer.write(b"%x\r\n%b\r\n" % (len(line), line))
        await writer.drain()
        await self.more.wait()
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.lines[-1]), self.lines[-1]))
        await writer.drain()

    def query(self, index: int = -1) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.heads[index][1]).query)


def _json(writer: asyncio.StreamWriter, code: int, document: Any) -> None:
    body = json.dumps(document).encode()
    head = b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % (code, len(body)) + body)


@contextlib.asynccontextmanager
async def pod_server() -> AsyncIterator[PodServer]:
    made = PodServer()
    now = certificates.now_utc()
    authority = certificates.make_authority("pods", now)
    serving = certificates.issue(authority, Subject("pods"), now, ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        pair = Path(directory) / "pair.pem"
        pair.write_bytes(serving.certificate + serving.key)
        context.load_cert_chain(pair)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    made.access = parse(_kubeconfig(port, authority.certificate))
    try:
        yield made
    finally:
        made.more.set()
        server.close()


def _kubeconfig(port: int, authority: bytes) -> str:
    data = base64.b64encode(authority).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": data}
    return yaml.safe_dump({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "secret-of-the-agent"}}],
    })  # fmt: skip
