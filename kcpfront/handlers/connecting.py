"""Connections into pods and to other servers, after the shard has said that they may be (code 472): the bytes.

An upgrade (WebSocket, SPDY) is relayed as it comes once the other server has agreed to it with 101; until then nothing
that the client sends behind its request is read, so it can neither be taken for a request here nor reach anybody. Any
other answer (a log) is framed anew. Either way the connection is closed at the end: it takes no further request.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from kcpfront.audit.trail import Trail
from kcpfront.exchange import Exchange, Reply
from kcpfront.raw_client import RawClient
from kcpfront.responses import CHUNKED, LAST_CHUNK, chunk, encode_head
from kcpshard.api.errors import ApiError, BadRequest, ServiceUnavailable
from kcpshard.rpc.connection_stream import relay
from kcpshard.rpc.contract import Connection, Connector, Result

USE_CONNECTION = 472  # see kcpshard.connections.offers
IDLE_S = 4 * 3600.0  # without a byte either way, as a kubelet's --streaming-connection-idle-timeout
_NEVER = float("inf")  # a log that is followed may be silent; a client that vanished is found out by TCP
_MAX_SMALL_BYTES = 1 << 20  # of a refusal by the other server, which is given whole
# Of the client's request, what the other server is told. No credential is among them.
_SENT = frozenset((
    "accept", "origin", "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-version", "upgrade",
    "user-agent", "x-stream-protocol-version",
))  # fmt: skip
_PROTOCOLS = "sec-websocket-protocol"
_TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."  # noqa: S105 - how a browser names its token
_UPGRADE_ANSWERED = frozenset((
    "sec-websocket-accept", "sec-websocket-extensions", _PROTOCOLS, "upgrade", "x-accepted-stream-protocol-versions",
    "x-stream-protocol-version",
))  # fmt: skip


class ConnectingHandler:
    def __init__(self, connector: Connector | None, trail: Trail | None = None, idle_s: float = IDLE_S) -> None:
        self._connector, self._trail, self._idle_s = connector, trail, idle_s
        self._loop = asyncio.get_running_loop()
        self._open: set[RawClient] = set()

    def stop(self) -> None:
        """The front ends: so do connections that have no end of their own."""
        for client in list(self._open):
            client.abort()

    @property
    def open(self) -> int:
        return len(self._open)

    async def give(self, exchange: Exchange, offered: Result, headers: Sequence[tuple[str, str]] = ()) -> Reply | None:
        """Use the offer for this exchange; `headers` go to the other server besides those that always do."""
        if self._connector is None:
            raise ServiceUnavailable("this front does not carry connections")
        wanted = upgrade_of(exchange)
        if wanted and _has_body(exchange):
            raise BadRequest("a request to upgrade the connection has no body")
        ticket = orjson.loads(offered.body)
        head = orjson.dumps({"method": exchange.method, "headers": [*sent_headers(exchange), *headers]})
        connection = await self._connector.connect(
            ticket["shard"], bytes.fromhex(ticket["ticket"]), head, exchange.deadline
        )
        try:
            return await self._answer(exchange, connection, wanted)
        finally:
            await connection.close()

    async def _answer(self, exchange: Exchange, connection: Connection, wanted: str) -> Reply | None:
        answered = orjson.loads(connection.head)
        code, headers = int(answered["code"]), answered["headers"]
        exchange.keep_alive = False
        if code == 101:
            if not wanted or _value(headers, "upgrade").lower() != wanted:
                raise ServiceUnavailable("the other server speaks a protocol that nobody has asked for")
            await self._hand_over(exchange, connection, _switching(exchange, headers), code)
            return None
        if code >= 300:
            return Reply(code, await _whole(connection), _value(headers, "content-type"))
        head = encode_head(exchange, code, _value(headers, "content-type"), CHUNKED)
        await self._hand_over(exchange, connection, head, code)
        return None

    async def _hand_over(self, exchange: Exchange, connection: Connection, head: bytes, code: int) -> None:
        client = RawClient(self._loop, self._idle_s if code == 101 else _NEVER)
        exchange.started = True
        if self._trail is not None and exchange.audit is not None:
            self._trail.started(exchange, exchange.audit, code)
        client.begin(exchange.connection.hand_over(client))
        self._open.add(client)
        try:
            await client.write(head)
            await (relay(client, connection) if code == 101 else _body(client, connection))
            await client.close()
        except ApiError:
            client.abort()  # a broken connection is all that tells the client now
        except BaseException:
            client.abort()
            raise
        finally:
            self._open.discard(client)
            if self._trail is not None and exchange.audit is not None:
                self._trail.complete(exchange, exchange.audit, code)


async def _body(client: RawClient, connection: Connection) -> None:
    """Of an answer that is still HTTP; a client that ends it early is noticed."""
    await relay(_Framed(client), connection)
    await client.write(LAST_CHUNK)


class _Framed:
    """A client that gets chunks, and whose own bytes go nowhere."""

    head = b""

    def __init__(self, client: RawClient) -> None:
        self._client = client

    async def read(self) -> bytes:
        while await self._client.read():
            pass  # a next request, although told that the connection ends here
        raise ServiceUnavailable("the client is gone")

    async def write(self, data: bytes) -> None:
        await self._client.write(chunk(data))

    async def close(self) -> None: ...


async def _whole(connection: Connection) -> bytes:
    found = b""
    while piece := await connection.read():
        found += piece
        if len(found) > _MAX_SMALL_BYTES:
            raise ServiceUnavailable("the other server's refusal is too long")
    return found


# --- headers


def upgrade_of(exchange: Exchange) -> str:
    """The protocol that the client asks to go on with; "" if none."""
    named = {name.strip().lower() for line in exchange.headers.getall("Connection", []) for name in line.split(",")}
    return (exchange.headers.get("Upgrade") or "").strip().lower() if "upgrade" in named else ""


def _has_body(exchange: Exchange) -> bool:
    headers = exchange.headers
    return headers.get("Content-Length") not in (None, "0") or headers.get("Transfer-Encoding") is not None


def sent_headers(exchange: Exchange) -> list[tuple[str, str]]:
    found = []
    for name in dict.fromkeys(exchange.headers):
        lower = name.lower()
        values = exchange.headers.getall(name, [])
        if lower in _SENT:
            found += [(name, value) for value in values]
        elif lower == _PROTOCOLS and (protocols := _without_tokens(values)):
            found.append((name, protocols))
    if upgrade_of(exchange):
        return [*found, ("Connection", "Upgrade")]
    return [(name, value) for name, value in found if name.lower() != "upgrade"]


def _without_tokens(values: Sequence[str]) -> str:
    """A client that cannot set headers shows its token as one of the protocols: that is for us alone."""
    named = [each.strip() for value in values for each in value.split(",")]
    return ", ".join(each for each in named if each and not each.startswith(_TOKEN_PROTOCOL))


def _value(headers: Sequence[Any], name: str) -> str:
    for key, value in headers:
        if key.lower() == name:
            return clean(value)
    return ""


def _switching(exchange: Exchange, headers: Sequence[Any]) -> bytes:
    lines = [f"{clean(n)}: {clean(v)}\r\n" for n, v in headers if n.lower() in _UPGRADE_ANSWERED]
    if exchange.audit_id:
        lines.append(f"Audit-Id: {exchange.audit_id}\r\n")
    return ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + "".join(lines) + "\r\n").encode(
        "latin-1", "replace"
    )


def clean(text: str) -> str:
    """Nothing in it may end its header line."""
    return "".join(" " if c in "\r\n\0" else c for c in text)
