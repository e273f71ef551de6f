"""Every method of every service with every role, over TLS and on sockets: the right ones pass, all others do not."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from kcp.certificates import Pair, Subject, issue, make_authority, now_utc
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.roles import (
    ANYONE,
    METHOD_ROLES,
    ROLES,
    RoleInterceptor,
    RolesOf,
    certificate_roles,
    fixed_roles,
)
from kcpshard.rpc.transport import SERVER_OPTIONS, TlsFiles, dial, listen

METHODS = {
    f"/{service.full_name}/{method.name}": method
    for service in pb.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def server(roles_of: RolesOf) -> grpc.aio.Server:
    """All services, each method answering with one empty message."""

    async def one(_request: object, _context: object) -> bytes:
        return b""

    async def several(_request: object, _context: object) -> AsyncIterator[bytes]:
        yield b""

    made = grpc.aio.server(interceptors=(RoleInterceptor(roles_of),), options=SERVER_OPTIONS)
    for service in pb.DESCRIPTOR.services_by_name.values():
        handlers = {
            m.name: MAKERS[m.client_streaming, m.server_streaming](several if m.server_streaming else one)
            for m in service.methods
        }
        made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    return made


@asynccontextmanager
async def started(made: grpc.aio.Server) -> AsyncIterator[None]:
    await made.start()
    try:
        yield
    finally:
        await made.stop(None)


async def code_of(channel: grpc.aio.Channel, path: str) -> grpc.StatusCode:
    method: Any = METHODS[path]

    try:
        match method.client_streaming, method.server_streaming:
            case False, False:
                await channel.unary_unary(path)(b"")
            case False, True:
                await channel.unary_stream(path)(b"").read()
            case True, False:
                await channel.stream_unary(path)()
            case _:
                await channel.stream_stream(path)().read()  # nothing is written: it could meet the refusal half way
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def verdicts(address: str, tls: TlsFiles | None) -> dict[str, grpc.StatusCode]:
    async with dial(address, tls) as channel:
        return {path: await code_of(channel, path) for path in METHODS}


def expected(*roles: str) -> dict[str, grpc.StatusCode]:
    return {
        path: grpc.StatusCode.OK if METHOD_ROLES[path] & set(roles) else grpc.StatusCode.PERMISSION_DENIED
        for path in METHODS
    }


@pytest.fixture(scope="module")
def authority() -> Pair:
    return make_authority("internal", now_utc())


def files(authority: Pair, *units: str, hosts: tuple[str, ...] = ()) -> TlsFiles:
    pair = issue(authority, Subject("process", unit=units[0] if units else ""), now_utc(), hosts)
    return TlsFiles(pair.certificate, pair.key, authority.certificate)


@pytest.fixture
def socket() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield f"unix:{directory}/s"


def test_the_table_names_every_method() -> None:
    assert set(METHOD_ROLES) == set(METHODS)
    assert all(roles and roles <= ROLES | {ANYONE} for roles in METHOD_ROLES.values())


@pytest.mark.parametrize("role", sorted(ROLES | {ANYONE}))
async def test_the_role_of_a_socket(role: str, socket: str) -> None:
    made = server(fixed_roles(role))
    listen(made, socket)
    async with started(made):
        assert await verdicts(socket, None) == expected(role)


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_the_role_in_a_certificate(role: str, authority: Pair) -> None:
    made = server(certificate_roles)
    address = free_address()
    listen(made, address, files(authority, "shard", hosts=("127.0.0.1",)))
    async with started(made):
        assert await verdicts(address, files(authority, role)) == expected(role)


@pytest.mark.parametrize("unit", ["", "Front", "anyone", "front,admin"])
async def test_a_certificate_without_a_role_opens_nothing(unit: str, authority: Pair) -> None:
    made = server(certificate_roles)
    address = free_address()
    listen(made, address, files(authority, "shard", hosts=("127.0.0.1",)))
    async with started(made):
        assert set((await verdicts(address, files(authority, unit))).values()) == {grpc.StatusCode.PERMISSION_DENIED}


async def test_a_foreign_authority_does_not_even_connect(authority: Pair) -> None:
    made = server(certificate_roles)
    address = free_address()
    listen(made, address, files(authority, "shard", hosts=("127.0.0.1",)))
    stranger = make_authority("internal", now_utc())
    impostor = files(stranger, "front")._replace(authority=authority.certificate)
    async with started(made), dial(address, impostor) as channel:
        assert await code_of(channel, "/kcp.shard.v1.ShardSession/Session") is grpc.StatusCode.UNAVAILABLE


def free_address() -> str:
    import socket as sockets

    with sockets.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"
