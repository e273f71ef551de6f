"""`kcp shards list` against shards that answer as they should, on unix sockets."""

import asyncio
import json
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


class Placement(shard_pb2_grpc.ShardPlacementServicer):
    def __init__(self, shard_map: pb.ShardMap) -> None:
        self._map = shard_map

    async def FollowMap(self, request: pb.FollowMapRequest, context: Any) -> AsyncIterator[pb.ShardMap]:
        yield self._map
        await asyncio.Event().wait()


class Admin(shard_pb2_grpc.ShardAdminServicer):
    async def Statistics(self, request: pb.StatisticsRequest, context: Any) -> pb.StatisticsResponse:
        found = {"slots": 3, "clusters": 5, "objects": 7, "ownershipEpoch": 9}
        return pb.StatisticsResponse(statistics=json.dumps(found).encode())


@pytest.fixture
def made(tmp_path: Path) -> Installation:
    result = installation.plan(tmp_path, 2)
    credentials.make(result, "https://127.0.0.1:6443", [])
    installation.save(result)
    return result


@pytest.fixture
async def second_shard(made: Installation) -> AsyncIterator[None]:
    """Only shard 2 answers; the map knows both, and a third that has never served."""
    entries = [
        pb.ShardEntry(
            number=number,
            name=f"shard-{number}",
            address=f"unix:{shard_socket(made, number, 'front')}",
            admin_address=f"unix:{shard_socket(made, number, 'admin')}",
        )
        for number in (1, 2)
    ]
    shard_map = pb.ShardMap(
        epoch=4, slots=b"\0\1" * 8192 + b"\0\2" * 8192, shards=[*entries, pb.ShardEntry(number=3, name="shard-3")]
    )
    server = grpc.aio.server()
    shard_pb2_grpc.add_ShardPlacementServicer_to_server(Placement(shard_map), server)
    shard_pb2_grpc.add_ShardAdminServicer_to_server(Admin(), server)
    shard_socket(made, 2, "admin").parent.mkdir(parents=True)
    server.add_insecure_port(f"unix:{shard_socket(made, 2, 'admin')}")
    await server.start()
    yield
    await server.stop(None)


async def kcp(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kcp", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"GRPC_VERBOSITY": "NONE"},
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.usefixtures("second_shard")
async def test_every_shard_of_the_map_is_listed_as_it_answers(made: Installation) -> None:
    code, output, errors = await kcp("shards", "list", "--root-directory", str(made.root), "-o", "json")
    assert code == 0, errors
    first, second, third = json.loads(output)
    assert (second["slots"], second["clusters"], second["objects"], second["state"]) == (3, 5, 7, "Ready")
    assert (first["state"], first["clusters"]) == ("Unreachable", None)
    assert third["state"] == "Joining"


async def test_no_shard_answers(made: Installation) -> None:
    code, _, errors = await kcp("shards", "list", "--root-directory", str(made.root))
    assert (code, errors) == (1, f"kcp: no shard of {made.root} answers: is it running?\n")


async def test_no_installation(tmp_path: Path) -> None:
    code, _, errors = await kcp("shards", "list", "--root-directory", str(tmp_path / "none"))
    assert (code, errors) == (1, f"kcp: there is no installation in {tmp_path}/none\n")
