"""Requests for what other servers answer (APIServices): raw to the shard, which asks them, and raw back.

Whether a group version is somebody else's only its shard knows. A request that is taken for an ordinary one is answered
with USE_PROXY where it is not, one that is to be forwarded with NOT_REMOTE; what was learned is remembered for a while,
so that mostly one question does. What the front itself refuses to read is offered to the server behind, if any.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import orjson

from kcpfront.exchange import Exchange, Reply
from kcpfront.filters.request_body import MAX_BODY_BYTES
from kcpfront.responses import CHUNKED, LAST_CHUNK, encode_head
from kcpfront.upgraded import UpgradedConnections, switching_head, wanted_protocol
from kcpshard.api.errors import ApiError
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, ListStream, Result

USE_PROXY, NOT_REMOTE = 470, 471  # see kcpshard.definitions.remote_apis
KNOWN_S = 10.0
LONG_S = 24 * 3600.0  # a watch ends when its server, its client or its shard wants it to
_KNOWN = 4096
# Refusals that the front makes of what it cannot read, and the server behind might.
_OF_BODIES = frozenset((400, 406, 415, 422))
_LONG_SUBRESOURCES = frozenset(("attach", "exec", "log", "portforward", "proxy"))
# About one connection, or about who asks: they end here. Bodies are framed anew, and there is no cookie of ours.
_HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "content-length", "expect",
))  # fmt: skip
_NOT_SENT = _HOP_BY_HOP | {"authorization", "cookie", "host", "x-kubernetes-cluster", "audit-id"}
# All tenants share one origin: none of their servers may speak for it. The rest is written by us.
_NOT_GIVEN = _HOP_BY_HOP | {
    "alt-svc", "audit-id", "cache-control", "clear-site-data", "content-type", "date", "set-cookie", "set-cookie2",
    "strict-transport-security",
}  # fmt: skip
_SUBPROTOCOLS, _BEARER_PROTOCOL = "sec-websocket-protocol", "base64url.bearer.authorization.k8s.io."
_SWITCHING = 101
_PRIVATE = ("impersonate-", "x-remote-", "x-forwarded-")

Handle = Callable[[Exchange], Awaitable[Reply | None]]
Place = tuple[str, str, str]  # logical cluster, group, version


class ForwardingHandler:
    def __init__(self, caller: Caller, upgraded: UpgradedConnections) -> None:
        self._caller, self._upgraded = caller, upgraded
        self._time = asyncio.get_running_loop().time
        self._remote: OrderedDict[Place, float] = OrderedDict()  # those last heard to be somebody else's, until when

    async def handle(self, exchange: Exchange, group: str, version: str, local: Handle) -> Reply | None:
        """Answer a request of a group that is not Kubernetes' own; `local` is how it is answered if it is ours."""
        place = (exchange.info.cluster, group, version)
        if self._remote and self._time() < self._remote.get(place, 0.0):
            is_remote, reply = await self._forward(exchange, place)
            if is_remote:
                return reply
        try:
            reply = await local(exchange)
        except ApiError as error:
            if error.code not in _OF_BODIES:
                raise
            is_remote, answered = await self._forward(exchange, place)
            if not is_remote:
                raise
            return answered
        if reply is None or reply.code != USE_PROXY:
            return reply
        is_remote, reply = await self._forward(exchange, place)
        return reply if is_remote else await local(exchange)  # it has just become ours again

    async def _forward(self, exchange: Exchange, place: Place) -> tuple[bool, Reply | None]:
        """Whether it is another server's, and then the answer."""
        deadline = exchange.deadline
        if _is_long(exchange):
            deadline += LONG_S
        if protocol := wanted_protocol(exchange):
            return await self._connect(exchange, place, protocol)
        answer = await self._caller.list(await _request(exchange, place), deadline)
        if exchange.audit is not None:
            exchange.audit.told(answer.audit, answer.body if isinstance(answer, Result) else b"")
        if answer.code == NOT_REMOTE if isinstance(answer, Result) else not answer.head:
            self._remote.pop(place, None)
            return False, None
        self._remember(place)
        if isinstance(answer, Result):
            return True, _refusal(answer)
        try:
            return True, await _give(exchange, answer)
        finally:
            answer.close()

    async def _connect(self, exchange: Exchange, place: Place, protocol: str) -> tuple[bool, Reply | None]:
        """The same of a request to upgrade the connection: where the other server agrees, bytes go both ways."""
        request = await _request(exchange, place, protocol)
        request.timeout_ms = int(LONG_S * 1000)
        answer = await self._caller.connect(request, exchange.deadline)
        if exchange.audit is not None:
            exchange.audit.told(answer.audit, answer.body if isinstance(answer, Result) else b"")
        if isinstance(answer, Result):
            if answer.code == NOT_REMOTE:
                self._remote.pop(place, None)
                return False, None
            self._remember(place)
            return True, _refusal(answer)
        self._remember(place)
        try:
            head = orjson.loads(answer.head)
            content_type, headers = _given(head["headers"])
            if head["code"] != _SWITCHING:
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("utf-8", "replace")
                return True, Reply(head["code"], answer.body, content_type, lines)
            chosen = next((_clean(value) for name, value in head["headers"] if name.lower() == "upgrade"), protocol)
            await self._upgraded.relay(exchange, switching_head(chosen, headers), answer)
            return True, None
        finally:
            answer.close()

    def _remember(self, place: Place) -> None:
        self._remote[place] = self._time() + KNOWN_S
        self._remote.move_to_end(place)
        if len(self._remote) > _KNOWN:
            self._remote.popitem(last=False)


