"""gRPC services of placement: the map stream, and what shards and administrators ask of a shard.

Decisions are placement's; here they become messages, and its exceptions the codes that `rpc.placement_client` reads.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import orjson

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.bootstrap.join_tokens import JoinRefused
from kcpshard.credentials.keys import PURPOSES
from kcpshard.placement.keeper import Keeper
from kcpshard.placement.keeper_records import RoleLost
from kcpshard.placement.map_copy import MapClosed
from kcpshard.placement.ownership_states import OwnershipConflict
from kcpshard.placement.registration import RegistrationRefused
from kcpshard.placement.shard_changes import ChangeRefused
from kcpshard.placement.shard_map import without_private_keys
from kcpshard.placement.shard_placement import ShardPlacement
from kcpshard.placement.tenant_authorities import TenantAuthorities
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import NOT_KEEPER, REFUSED, Refused, Unreachable
from kcpshard.rpc.roles import SHARD, RolesOf
from kcpshard.storage.checkpoints import CheckpointFile, Checkpoints, NoSuchCheckpoint, TooManyCheckpoints
from kcpshard.storage.contract import ReadOnly


@asynccontextmanager
async def _refusals(context: Any) -> AsyncIterator[None]:
    """Placement's exceptions as codes."""
    try:
        yield
    except (OwnershipConflict, RegistrationRefused, ChangeRefused, Refused) as error:
        await context.abort(REFUSED, str(error))
    except RoleLost as error:
        await context.abort(NOT_KEEPER, str(error))
    except (ServiceUnavailable, ReadOnly, Unreachable) as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


class PlacementService(shard_pb2_grpc.ShardPlacementServicer):
    """Any shard's copy of the map will do. Only to shards does it bring the private keys."""

    def __init__(
        self, placement: ShardPlacement, roles_of: RolesOf, authorities: TenantAuthorities | None = None
    ) -> None:
        self._maps, self._roles_of, self._authorities = placement.maps, roles_of, authorities

    async def FollowMap(self, request: pb.FollowMapRequest, context: Any) -> AsyncIterator[pb.ShardMap]:
        await context.send_initial_metadata(())  # tells the follower that somebody is there
        epoch = request.known_epoch
        signs = SHARD in self._roles_of(context)
        try:
            while True:
                message = await self._maps.newer_than(epoch)
                yield message if signs else without_private_keys(message)
                epoch = message.epoch
        except MapClosed:
            return

    async def FollowAuthorities(
        self, request: pb.FollowAuthoritiesRequest, context: Any
    ) -> AsyncIterator[pb.AuthorityBatch]:
        await context.send_initial_metadata(())
        if self._authorities is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this shard has no tenants")
            return
        async with aclosing(self._authorities.follow()) as batches:
            async for batch in batches:
                yield batch

    def close(self) -> None:
        """End the streams: their readers go to another shard, or come back."""
        self._maps.close()
        if self._authorities is not None:
            self._authorities.close()


def _close_unwanted(checkpoints: Checkpoints, made: "asyncio.Future[tuple[str, list[CheckpointFile]]]") -> None:
    if made.exception() is None:
        checkpoints.close(made.result()[0])


