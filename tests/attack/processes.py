"""The attack on what processes say to each other: every method with every certificate and socket that is not for it.

Who may what is said here once more and by service, not read from the table under attack.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio

from kcp.certificates import Pair, Subject, issue, make_authority, now_utc
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.transport import TlsFiles, dial

PROCESSES = frozenset({"front", "shard", "syncer", "admin"})
RIGHTS: Mapping[str, frozenset[str]] = {
    "ShardSession": frozenset({"front", "shard"}),
    "ShardWatch": frozenset({"front"}),
    "ShardPlacement": frozenset({"front", "shard", "admin"}),
    "ShardPlacement/FollowAuthorities": frozenset({"front"}),
    "ShardAdmin": frozenset({"admin", "shard"}),
    "ShardAdmin/Statistics": frozenset({"admin", "shard", "front"}),
    "ShardAdmin/Renew": frozenset({"front", "shard", "syncer"}),  # of one's own certificate
    "ShardSync": frozenset({"syncer"}),
    "ShardBootstrap": frozenset(),  # anybody, but on a listener of its own and with a token
}
_REFUSED = frozenset(
    {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED}
)
_NOT_CONNECTED = grpc.StatusCode.UNAVAILABLE
_ANSWER_S = 5.0


class Caller(NamedTuple):
    name: str
    role: str  # as which it may be let in; "": nobody
    address: str
    tls: TlsFiles | None
    connects: bool = True  # else the handshake has to fail


class Method(NamedTuple):
    path: str
    description: Any

    def is_for(self, role: str) -> bool:
        service, _, name = self.path.removeprefix("/kcp.shard.v1.").partition("/")
        allowed = RIGHTS.get(f"{service}/{name}", RIGHTS.get(service))
        assert allowed is not None, f"say in RIGHTS whose the service {service} is"
        return role in allowed


class Opened(NamedTuple):
    """A method that answered somebody it is not for."""

    caller: Caller
    path: str
    code: grpc.StatusCode | None  # None: it answered with a message

    def __str__(self) -> str:
        return f"{self.caller.name} at {self.caller.address}: {self.path} answered {self.code or 'a message'}"


def methods() -> Sequence[Method]:
    return [
        Method(f"/{service.full_name}/{method.name}", method)
        for service in pb.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


def callers(authority: Pair, client_authority: Pair, networks: Sequence[str], sockets: Path) -> Iterator[Caller]:
    """`networks`: host:port of shards; `sockets`: the directory with one of shards' sockets each."""
    stranger = make_authority("internal", now_utc())
    for address in networks:
        for role in sorted(PROCESSES):
            yield Caller(f"certificate of a {role}", role, address, _files(authority, authority, role))
            yield Caller(f"{role} of a stranger", "", address, _files(stranger, authority, role), connects=False)
            of_client = _files(client_authority, authority, role)
            yield Caller(f"{role} signed by the client CA", "", address, of_client, connects=False)
        for unit in ("", "Front", "FRONT", "front,admin", "front\0", "anyone", "admin "):
            yield Caller(f"certificate of {unit!r}", "", address, _files(authority, authority, unit))
        named = issue(authority, Subject("front", ("front", "admin")), now_utc())
        files = TlsFiles(named.certificate, named.key, authority.certificate)
        yield Caller("roles as O and CN", "", address, files)
        yield Caller("no certificate", "", address, TlsFiles(b"", b"", authority.certificate), connects=False)
    for path in sorted(sockets.glob("*/*.sock")):
        roles = {"front": "front", "admin": "admin", "sync": "syncer"}
        yield Caller(f"socket {path.name}", roles[path.stem], f"unix:{path}", None)


def _files(signer: Pair, authority: Pair, unit: str) -> TlsFiles:
    pair = issue(signer, Subject("process", unit=unit), now_utc())
    return TlsFiles(pair.certificate, pair.key, authority.certificate)


async def attack(callers: Sequence[Caller]) -> tuple[int, Sequence[Opened]]:
    """How many calls were made, and what was open."""
    asked, found = 0, []
    for caller in callers:
        async with _connected(caller) as channel:
            for method in methods():
                if method.is_for(caller.role):
                    continue
                asked += 1
                code = await _call(channel, method)
                if code not in _REFUSED and (caller.connects or code is not _NOT_CONNECTED):
                    found.append(Opened(caller, method.path, code))
                if not caller.connects and code is _NOT_CONNECTED:
                    break  # the handshake failed: it would for every method
    return asked, found


def _connected(caller: Caller) -> grpc.aio.Channel:
    if caller.tls is not None and not caller.tls.certificate:
        return grpc.aio.secure_channel(caller.address, grpc.ssl_channel_credentials(caller.tls.authority))
    return dial(caller.address, caller.tls)


async def _call(channel: grpc.aio.Channel, method: Method) -> grpc.StatusCode | None:
    """With an empty message, where one can be written before the refusal. None: there was an answer."""
    kinds = method.description.client_streaming, method.description.server_streaming
    try:
        async with asyncio.timeout(_ANSWER_S):
            match kinds:
                case False, False:
                    await channel.unary_unary(method.path)(b"")
                case False, True:
                    await channel.unary_stream(method.path)(b"").read()
                case True, False:
                    await channel.stream_unary(method.path)()
                case _:
                    await channel.stream_stream(method.path)().read()
    except grpc.aio.AioRpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    except TimeoutError:
        return grpc.StatusCode.DEADLINE_EXCEEDED  # let in, and waited for: open
    return None


async def map_for(role: str, authority: Pair, address: str) -> pb.ShardMap:
    """The shard map as a process of that role gets it."""
    async with dial(address, _files(authority, authority, role)) as channel:
        follow = channel.unary_stream(
            "/kcp.shard.v1.ShardPlacement/FollowMap",
            request_serializer=pb.FollowMapRequest.SerializeToString,
            response_deserializer=pb.ShardMap.FromString,
        )
        call = follow(pb.FollowMapRequest(hello=pb.Hello(protocol=1, process="attack")), timeout=_ANSWER_S)
        try:
            found: pb.ShardMap = await call.read()
        finally:
            call.cancel()
    return found
