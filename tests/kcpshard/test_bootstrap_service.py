import base64
from pathlib import Path

import orjson
import pytest
from cryptography import x509

from kcpshard.rpc.join_client import join
from kcpshard.rpc.placement_client import Refused, Unreachable
from tests.kcpshard.bootstrap.join_server import join_server


def subject(pem: bytes) -> list[object]:
    return [attribute.value for attribute in x509.load_pem_x509_certificate(pem).subject]


async def test_a_shard_gets_the_next_number_a_name_and_the_map(tmp_path: Path) -> None:
    async with join_server(tmp_path) as server:
        first = (await join(server.address, server.token(), "shard")).response
        second = (await join(server.address, server.token(), "shard", "big")).response
        again = (await join(server.address, server.token(), "shard", "big")).response
    assert (first.shard, subject(first.certificate)) == (3, ["shard", "shard-3"])
    assert (second.shard, subject(second.certificate)) == (4, ["shard", "big"])
    assert again.shard == 4, "it has not registered yet"
    assert [entry.number for entry in second.map.shards] == [1, 2, 3, 4]
    assert not second.front_files


async def test_a_front_gets_its_files(tmp_path: Path) -> None:
    async with join_server(tmp_path) as server:
        answer = (await join(server.address, server.token("front"), "front", "front-9")).response
    assert subject(answer.certificate) == ["front", "front-9"]
    assert base64.b64decode(orjson.loads(answer.front_files)["tokens.csv"]) == b"secret"
    assert answer.shard == 0


async def test_a_token_is_good_for_one_process_of_its_role(tmp_path: Path) -> None:
    async with join_server(tmp_path) as server:
        token = server.token("front")
        with pytest.raises(Refused, match="not for shard"):
            await join(server.address, token, "shard")
        await join(server.address, token, "front", "front-1")
        with pytest.raises(Refused, match="has been used"):
            await join(server.address, token, "front", "front-2")


@pytest.mark.parametrize(
    ("role", "name", "text"),
    [
        ("admin", "a", "joins as front or shard"),
        ("syncer", "a", "joins as front or shard"),
        ("front", "", "needs a name"),
        ("shard", "UPPER", "name"),
    ],
)
async def test_what_is_wrong_is_found_before_the_token_is_used(tmp_path: Path, role: str, name: str, text: str) -> None:
    async with join_server(tmp_path) as server:
        token = server.token("front", "shard")
        with pytest.raises(Refused, match=text):
            await join(server.address, token, role, name)
        await join(server.address, token, "shard")


async def test_a_registered_shards_name_is_taken(tmp_path: Path) -> None:
    async with join_server(tmp_path) as server:
        server.maps.accepted.shards[0].data_id = b"x"
        with pytest.raises(Refused, match="a shard of the name shard-1 already"):
            await join(server.address, server.token(), "shard", "shard-1")


async def test_a_damaged_token_file_is_not_the_clients_fault(tmp_path: Path) -> None:
    async with join_server(tmp_path) as server:
        token = server.token()
        (tmp_path / "join-tokens").write_bytes(b"{")
        with pytest.raises(Unreachable, match="cannot be read"):
            await join(server.address, token, "shard")
