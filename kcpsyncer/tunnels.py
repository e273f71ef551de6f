"""Connections into the pods of a physical cluster, for clients of logical clusters: one tunnel each.

A shard asks for one by a ticket; the tunnel is a stream that this process opens, so nothing need be able to call it.
Who may connect was decided upstream. Here the pod's namespace must be one that this agent has made for that namespace
of that logical cluster, so whatever a pod upstream claims, nobody gets to another tenant's.
"""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import grpc
import grpc.aio
import orjson

from kcpshard.api.errors import ApiError, BadRequest, NotFound, ServiceUnavailable, TooManyRequests
from kcpshard.callouts.raw_connection import Place, RawConnection, connect
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.connection_stream import TUNNEL_METHOD, PieceStream, relay, tell
from kcpsyncer.kube_client import Failure, KubeClient, tls_context
from kcpsyncer.namespace_mapping import CLUSTER_ANNOTATION, NAMESPACE_ANNOTATION, Origin, downstream_namespace
from kcpsyncer.placed_objects import is_ours

_log = logging.getLogger(__name__)
MAX_TUNNELS = 512  # of one agent; 429 beyond
BEGIN_S = 10.0  # until the shard has said what is asked
DIAL_S = 20.0  # until the physical cluster has answered
_FLUSH_S = 5.0
_SUBRESOURCES = frozenset(("attach", "exec", "log", "portforward"))
_METHODS = frozenset(("GET", "POST"))
# The physical cluster knows the agent, and nobody behind it.
_NOT_SENT = frozenset(("authorization", "content-length", "cookie", "host", "transfer-encoding"))
_PRIVATE = ("impersonate-", "x-remote-", "x-forwarded-")


class Asked(NamedTuple):
    """Of a request, what the shard lets through. `query` are options as admission left them."""

    method: str
    headers: Sequence[tuple[str, str]]
    query: Sequence[tuple[str, str]]


class Tunnels:
    """Of one agent. They end with `tasks`."""

    def __init__(self, cluster: str, uid: str, downstream: KubeClient, tasks: asyncio.TaskGroup) -> None:
        self._cluster, self._uid, self._downstream = cluster, uid, downstream
        self._access = downstream.access
        self._tasks = tasks
        self._open = 0
        self._trust: ssl.SSLContext | None = None

    def open(self, channel: grpc.aio.Channel, opening: pb.OpenTunnel) -> None:
        """A shard asks for one; it is opened on its channel."""
        self._tasks.create_task(self._serve(channel, opening))

    @property
    def count(self) -> int:
        return self._open

    async def _serve(self, channel: grpc.aio.Channel, opening: pb.OpenTunnel) -> None:
        call = channel.stream_stream(TUNNEL_METHOD)()
        stream = PieceStream(call, call.cancel)
        self._open += 1
        try:
            await self._carry(stream, opening)
            await _finish(call, stream)
        except ApiError as error:
            _log.info("a tunnel has broken: %s", error.message)
            await tell(stream, error)
        except Exception:  # noqa: BLE001 - one tunnel never ends another, nor the agent
            _log.exception("a tunnel failed")
        finally:
            self._open -= 1
            await stream.close()

    async def _carry(self, stream: PieceStream, opening: pb.OpenTunnel) -> None:
        """Raises ApiError where it broke after it had been connected."""
        await stream.send(pb.ConnectPiece(ticket=opening.ticket))
        try:
            asked = await _asked(stream)
            if self._open > MAX_TUNNELS:
                raise TooManyRequests(f"too many connections to the cluster {self._cluster}", retry_after_s=5)
            connection = await self._dialled(opening, asked)
        except ApiError as error:
            await tell(stream, error)
            return
        try:
            await stream.send(pb.ConnectPiece(head=connection.head))
            await relay(stream, connection)
            await stream.finish()
        finally:
            await connection.close()

    async def _dialled(self, opening: pb.OpenTunnel, asked: Asked) -> RawConnection:
        """Raises ApiError."""
        try:
            async with asyncio.timeout(DIAL_S):
                namespace = await self._namespace(opening)
                connection = await self._connected(namespace, opening, asked)
        except TimeoutError:
            raise self._silent("it takes too long") from None
        except Failure as failure:
            raise self._silent(str(failure)) from None
        except ServiceUnavailable as error:
            raise self._silent(error.message) from None
        if connection.code in (401, 403):
            await connection.close()
            raise ServiceUnavailable(
                f"the agent of the cluster {self._cluster} may not use pods/{opening.subresource} there"
            )
        return connection

    async def _namespace(self, opening: pb.OpenTunnel) -> str:
        """Raises NotFound for one that is not of that logical cluster, Failure."""
        name = downstream_namespace(Origin(opening.cluster, opening.incarnation), opening.namespace)
        found = await self._downstream.get(f"/api/v1/namespaces/{name}")
        annotations = (found or {"metadata": {}})["metadata"].get("annotations") or {}
        origin = annotations.get(CLUSTER_ANNOTATION), annotations.get(NAMESPACE_ANNOTATION)
        if found is None or not is_ours(found, self._uid) or origin != (opening.cluster, opening.namespace):
            raise NotFound(f'pods "{opening.name}" not found', name=opening.name, kind="pods")
        return name

    async def _connected(self, namespace: str, opening: pb.OpenTunnel, asked: Asked) -> RawConnection:
        if opening.subresource not in _SUBRESOURCES or asked.method not in _METHODS:
            raise BadRequest(f"pods/{opening.subresource} cannot be connected to")
        server = urlsplit(self._access.server)
        host = server.hostname or ""
        if self._trust is None:
            self._trust = tls_context(self._access)
        place = Place(host, server.port or 443, self._trust, self._access.server_name or host)
        path = f"/api/v1/namespaces/{namespace}/pods/{quote(opening.name, safe='')}/{opening.subresource}"
        target = server.path.rstrip("/") + path + (f"?{urlencode(asked.query)}" if asked.query else "")
        return await connect(place, asked.method, target, self._headers(server.netloc, asked))

    def _headers(self, host: str, asked: Asked) -> list[tuple[str, str]]:
        found = [("Host", host)]
        if self._access.token:
            found.append(("Authorization", f"Bearer {self._access.token}"))
        if asked.method == "POST":
            found.append(("Content-Length", "0"))
        for name, value in asked.headers:
            if name.lower() not in _NOT_SENT and not name.lower().startswith(_PRIVATE):
                found.append((name, value))
        return found

    def _silent(self, why: str) -> ServiceUnavailable:
        return ServiceUnavailable(f"the cluster {self._cluster} does not answer: {why}", retry_after_s=5)


async def _asked(stream: PieceStream) -> Asked:
    """Raises ApiError."""
    try:
        async with asyncio.timeout(BEGIN_S):
            piece = await stream.receive()
    except TimeoutError:
        raise ServiceUnavailable("nothing was asked for") from None
    if piece is None or not piece.head:
        raise ServiceUnavailable("nothing was asked for")
    head: dict[str, Any] = orjson.loads(piece.head)
    return Asked(str(head["method"]), _pairs(head["headers"]), _pairs(head["query"]))


def _pairs(raw: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in raw]


async def _finish(call: Any, stream: PieceStream) -> None:
    """All that was written arrives before the stream ends: a cancelled one loses what is under way."""
    with suppress(grpc.RpcError, asyncio.InvalidStateError, TimeoutError, ApiError):
        async with asyncio.timeout(_FLUSH_S):
            await call.done_writing()
            while await stream.receive() is not None:
                pass
