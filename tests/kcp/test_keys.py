"""`kcp keys rotate` against shards on unix sockets, of which one keeps the keys."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from kcp import credentials, installation
from kcp.installation import Installation
from kcp.programs import shard_socket
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import NOT_KEEPER


class Admin(shard_pb2_grpc.ShardAdminServicer):
    def __init__(self, keeps: bool) -> None:
        self._keeps = keeps
        self.asked: list[str] = []

    async def RotateKeys(self, request: pb.RotateKeysRequest, context: Any) -> pb.RotateKeysResponse:
        self.asked.append(request.purpose)
        if not self._keeps:
            await context.abort(NOT_KEEPER, "another shard keeps the keys")
        return pb.RotateKeysResponse(id="key-1")


@pytest.fixture
def made(tmp_path: Path) -> Installation:
    result = installation.plan(tmp_path, 2)
    credentials.make(result, "https://127.0.0.1:6443", [])
    installation.save(result)
    return result


@pytest.fixture
async def shards(made: Installation) -> AsyncIterator[list[Admin]]:
    admins, servers = [Admin(False), Admin(True)], []
    for number, admin in enumerate(admins, 1):
        socket = shard_socket(made, number, "admin")
        socket.parent.mkdir(parents=True)
        server = grpc.aio.server()
        shard_pb2_grpc.add_ShardAdminServicer_to_server(admin, server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        servers.append(server)
    yield admins
    for server in servers:
        await server.stop(None)


async def run(made: Installation, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "kcp", "keys", "rotate", "--root-directory", str(made.root), *arguments]
    environment = {**os.environ, "GRPC_VERBOSITY": "ERROR"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)
    out, fault = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, out.decode(), fault.decode()


async def test_the_shard_that_keeps_the_keys_makes_one(made: Installation, shards: list[Admin]) -> None:
    assert await run(made, "certificates") == (0, "the new key for certificates is key-1\n", "")
    assert [admin.asked for admin in shards] == [["certificates"], ["certificates"]]


async def test_without_shards_it_says_so(made: Installation) -> None:
    code, _, fault = await run(made)
    assert code != 0
    assert "is it running?" in fault and "Traceback" not in fault
