"""An extension API server that upgrades connections: `fruits/NAME/talk` echoes in capitals, whatever protocol it is.

Written on bare sockets: it says exactly what a test wants. `…/refuse` answers 403, `…/plain` 200, `…/flood` upgrades
and sends much without reading, `…/uninvited` switches although nobody asked, `…/hasty` sends bytes right behind its
head.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from tests.contracts.extension_server import GROUP, ROOT, serving_context

FLOOD_BYTES = 8 << 20


class Asked(NamedTuple):
    line: str
    headers: Sequence[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


class UpgradingServer:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.port = 0
        self.bundle = b""
        self.sent = 0  # of a flood
        self.open = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                asked = _parsed(await reader.readuntil(b"\r\n\r\n"))
                self.asked.append(asked)
                path = asked.line.split()[1].partition("?")[0]
                if not path.startswith(f"{ROOT}/namespaces"):
                    writer.write(_whole("200 OK", _discovery()))
                    continue
                self.open += 1
                try:
                    await self._upgrade(path.rpartition("/")[2], asked, reader, writer)
                finally:
                    self.open -= 1
                break
        writer.close()

    async def _upgrade(
        self, what: str, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        protocol = (asked.values("upgrade") or ["none"])[0]
        head = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nX-Own: yes\r\n"
        head += "Set-Cookie: a=b\r\n\r\n"
        match what:
            case "refuse":
                writer.write(_whole("403 Forbidden", b'{"message": "not you"}'))
                return
            case "plain":
                writer.write(_whole("200 OK", b"{}"))
                return
            case "hasty":
                writer.write(head.encode() + b"hello")
            case _:
                writer.write(head.encode())
        if what == "flood":
            while self.sent < FLOOD_BYTES:
                writer.write(b"x" * 65536)
                await writer.drain()
                self.sent += 65536
            return
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
            if data.endswith(b"bye"):
                return


def _parsed(head: bytes) -> Asked:
    line, *rest = head.decode("latin-1").split("\r\n")
    pairs = [header.partition(": ") for header in rest if header]
    return Asked(line, [(name, value) for name, _, value in pairs])


def _whole(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _discovery() -> bytes:
    main = {"name": "fruits", "singularName": "fruit", "namespaced": True, "kind": "Fruit", "verbs": ["get"]}
    talk = {"name": "fruits/talk", "singularName": "", "namespaced": True, "kind": "Talk", "verbs": ["create", "get"]}
    document = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/v1", "resources": [main, talk]}
    return json.dumps(document).encode()


@asynccontextmanager
async def upgrading_server() -> AsyncIterator[UpgradingServer]:
    found = UpgradingServer()
    context, found.bundle = serving_context(b"", None)
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
