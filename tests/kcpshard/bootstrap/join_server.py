"""A first shard with a join listener, in this process: real TLS, real gRPC, the keeper on a fake disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kcpshard.bootstrap.authority import Authority, NewProcess, sign
from kcpshard.bootstrap.token_file import TokenFile
from kcpshard.bootstrap_service import BootstrapService
from kcpshard.placement.keeper import Keeper
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.shard_map import initial_map
from kcpshard.rpc import shard_pb2_grpc
from tests.kcpshard.bootstrap.authorities import key_pem, make_authority
from tests.kcpshard.placement.fake_store import FakeStore, NoClusters


class JoinServer(NamedTuple):
    address: str
    authority: Authority
    tokens: TokenFile
    maps: MapCopy

    def token(self, *roles: str, reusable: bool = False) -> str:
        now, hour = datetime.now(UTC), timedelta(hours=1)
        return self.tokens.create(self.authority.digest(), roles or ("shard",), now, hour, reusable=reusable)


@asynccontextmanager
async def join_server(directory: Path) -> AsyncIterator[JoinServer]:
    authority, now = make_authority(datetime.now(UTC)), datetime.now(UTC)
    store = FakeStore()
    loop = asyncio.get_running_loop()
    store.wrote = lambda: loop.call_soon(store.sync) and None
    maps = MapCopy(store)
    maps.put(initial_map(2))
    await maps.settled()
    tokens = TokenFile(directory / "join-tokens")
    keeper = Keeper(store, maps, lambda entry: None, lambda number: NoClusters())  # type: ignore[arg-type, return-value]
    files = {"tokens.csv": b"secret"}
    service = BootstrapService(authority, tokens, maps, keeper.reserve, lambda: files, lambda: datetime.now(UTC))
    server = grpc.aio.server()
    shard_pb2_grpc.add_ShardBootstrapServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    key = ec.generate_private_key(ec.SECP256R1())
    names = (x509.DNSName("localhost"),)
    own = sign(authority, NewProcess("shard", "shard-1", names, key.public_key()), now)
    chain = own + authority.certificate
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key_pem(key), chain)]))
    await server.start()
    try:
        yield JoinServer(f"localhost:{port}", authority, tokens, maps)
    finally:
        await server.stop(None)
