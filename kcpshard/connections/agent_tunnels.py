"""Tunnels to physical clusters: the shard asks the agent that is connected, and the agent calls back with the ticket.

Nothing is known here of who an agent is: a ticket is random, used once, and sent to the agent of the pod's Cluster
alone.
"""

import asyncio
import os
from collections.abc import Callable
from typing import NamedTuple

import orjson

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.connection_stream import PieceStream
from kcpshard.rpc.contract import Connection

ARRIVAL_S = 10.0  # until the agent has called back
ANSWER_S = 30.0  # until the physical cluster has answered
Send = Callable[[str, pb.OpenTunnel], bool]


class Pod(NamedTuple):
    """Where it runs: `uid` and `cluster` are the physical cluster's registration, the rest is upstream's."""

    uid: str
    cluster: str
    path: str
    incarnation: str  # of the logical cluster: UID of its namespace default
    namespace: str
    name: str
    subresource: str


class AgentTunnels:
    """`arrived` is called by the stream of a tunnel. `send` asks the agent of the Cluster with that UID; False: no such
    agent is connected."""

    def __init__(self) -> None:
        self.send: Send = lambda _uid, _opening: False
        self._awaited: dict[bytes, asyncio.Future[PieceStream]] = {}

    async def open(self, pod: Pod, head: bytes) -> Connection:
        """Raises ApiError: ServiceUnavailable where the cluster is away."""
        stream = await self._stream(pod)
        try:
            async with asyncio.timeout(ANSWER_S):
                await stream.send(pb.ConnectPiece(head=head))
                await stream.answered()
        except TimeoutError:
            await stream.close()
            raise ServiceUnavailable(f"the cluster {pod.cluster} does not answer", retry_after_s=5) from None
        except BaseException:
            await stream.close()
            raise
        return stream

    async def _stream(self, pod: Pod) -> PieceStream:
        ticket = os.urandom(16)
        awaited: asyncio.Future[PieceStream] = asyncio.get_running_loop().create_future()
        self._awaited[ticket] = awaited
        try:
            if not self.send(pod.uid, _opening(ticket, pod)):
                raise _away(pod)
            async with asyncio.timeout(ARRIVAL_S):
                return await awaited
        except TimeoutError:
            raise _away(pod) from None
        finally:
            del self._awaited[ticket]

    def arrived(self, ticket: bytes, stream: PieceStream) -> bool:
        """An agent has called back. False: nobody waits for that."""
        awaited = self._awaited.get(ticket)
        if awaited is None or awaited.done():
            return False
        awaited.set_result(stream)
        return True


def _opening(ticket: bytes, pod: Pod) -> pb.OpenTunnel:
    return pb.OpenTunnel(
        ticket=ticket,
        cluster=pod.path,
        incarnation=pod.incarnation,
        namespace=pod.namespace,
        name=pod.name,
        subresource=pod.subresource,
    )


def _away(pod: Pod) -> ServiceUnavailable:
    return ServiceUnavailable(f"the cluster {pod.cluster}, where the pod runs, is not connected", retry_after_s=5)


class PodWay(NamedTuple):
    """A Way into a pod. The request's options are what was admitted; of the client's own only headers go along."""

    tunnels: AgentTunnels
    pod: Pod
    query: list[tuple[str, str]]

    async def open(self, head: bytes) -> Connection:
        return await self.tunnels.open(self.pod, with_query(head, self.query))


def with_query(head: bytes, query: list[tuple[str, str]]) -> bytes:
    found = orjson.loads(head)
    return orjson.dumps({"method": found.get("method"), "headers": found.get("headers") or [], "query": query})
