"""The Sync service, for syncers: not built yet. Its listener and its role are there, so that the place is guarded."""

from typing import Any

import grpc
import grpc.aio

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc


class SyncService(shard_pb2_grpc.ShardSyncServicer):
    """Refuses every stream until the multi-cluster capability fills it in."""

    async def Sync(self, _batches: object, context: Any) -> pb.SyncDownBatch:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this shard does not serve syncers yet")
        raise AssertionError("abort raises")
