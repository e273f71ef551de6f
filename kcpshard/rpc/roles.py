"""Who may call which method, and how a listener learns who calls.

The role of a process is the OU of its certificate, signed by the installation's internal CA; on a unix socket it is the
socket itself, whose directory only its owner can enter. A method that is not in the table is refused to everybody.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.x509.oid import NameOID

FRONT, SHARD, SYNCER, ADMIN, ANYONE = "front", "shard", "syncer", "admin", "anyone"
ROLES = frozenset({FRONT, SHARD, SYNCER, ADMIN})

_PACKAGE = "/kcp.shard.v1."
_FRONTS = frozenset({FRONT})
_ADMINISTRATION = frozenset({ADMIN, SHARD})

METHOD_ROLES: Mapping[str, frozenset[str]] = {
    f"{_PACKAGE}ShardSession/Session": _FRONTS | {SHARD},  # shards ask each other about workspaces, exports, agents
    f"{_PACKAGE}ShardSession/Connect": _FRONTS,
    f"{_PACKAGE}ShardSession/UseConnection": _FRONTS,
    f"{_PACKAGE}ShardWatch/Watch": _FRONTS,
    f"{_PACKAGE}ShardWatch/CatchUp": _FRONTS,
    f"{_PACKAGE}ShardPlacement/FollowMap": frozenset({FRONT, SHARD, ADMIN}),
    f"{_PACKAGE}ShardPlacement/FollowAuthorities": _FRONTS,
    f"{_PACKAGE}ShardAdmin/Statistics": _ADMINISTRATION | _FRONTS,  # a front shows them as metrics
    f"{_PACKAGE}ShardAdmin/Checkpoint": _ADMINISTRATION,
    f"{_PACKAGE}ShardAdmin/OpenCheckpoint": frozenset({ADMIN}),
    f"{_PACKAGE}ShardAdmin/ReadCheckpoint": frozenset({ADMIN}),
    f"{_PACKAGE}ShardAdmin/CloseCheckpoint": frozenset({ADMIN}),
    f"{_PACKAGE}ShardAdmin/RegisterShard": _ADMINISTRATION,
    f"{_PACKAGE}ShardAdmin/ReserveShard": _ADMINISTRATION,
    f"{_PACKAGE}ShardAdmin/PlaceCluster": _ADMINISTRATION,
    f"{_PACKAGE}ShardAdmin/GrantSlots": _ADMINISTRATION,
    f"{_PACKAGE}ShardAdmin/SealSlots": _ADMINISTRATION,
    # A move of one logical cluster: what shards say to each other, and what administrators ask of the keeper.
    **{
        f"{_PACKAGE}ShardAdmin/{name}": frozenset({SHARD})
        for name in (
            "ExportCluster",
            "SealCluster",
            "ShowOwnership",
            "TakeCluster",
            "CancelTake",
            "KeepCluster",
            "PointCluster",
            "FindClusters",
        )
    },
    **{f"{_PACKAGE}ShardAdmin/{name}": frozenset({ADMIN}) for name in ("ChangeShard", "MoveClusters", "ShowMoves")},
    f"{_PACKAGE}ShardAdmin/RotateKeys": _ADMINISTRATION,
    f"{_PACKAGE}ShardAdmin/Renew": frozenset({FRONT, SHARD, SYNCER}),  # of one's own certificate, see bootstrap
    # Whoever joins has no certificate yet: the token in the message is the proof.
    f"{_PACKAGE}ShardBootstrap/Join": frozenset({ANYONE}),
    f"{_PACKAGE}ShardSync/Sync": frozenset({SYNCER}),
    f"{_PACKAGE}ShardSync/Tunnel": frozenset({SYNCER}),
}

Context = Any  # grpc.aio.ServicerContext
RolesOf = Callable[[Context], frozenset[str]]


def fixed_roles(*roles: str) -> RolesOf:
    """For a listener that only they can reach."""
    found = frozenset(roles)
    return lambda _context: found


def certificate_roles(context: Context) -> frozenset[str]:
    """Of the verified client certificate; none without one, or with other than exactly one known OU."""
    pem = context.auth_context().get("x509_pem_cert")
    if not pem:
        return frozenset()
    subject = x509.load_pem_x509_certificate(bytes(pem[0])).subject
    units = {str(unit.value) for unit in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)}
    return frozenset(units) if len(units) == 1 and units <= ROLES else frozenset()


class RoleInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Asks before a handler sees anything; once per call, which for streams means once per connection."""

    def __init__(self, roles_of: RolesOf) -> None:
        self._roles_of = roles_of

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(details)
        if handler is None:
            return None  # UNIMPLEMENTED: there is no such method here
        return _guarded(handler, self._check, details.method)

    async def _check(self, context: Context, method: str) -> None:
        allowed = METHOD_ROLES.get(method, frozenset())
        roles = self._roles_of(context)
        if not allowed & roles:
            shown = ", ".join(sorted(roles)) or "no role"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{method} is not for {shown}")


def _guarded(handler: Any, check: Callable[[Context, str], Awaitable[None]], method: str) -> Any:
    kinds = {
        (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
        (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
        (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
        (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
    }
    name, make = kinds[handler.request_streaming, handler.response_streaming]
    behaviour = getattr(handler, name)

    async def call(request: Any, context: Context) -> Any:
        await check(context, method)
        return await behaviour(request, context)

    async def generate(request: Any, context: Context) -> Any:
        await check(context, method)
        async for message in behaviour(request, context):
            yield message

    guarded = generate if inspect.isasyncgenfunction(behaviour) else call
    return make(guarded, handler.request_deserializer, handler.response_serializer)
