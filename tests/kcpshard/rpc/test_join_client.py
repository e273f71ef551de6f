from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kcpshard.rpc.join_client import join
from kcpshard.rpc.placement_client import Refused, Unreachable
from tests.kcpshard.bootstrap.join_server import join_server


async def test_a_token_becomes_a_certificate_for_a_key_made_here(tmp_path: Path) -> None:
    async with join_server(tmp_path) as server:
        joined = await join(server.address, server.token(), "shard", hosts=["host.example"])
    certificate = x509.load_pem_x509_certificate(joined.response.certificate)
    key = serialization.load_pem_private_key(joined.key, None)
    assert certificate.public_key() == key.public_key()
    assert joined.response.authorities == server.authority.certificate
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(server.authority.certificate))


async def test_another_installation_is_not_told_the_secret(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with join_server(tmp_path) as server, join_server(tmp_path / "other") as other:
        token = server.token()
        with pytest.raises(Refused, match="does not belong to the installation"):
            await join(other.address, token, "shard")
        await join(server.address, token, "shard")  # not used up


@pytest.mark.parametrize("address", ["localhost:1", "localhost", "localhost:port"])
async def test_nobody_there_is_unreachable(address: str) -> None:
    with pytest.raises(Unreachable, match="cannot connect"):
        await join(address, f"a.b.{'d' * 64}", "shard")
