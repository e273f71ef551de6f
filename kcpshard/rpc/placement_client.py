"""The placement and admin calls of one shard to another, and the map stream that fronts follow too.

A gRPC failure becomes one of three: Unreachable (ask again, or somebody else), NotKeeper (ask the keeper), Refused (its
text is a sentence for the operator; asking again will not help).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import grpc

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc

PROTOCOL = 1
# A shard that does not answer within this is asked again later: a seal looks at every logical cluster, and a grant
# waits for a sync.
CALL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 3.0

Dial = Callable[[str], Any]
"""Address → a new grpc.aio.Channel with this process's credentials and keepalive; ValueError if it has none for it."""

Reply = TypeVar("Reply")


class Unreachable(Exception):
    """The shard did not answer; what was asked may have happened."""


class NotKeeper(Exception):
    """The shard asked does not keep the map."""


class Refused(Exception):
    """The shard's records contradict what was asked; nothing happened."""


_REFUSALS = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
NOT_KEEPER = grpc.StatusCode.ABORTED
REFUSED = grpc.StatusCode.FAILED_PRECONDITION


def translate(error: Any) -> Exception:
    if error.code() is NOT_KEEPER:
        return NotKeeper(error.details())
    if error.code() in _REFUSALS:
        return Refused(error.details())
    return Unreachable(f"{error.code().name}: {error.details()}")


