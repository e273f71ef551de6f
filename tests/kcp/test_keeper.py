from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from kcp import installation, keeper
from kcp.installation import Installation
from kcp.keeper import ask_keeper
from kcp.output import Refused
from kcp.programs import shard_socket
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import NOT_KEEPER, REFUSED


class Admin(shard_pb2_grpc.ShardAdminServicer):
    def __init__(self, answer: grpc.StatusCode | None) -> None:
        self._answer = answer

    async def ShowMoves(self, request: pb.ShowMovesRequest, context: Any) -> pb.MovesResponse:
        if self._answer is not None:
            await context.abort(self._answer, "a sentence")
        return pb.MovesResponse(moves=b"{}")


async def serve(made: Installation, number: int, answer: grpc.StatusCode | None) -> grpc.aio.Server:
    socket = shard_socket(made, number, "admin")
    socket.parent.mkdir(parents=True)
    server = grpc.aio.server()
    shard_pb2_grpc.add_ShardAdminServicer_to_server(Admin(answer), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    return server


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Installation]:
    yield installation.plan(tmp_path, 2)


async def test_the_shard_that_keeps_the_map_is_found(made: Installation) -> None:
    servers = [await serve(made, 1, NOT_KEEPER), await serve(made, 2, None)]
    assert await ask_keeper(made, lambda found: found.show_moves()) == b"{}"
    for server in servers:
        await server.stop(None)


async def test_its_refusal_is_ours(made: Installation) -> None:
    server = await serve(made, 1, REFUSED)
    with pytest.raises(Refused, match="a sentence"):
        await ask_keeper(made, lambda found: found.show_moves())
    await server.stop(None)


async def test_nobody_is_there(made: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "PATIENCE_S", 0.1)
    with pytest.raises(Refused, match="is it running"):
        await ask_keeper(made, lambda found: found.show_moves())
