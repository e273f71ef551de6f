from pathlib import Path

import grpc.aio
import pytest

from kcp import installation
from kcp.current_map import current_map
from kcp.keeper import ask_keeper
from kcp.output import Refused
from kcp.programs import shard_socket
from kcpshard.placement.shard_map import KEEPER_CLUSTER, initial_map, with_entry, with_pin
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import NOT_KEEPER
from tests.kcp.test_keeper import Admin
from tests.kcp.test_shards import Placement


async def serve(address: str, answer: grpc.StatusCode | None, shard_map: pb.ShardMap) -> grpc.aio.Server:
    server = grpc.aio.server()
    shard_pb2_grpc.add_ShardAdminServicer_to_server(Admin(answer), server)  # type: ignore[no-untyped-call]
    shard_pb2_grpc.add_ShardPlacementServicer_to_server(Placement(shard_map), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(address)
    await server.start()
    return server


async def test_any_shard_tells_the_map_and_where_it_is_kept(tmp_path: Path) -> None:
    made = installation.plan(tmp_path, 2)
    with pytest.raises(Refused, match="is it running"):
        await current_map(made)
    elsewhere = f"unix:{tmp_path}/elsewhere.sock"  # of a shard that is none of this machine's
    newest = with_entry(initial_map(2), pb.ShardEntry(number=7, name="shard-7", admin_address=elsewhere))
    newest = with_pin(newest, KEEPER_CLUSTER, 7)
    socket = shard_socket(made, 2, "admin")
    socket.parent.mkdir(parents=True)
    servers = [await serve(f"unix:{socket}", NOT_KEEPER, newest), await serve(elsewhere, None, newest)]
    assert await current_map(made) == newest
    assert await ask_keeper(made, lambda keeper: keeper.show_moves()) == b"{}"
    for server in servers:
        await server.stop(None)