class AdminService(shard_pb2_grpc.ShardAdminServicer):
    """`statistics` is what the shard counts (JSON values); placement's figures are added. `checkpoint` makes one in a
    directory that does not exist yet, on a thread, and returns the revision up to which it has everything. `census`
    counts logical clusters and objects. `checkpoints` are those for backups; None: there are no files to copy."""

    def __init__(
        self,
        placement: ShardPlacement,
        statistics: Callable[[], Mapping[str, object]],
        checkpoint: Callable[[str], int],
        census: Callable[[], Awaitable[tuple[int, int]]] | None = None,
        checkpoints: Checkpoints | None = None,
        durable_revision: Callable[[], int] = lambda: 0,
        renew: Callable[[bytes, bytes], pb.RenewResponse] | None = None,
    ) -> None:
        """`renew` has the authority of the installation's processes: (certificate shown, request) → another. Raises
        JoinRefused. None: another shard has it."""
        self._placement = placement
        self._statistics = statistics
        self._checkpoint = checkpoint
        self._census = census
        self._renew = renew
        self._checkpoints, self._durable_revision = checkpoints, durable_revision

    async def Statistics(self, request: pb.StatisticsRequest, context: Any) -> pb.StatisticsResponse:
        found = self._placement.ownership.statistics()
        placement: dict[str, object] = {
            "shard": found.number,
            "dataId": self._placement.ownership.data_id.hex(),
            "ownershipEpoch": found.epoch,
            "slots": found.slots,
            "clustersAdopted": found.clusters_adopted,
            "clustersSealed": found.clusters_sealed,
            "mapEpoch": self._placement.maps.current.epoch,
            "keeper": self._placement.keeper is not None,
            "moves": self._placement.arrivals.figures(),
        }
        if self._census is not None and not request.without_census:
            placement["clusters"], placement["objects"] = await self._census()
        return pb.StatisticsResponse(statistics=orjson.dumps({**self._statistics(), **placement}, default=str))

    async def Checkpoint(self, request: pb.CheckpointRequest, context: Any) -> pb.CheckpointResponse:
        try:
            return pb.CheckpointResponse(revision=await asyncio.to_thread(self._make_checkpoint, request.directory))
        except OSError as error:
            await context.abort(REFUSED, f"no checkpoint in {request.directory!r}: {error}")
            raise

    async def OpenCheckpoint(self, request: pb.OpenCheckpointRequest, context: Any) -> pb.OpenCheckpointResponse:
        if self._checkpoints is None:
            await context.abort(REFUSED, "this shard keeps its data in memory")
        assert self._checkpoints is not None  # abort raises
        revision = self._durable_revision()
        try:
            id_, files = await self._open_checkpoint(self._checkpoints)
        except OSError as error:
            await context.abort(REFUSED, f"no checkpoint: {error}")
            raise
        except TooManyCheckpoints as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise
        shown = [pb.CheckpointFile(name=file.name, size=file.size, sha256=file.sha256) for file in files]
        epoch = self._placement.maps.current.epoch
        return pb.OpenCheckpointResponse(id=id_, revision=revision, map_epoch=epoch, files=shown)

    async def _open_checkpoint(self, checkpoints: Checkpoints) -> tuple[str, list[CheckpointFile]]:
        """One that nobody waits for any more is closed when it has been made."""
        opening = asyncio.get_running_loop().run_in_executor(None, checkpoints.open)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda done: _close_unwanted(checkpoints, done))
            raise

    async def ReadCheckpoint(self, request: pb.ReadCheckpointRequest, context: Any) -> AsyncIterator[pb.FilePiece]:
        if self._checkpoints is None:
            await context.abort(REFUSED, "this shard keeps its data in memory")
        assert self._checkpoints is not None  # abort raises
        pieces = self._checkpoints.pieces(request.id, request.name)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield pb.FilePiece(data=piece)
        except (NoSuchCheckpoint, OSError) as error:
            await context.abort(REFUSED, str(error))

    async def CloseCheckpoint(self, request: pb.CloseCheckpointRequest, context: Any) -> pb.CloseCheckpointResponse:
        if self._checkpoints is not None:
            await asyncio.to_thread(self._checkpoints.close, request.id)
        return pb.CloseCheckpointResponse()

    def _make_checkpoint(self, directory: str) -> int:
        if not os.path.isabs(directory) or os.path.lexists(directory):
            raise FileExistsError("an absolute path where nothing is yet is needed")
        return self._checkpoint(directory)

    async def RegisterShard(self, request: pb.RegisterShardRequest, context: Any) -> pb.ShardMap:
        keeper = await self._keeper(context)
        async with _refusals(context):
            return await keeper.register(request)

    async def ReserveShard(self, request: pb.ReserveShardRequest, context: Any) -> pb.ReserveShardResponse:
        keeper = await self._keeper(context)
        async with _refusals(context):
            number, name = await keeper.reserve(request.name)
        return pb.ReserveShardResponse(number=number, name=name)

    async def ChangeShard(self, request: pb.ChangeShardRequest, context: Any) -> pb.ShardMap:
        keeper = await self._keeper(context)
        async with _refusals(context):
            return without_private_keys(await keeper.change_shard(request))

    async def MoveClusters(self, request: pb.MoveClustersRequest, context: Any) -> pb.MovesResponse:
        keeper = await self._keeper(context)
        async with _refusals(context):
            return pb.MovesResponse(moves=orjson.dumps(await keeper.move_clusters(request)))

    async def PlaceCluster(self, request: pb.PlaceClusterRequest, context: Any) -> pb.PlaceClusterResponse:
        keeper = await self._keeper(context)
        async with _refusals(context):
            await keeper.place(request.cluster, request.beside)
        return pb.PlaceClusterResponse()

    async def ShowMoves(self, request: pb.ShowMovesRequest, context: Any) -> pb.MovesResponse:
        keeper = await self._keeper(context)
        return pb.MovesResponse(moves=orjson.dumps(keeper.moves()))

    async def _keeper(self, context: Any) -> Keeper:
        keeper = self._placement.keeper
        if keeper is None:
            await context.abort(NOT_KEEPER, "another shard keeps the map")
        assert keeper is not None  # abort raises
        return keeper

    async def RotateKeys(self, request: pb.RotateKeysRequest, context: Any) -> pb.RotateKeysResponse:
        rotation = self._placement.key_rotation
        if rotation is None:
            await context.abort(NOT_KEEPER, "another shard keeps the keys")
        if request.purpose not in PURPOSES:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"keys are for {' or '.join(PURPOSES)}")
        assert rotation is not None  # abort raises
        async with _refusals(context):
            return pb.RotateKeysResponse(id=await rotation.rotate(request.purpose))

    async def ExportCluster(self, request: pb.ExportClusterRequest, context: Any) -> AsyncIterator[pb.ClusterPage]:
        async with _refusals(context), aclosing(self._placement.departures.export(request)) as pages:
            async for page in pages:
                yield page

    async def SealCluster(self, request: pb.SealClusterRequest, context: Any) -> pb.OwnershipResponse:
        async with _refusals(context):
            return await self._placement.departures.seal(request)

    async def KeepCluster(self, request: pb.SealClusterRequest, context: Any) -> pb.OwnershipResponse:
        async with _refusals(context):
            return await self._placement.commands.keep(request)

    async def PointCluster(self, request: pb.SealClusterRequest, context: Any) -> pb.OwnershipResponse:
        async with _refusals(context):
            return await self._placement.commands.point(request)

    async def ShowOwnership(self, request: pb.ShowOwnershipRequest, context: Any) -> pb.ShowOwnershipResponse:
        return self._placement.commands.show(request.cluster)

    async def TakeCluster(self, request: pb.TakeClusterRequest, context: Any) -> pb.TakeClusterResponse:
        async with _refusals(context):
            return await self._placement.arrivals.take(request)

    async def CancelTake(self, request: pb.TakeClusterRequest, context: Any) -> pb.TakeClusterResponse:
        async with _refusals(context):
            return await self._placement.arrivals.cancel(request)

    async def FindClusters(self, request: pb.FindClustersRequest, context: Any) -> pb.FindClustersResponse:
        return await self._placement.commands.find(request)

    async def Renew(self, request: pb.RenewRequest, context: Any) -> pb.RenewResponse:
        shown = context.auth_context().get("x509_pem_cert")
        if not shown:
            text = "a certificate is renewed over a connection that shows it"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, text)
        if self._renew is None:
            await context.abort(NOT_KEEPER, "another shard lets processes join, and renews their certificates")
        assert self._renew is not None and shown  # abort raises
        try:
            return self._renew(bytes(shown[0]), request.certificate_request)
        except JoinRefused as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        raise AssertionError("abort raises")

    async def GrantSlots(self, request: pb.GrantSlotsRequest, context: Any) -> pb.OwnershipResponse:
        async with _refusals(context):
            return await self._placement.commands.grant(request)

    async def SealSlots(self, request: pb.SealSlotsRequest, context: Any) -> pb.OwnershipResponse:
        async with _refusals(context):
            return await self._placement.commands.seal(request)