def _is_long(exchange: Exchange) -> bool:
    return exchange.info.verb == "watch" or exchange.info.subresource.partition("/")[0] in _LONG_SUBRESOURCES


async def _request(exchange: Exchange, place: Place, protocol: str = "") -> pb.Request:
    info = exchange.info
    upgrade = (("Connection", "Upgrade"), ("Upgrade", protocol)) if protocol else ()
    forwarded = {
        "verb": info.verb,
        "method": exchange.method,
        "target": own_target(exchange.target),
        "headers": [*_sent(exchange), *upgrade],
    }
    return pb.Request(
        audit_id=exchange.audit_id if exchange.audit is not None else "",
        verb=pb.FORWARD,
        cluster=info.cluster,
        group=place[1],
        version=place[2],
        resource=info.resource,
        namespace="" if info.resource == "namespaces" else info.namespace,
        name=info.name,
        subresource=info.subresource,
        identity=exchange.identity,
        impersonation=exchange.impersonation,
        proof=exchange.proof,
        user_agent=exchange.user_agent,
        body=await exchange.read_body(MAX_BODY_BYTES),
        forwarded=orjson.dumps(forwarded),
    )


def own_target(target: str) -> str:
    """As the server knows it: without the logical cluster, encoded as it came. In a query Latin-1 stands for bytes."""
    path, mark, query = target.partition("?")
    parts = path.split("/")
    if len(parts) > 2 and parts[1] == "clusters":
        del parts[1:3]
    return _ascii("/".join(parts) + mark + query)


def _ascii(target: str) -> str:
    return "".join(c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode("latin-1")) for c in target)


def _sent(exchange: Exchange) -> Sequence[tuple[str, str]]:
    headers = exchange.headers
    named = {name.strip().lower() for line in headers.getall("Connection", []) for name in line.split(",")}
    found = [("Audit-Id", exchange.audit_id)] if exchange.audit_id else []
    for name in dict.fromkeys(headers):
        lower = name.lower()
        if lower == _SUBPROTOCOLS:
            found += [(name, kept) for line in headers.getall(name, []) if (kept := _without_token(line))]
        elif lower not in _NOT_SENT and lower not in named and not lower.startswith(_PRIVATE):
            found += [(name, value.encode("utf-8", "replace").decode()) for value in headers.getall(name, [])]
    host = headers.get("Host")
    if host:
        found.append(("X-Forwarded-Host", host))
    return [*dict.fromkeys(found), ("X-Forwarded-Proto", "https")]


def _without_token(protocols: str) -> str:
    """Browsers, which can set no other header, put their bearer token among the WebSocket's protocols."""
    names = [name.strip() for name in protocols.split(",")]
    return ", ".join(name for name in names if not name.startswith(_BEARER_PROTOCOL))


def _refusal(result: Result) -> Reply:
    headers = b"Retry-After: %d\r\n" % result.retry_after_s if result.retry_after_s else b""
    if result.content_type:
        headers += b"X-Content-Type-Options: nosniff\r\n"
    return Reply(result.code, result.body, result.content_type or "application/json", headers)


async def _give(exchange: Exchange, stream: ListStream) -> Reply | None:
    head = orjson.loads(stream.head)
    code = head["code"]
    content_type, headers = _given(head["headers"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("utf-8", "replace")
    if stream.complete:
        return Reply(code, b"".join([piece async for piece in stream]), content_type, lines)
    connection = exchange.connection
    exchange.started = True
    connection.write(encode_head(exchange, code, content_type, CHUNKED, lines))
    async for piece in stream:
        if piece:
            connection.write_all((b"%x\r\n" % len(piece), piece, b"\r\n"))
            await connection.drain()
    connection.write(LAST_CHUNK)
    return None


def _given(told: Sequence[Sequence[str]]) -> tuple[str, Sequence[tuple[str, str]]]:
    """The media type of another server's answer, and those of its headers that its client may have."""
    content_type, headers = "", []
    for name, value in told:
        lower = name.lower()
        if lower == "content-type":
            content_type = _clean(value)
        elif lower not in _NOT_GIVEN:
            headers.append((_clean(name), _clean(value)))
    return content_type, headers


def _clean(text: str) -> str:
    """Nothing in it may end its header line."""
    return "".join(" " if c in "\r\n\0" else c for c in text)