class PlacementClient:
    """One shard's admin address. Each call has a deadline; raises what the module says."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self._admin: Any = shard_pb2_grpc.ShardAdminStub(channel)  # type: ignore[no-untyped-call]

    async def register(self, request: pb.RegisterShardRequest) -> pb.ShardMap:
        return await _answer(self._admin.RegisterShard(request, timeout=CALL_TIMEOUT_S))

    async def reserve(self, name: str) -> tuple[int, str]:
        """Number and name for a shard that joins."""
        request = pb.ReserveShardRequest(name=name)
        reply: pb.ReserveShardResponse = await _answer(self._admin.ReserveShard(request, timeout=CALL_TIMEOUT_S))
        return reply.number, reply.name

    async def grant(self, request: pb.GrantSlotsRequest) -> pb.OwnershipResponse:
        return await _answer(self._admin.GrantSlots(request, timeout=CALL_TIMEOUT_S))

    async def seal(self, request: pb.SealSlotsRequest) -> pb.OwnershipResponse:
        return await _answer(self._admin.SealSlots(request, timeout=CALL_TIMEOUT_S))

    async def export_cluster(self, request: pb.ExportClusterRequest) -> AsyncGenerator[pb.ClusterPage, None]:
        """Without a deadline: keepalive finds a shard that is gone, and whoever reads may stop."""
        call = self._admin.ExportCluster(request)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        finally:
            call.cancel()

    async def seal_cluster(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        return await _answer(self._admin.SealCluster(request, timeout=CALL_TIMEOUT_S))

    async def keep_cluster(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        return await _answer(self._admin.KeepCluster(request, timeout=CALL_TIMEOUT_S))

    async def point_cluster(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse:
        return await _answer(self._admin.PointCluster(request, timeout=CALL_TIMEOUT_S))

    async def show_ownership(self, cluster: str) -> pb.ShowOwnershipResponse:
        return await _answer(
            self._admin.ShowOwnership(pb.ShowOwnershipRequest(cluster=cluster), timeout=CALL_TIMEOUT_S)
        )

    async def take_cluster(self, request: pb.TakeClusterRequest) -> pb.TakeClusterResponse:
        return await _answer(self._admin.TakeCluster(request, timeout=CALL_TIMEOUT_S))

    async def cancel_take(self, request: pb.TakeClusterRequest) -> pb.TakeClusterResponse:
        return await _answer(self._admin.CancelTake(request, timeout=CALL_TIMEOUT_S))

    async def find_clusters(self, request: pb.FindClustersRequest) -> pb.FindClustersResponse:
        return await _answer(self._admin.FindClusters(request, timeout=CALL_TIMEOUT_S))

    async def change_shard(self, request: pb.ChangeShardRequest) -> pb.ShardMap:
        """Of the keeper, as the two that follow."""
        return await _answer(self._admin.ChangeShard(request, timeout=CALL_TIMEOUT_S))

    async def move_clusters(self, request: pb.MoveClustersRequest) -> bytes:
        reply: pb.MovesResponse = await _answer(self._admin.MoveClusters(request, timeout=CALL_TIMEOUT_S))
        return reply.moves

    async def place_cluster(self, path: str, beside: str) -> None:
        request = pb.PlaceClusterRequest(cluster=path, beside=beside)
        await _answer(self._admin.PlaceCluster(request, timeout=CALL_TIMEOUT_S))

    async def show_moves(self) -> bytes:
        reply: pb.MovesResponse = await _answer(self._admin.ShowMoves(pb.ShowMovesRequest(), timeout=CALL_TIMEOUT_S))
        return reply.moves

    async def rotate_keys(self, purpose: str) -> str:
        """The id of the new key. Of the keeper."""
        request = pb.RotateKeysRequest(purpose=purpose)
        reply: pb.RotateKeysResponse = await _answer(self._admin.RotateKeys(request, timeout=CALL_TIMEOUT_S))
        return reply.id

    async def statistics(self, timeout_s: float = CALL_TIMEOUT_S, census: bool = True) -> bytes:
        """JSON; see placement_service."""
        request = pb.StatisticsRequest(without_census=not census)
        reply: pb.StatisticsResponse = await _answer(self._admin.Statistics(request, timeout=timeout_s))
        return reply.statistics

    async def checkpoint(self, directory: str) -> int:
        """The revision up to which the checkpoint has everything."""
        call = self._admin.Checkpoint(pb.CheckpointRequest(directory=directory))
        reply: pb.CheckpointResponse = await _answer(call)
        return reply.revision

    async def open_checkpoint(self) -> pb.OpenCheckpointResponse:
        """As long as it takes: files that are new since the last one are read."""
        return await _answer(self._admin.OpenCheckpoint(pb.OpenCheckpointRequest()))

    async def read_checkpoint(self, id_: str, name: str) -> AsyncGenerator[bytes, None]:
        """The content of one of its files, in pieces."""
        call = self._admin.ReadCheckpoint(pb.ReadCheckpointRequest(id=id_, name=name))
        try:
            async for piece in call:
                yield piece.data
        except grpc.aio.AioRpcError as error:
            raise translate(error) from error
        finally:
            call.cancel()

    async def close_checkpoint(self, id_: str) -> None:
        await _answer(self._admin.CloseCheckpoint(pb.CloseCheckpointRequest(id=id_), timeout=CALL_TIMEOUT_S))

    async def close(self) -> None:
        await self.channel.close()


def connect(dial: Dial, address: str) -> Any:
    """A channel; Refused where we have no credentials for such an address."""
    try:
        return dial(address)
    except ValueError as error:
        raise Refused(str(error)) from error


async def _answer(call: Awaitable[Reply]) -> Reply:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise translate(error) from error


class _Follower:
    """Reads a stream of a shard, each time over a connection of its own. It ends when the shard closes the stream, else
    raises Unreachable (or Refused, where the address is not for us)."""

    def __init__(self, dial: Dial, process: str) -> None:
        self._dial = dial
        self._hello = pb.Hello(protocol=PROTOCOL, process=process)

    async def _messages(self, address: str, begin: Callable[[Any], Any]) -> AsyncGenerator[Any, None]:
        async with connect(self._dial, address) as channel:
            call = begin(shard_pb2_grpc.ShardPlacementStub(channel))  # type: ignore[no-untyped-call]
            try:
                # The server sends its metadata at once, the first message perhaps only in a year.
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await call.wait_for_connection()
                async for message in call:
                    yield message
            except grpc.aio.AioRpcError as error:
                raise translate(error) from error
            except TimeoutError as error:
                raise Unreachable(f"no answer from {address} in {CONNECT_TIMEOUT_S:.0f} s") from error
            finally:
                call.cancel()


class MapFollower(_Follower):
    """Reads the map from any shard."""

    def follow(self, address: str, known_epoch: int) -> AsyncGenerator[pb.ShardMap, None]:
        """Maps newer than `known_epoch`, as they come."""
        request = pb.FollowMapRequest(hello=self._hello, known_epoch=known_epoch)
        return self._messages(address, lambda placement: placement.FollowMap(request))


class AuthorityFollower(_Follower):
    """Reads a shard's client authorities of logical clusters."""

    def follow(self, address: str) -> AsyncGenerator[pb.AuthorityBatch, None]:
        """All there are, then each change."""
        request = pb.FollowAuthoritiesRequest(hello=self._hello)
        return self._messages(address, lambda placement: placement.FollowAuthorities(request))
