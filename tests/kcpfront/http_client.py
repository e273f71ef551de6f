"""A small HTTP/1.1 client that shows exactly what came over the wire."""

import asyncio
import json
import ssl
from typing import Any, NamedTuple


class Answer(NamedTuple):
    code: int
    headers: dict[str, str]  # lower case; repeated ones joined by a newline
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class HttpClient:
    """One connection, opened when needed; requests in sequence."""

    def __init__(self, host: str, port: int, token: str | None, context: ssl.SSLContext | None = None) -> None:
        self.host, self.port, self.token, self.context = host, port, token, context
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.opened = 0

    async def send(self, method: str, target: str, body: bytes | None = None, **headers: str) -> None:
        if self.writer is None or self.writer.is_closing():
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port, ssl=self.context)
            self.opened += 1
        lines = [f"{method} {target} HTTP/1.1", "Host: test"]
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            headers.setdefault("Content_Length", str(len(body)))
            headers.setdefault("Content_Type", "application/json")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b""))
        await self.writer.drain()

    async def head(self) -> Answer:
        assert self.reader is not None
        line = await self.reader.readline()
        if not line:
            raise ConnectionResetError
        headers: dict[str, str] = {}
        while (raw := await self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = raw.decode().partition(":")
            key = name.strip().lower()
            headers[key] = f"{headers[key]}\n{value.strip()}" if key in headers else value.strip()
        return Answer(int(line.split()[1]), headers, b"")

    async def chunk(self) -> bytes:
        """The next chunk; empty for the last."""
        assert self.reader is not None
        line = await self.reader.readline()
        if not line:
            raise ConnectionResetError("the connection ended within the answer")
        size = int(line.strip(), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readline()
        return data

    async def receive(self, method: str = "GET") -> Answer:
        answer = await self.head()
        assert self.reader is not None
        if method == "HEAD" or answer.code == 304:
            return answer
        if answer.headers.get("transfer-encoding") == "chunked":
            pieces = []
            while piece := await self.chunk():
                pieces.append(piece)
            return answer._replace(body=b"".join(pieces))
        return answer._replace(body=await self.reader.readexactly(int(answer.headers["content-length"])))

    async def request(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        async with asyncio.timeout(60):
            await self.send(method, target, body, **headers)
            return await self.receive(method)

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.request("GET", target, **headers)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
