"""The place for syncers is guarded, and says that nobody is there."""

import tempfile

import grpc
import grpc.aio
import pytest

from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.roles import FRONT, SYNCER, RoleInterceptor, fixed_roles
from kcpshard.rpc.transport import dial, listen
from kcpshard.sync_service import SyncService


@pytest.mark.parametrize(
    ("role", "code"),
    [(SYNCER, grpc.StatusCode.UNIMPLEMENTED), (FRONT, grpc.StatusCode.PERMISSION_DENIED)],
)
async def test_streams_are_refused(role: str, code: grpc.StatusCode) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        server = grpc.aio.server(interceptors=(RoleInterceptor(fixed_roles(role)),))
        shard_pb2_grpc.add_ShardSyncServicer_to_server(SyncService(), server)  # type: ignore[no-untyped-call]
        listen(server, f"unix:{directory}/s")
        await server.start()
        async with dial(f"unix:{directory}/s", None) as channel:
            call = shard_pb2_grpc.ShardSyncStub(channel).Sync()  # type: ignore[no-untyped-call]
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is code
        await server.stop(None)
