"""gRPC service of joining: a token becomes a certificate, and a shard's number. The one service without a client
certificate; it is served on a listener of its own."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import grpc
import orjson

from kcpshard.bootstrap.authority import Authority, NewProcess, check_request, sign
from kcpshard.bootstrap.join_tokens import JOIN_ROLES, JoinRefused, parse_token
from kcpshard.bootstrap.token_file import DamagedTokenFile, TokenFile
from kcpshard.placement.keeper_records import RoleLost
from kcpshard.placement.map_copy import MapCopy
from kcpshard.placement.registration import RegistrationRefused
from kcpshard.placement.shard_map import without_private_keys
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import NotKeeper, Refused, Unreachable

log = logging.getLogger(__name__)


class BootstrapService(shard_pb2_grpc.ShardBootstrapServicer):
    """`reserve` has the map's keeper give a shard number and name. `front_files` reads what a front needs besides its
    certificate; `now` is the time in UTC."""

    def __init__(
        self,
        authority: Authority,
        tokens: TokenFile,
        maps: MapCopy,
        reserve: Callable[[str], Awaitable[tuple[int, str]]],
        front_files: Callable[[], Mapping[str, bytes]],
        now: Callable[[], datetime],
    ) -> None:
        self._authority = authority
        self._tokens = tokens
        self._maps = maps
        self._reserve = reserve
        self._front_files = front_files
        self._now = now

    async def Join(self, request: pb.JoinRequest, context: Any) -> pb.JoinResponse:
        try:
            return await self._join(request)
        except (JoinRefused, RegistrationRefused, Refused) as error:
            log.warning("refused to let %r join as %r from %s: %s", request.name, request.role, context.peer(), error)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except (Unreachable, NotKeeper, RoleLost) as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"the shard that keeps the map does not answer: {error}")
        except DamagedTokenFile as error:
            log.error("%s", error)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the file of join tokens cannot be read")
        raise AssertionError("abort raises")

    async def _join(self, request: pb.JoinRequest) -> pb.JoinResponse:
        """Everything that can be wrong with the request is found before a one-time token is used."""
        text = parse_token(request.token)
        if request.role not in JOIN_ROLES:
            raise JoinRefused(f"a process joins as {' or '.join(JOIN_ROLES)}")
        if request.role == "front" and not request.name:
            raise JoinRefused("a front needs a name")
        process = check_request(request.role, request.name, request.hosts, request.certificate_request)
        await asyncio.to_thread(self._tokens.redeem, text, request.role, process.key_digest(), self._now())
        answer = pb.JoinResponse(authorities=self._authority.certificate)
        if request.role == "shard":
            answer.shard, process = await self._number(process)
        else:
            files = await asyncio.to_thread(self._front_files)
            answer.front_files = orjson.dumps({name: base64.b64encode(f).decode() for name, f in files.items()})
        answer.certificate = sign(self._authority, process, self._now())
        answer.map.CopyFrom(without_private_keys(self._maps.current))
        log.info("%s joins as %s", process.name, process.role)
        return answer

    async def _number(self, process: NewProcess) -> tuple[int, NewProcess]:
        number, name = await self._reserve(process.name)
        return number, process._replace(name=name)
