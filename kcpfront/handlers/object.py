"""Requests about one object, and deletecollection: one call, one answer."""

import asyncio
from typing import Any

import orjson

from kcpfront import options
from kcpfront.body_limits import BodyLimits, Key
from kcpfront.exchange import Exchange, Reply
from kcpfront.filters.authentication import Authenticator
from kcpfront.filters.request_body import MAX_BODY_BYTES, read_object, read_patch
from kcpfront.handlers.connecting import USE_CONNECTION, ConnectingHandler
from kcpfront.negotiation import PLAIN, TABLE, negotiate
from kcpfront.rendering import reply_of
from kcpfront.representations import has_protobuf, wants_pretty
from kcpfront.responses import flow_headers
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, Result
from kcpshard.workers.pool import WorkerPool

_REVIEW_GROUPS = frozenset(("authentication.k8s.io", "authorization.k8s.io"))
_CONNECTING = {"get": pb.GET, "create": pb.CREATE, "update": pb.UPDATE, "patch": pb.PATCH, "delete": pb.DELETE}
# Subresources of pods, nodes and services that are no objects.
_REPEATED = frozenset(("command", "ports"))
CONNECTIONS = frozenset(("attach", "exec", "log", "portforward", "proxy"))


_TOO_LARGE = 413


def _key(exchange: Exchange) -> Key:
    return (exchange.info.cluster, exchange.identity, exchange.impersonation)


class ObjectHandler:
    """get, create, update, patch, delete, deletecollection: the shapes are the same, the message differs."""

    def __init__(
        self, caller: Caller, authenticator: Authenticator, workers: WorkerPool, connecting: ConnectingHandler
    ) -> None:
        self._caller, self._authenticator, self._workers = caller, authenticator, workers
        self._connecting = connecting
        self._body_limits, self._now = BodyLimits(), asyncio.get_running_loop().time
        self.verbs = {
            "get": self.get,
            "create": self.create,
            "update": self.update,
            "patch": self.patch,
            "delete": self.delete,
            "deletecollection": self.delete_collection,
        }

    async def get(self, exchange: Exchange) -> Reply:
        request = options.new_request(exchange, pb.GET)
        if exchange.info.query:
            request.resource_version = exchange.info.get("resourceVersion")
            request.at = exchange.info.get("at")
            if options.flag(exchange.info, "history"):
                options.set_history_options(request, exchange.info)
        return await self._ask(exchange, request)

    async def create(self, exchange: Exchange) -> Reply:
        request = options.new_request(exchange, pb.CREATE)
        options.set_write_options(request, exchange.info, "CreateOptions")
        await read_object(exchange, self._workers, self._most(exchange))
        self._take_body(exchange, request)
        if exchange.info.resource == "tokenreviews":
            request.token_review = await self._review(exchange.body)
        return await self._ask(exchange, request)

    async def update(self, exchange: Exchange) -> Reply:
        request = options.new_request(exchange, pb.UPDATE)
        options.set_write_options(request, exchange.info, "UpdateOptions")
        await read_object(exchange, self._workers, self._most(exchange))
        self._take_body(exchange, request)
        return await self._ask(exchange, request)

    async def patch(self, exchange: Exchange) -> Reply:
        request = options.new_request(exchange, pb.PATCH)
        if not exchange.info.name:  # before the media type: there is no collection to patch
            return await self._ask(exchange, request)
        request.patch_type = pb.PatchType.ValueType(await read_patch(exchange, self._workers, self._most(exchange)))
        options.set_write_options(request, exchange.info, "PatchOptions")
        options.check_apply(request)
        self._take_body(exchange, request)
        return await self._ask(exchange, request)

    async def delete(self, exchange: Exchange) -> Reply:
        request = options.new_request(exchange, pb.DELETE)
        await self._read_delete_options(exchange)
        options.set_delete_options(request, exchange)
        return await self._ask(exchange, request)

    async def delete_collection(self, exchange: Exchange) -> Reply:
        request = options.new_request(exchange, pb.DELETE_COLLECTION)
        options.set_list_options(request, exchange.info)
        await self._read_delete_options(exchange)
        options.set_delete_options(request, exchange)
        return await self._ask(exchange, request)

    async def connect(self, exchange: Exchange) -> Reply | None:
        """A way into a pod, node or service: whether there is one is the shard's to say. Its options are the query."""
        info = exchange.info
        request = options.new_request(exchange, _CONNECTING[info.verb])
        request.subresource, _, path = info.subresource.partition("/")
        given: dict[str, object] = {k: v if k in _REPEATED else v[0] for k, v in info.query.items()}
        request.body = orjson.dumps({**given, "path": f"/{path}"} if path else given)
        result: Result = await self._caller.call(request, exchange.deadline)
        if result.flow:
            exchange.flow = flow_headers(result.flow)
        is_offered = result.code == USE_CONNECTION
        if exchange.audit is not None:
            exchange.audit.told(result.audit, b"" if is_offered else result.body)
        if is_offered:
            return await self._connecting.give(exchange, result)
        if not result.body:
            return Reply(result.code, b"")
        return await reply_of(self._workers, exchange, PLAIN, result)

    async def _read_delete_options(self, exchange: Exchange) -> None:
        headers = exchange.headers
        if headers.get("Content-Length") not in (None, "0") or headers.get("Transfer-Encoding") is not None:
            await read_object(exchange, self._workers)

    def _most(self, exchange: Exchange) -> int:
        return self._body_limits.of(_key(exchange), MAX_BODY_BYTES, self._now())

    def _take_body(self, exchange: Exchange, request: pb.Request) -> None:
        request.body = exchange.body
        if exchange.duplicate_fields:
            request.duplicate_fields.extend(exchange.duplicate_fields)

    async def _ask(self, exchange: Exchange, request: pb.Request) -> Reply:
        accept = exchange.headers.get("Accept")
        shown = PLAIN
        if accept is not None and accept != "application/json":
            shown = negotiate(accept, has_protobuf(exchange), exchange.info.group not in _REVIEW_GROUPS)
        if shown.as_ == TABLE:
            request.want_columns = True
        result: Result = await self._caller.call(request, exchange.deadline)
        if result.flow:
            exchange.flow = flow_headers(result.flow)
        if exchange.audit is not None:
            exchange.audit.told(result.audit, result.body if result.info is None else b"")
        if result.code == _TOO_LARGE:
            self._body_limits.learn(_key(exchange), result.body, self._now())
        is_object = result.info is None and not (result.warnings or result.retry_after_s or result.content_type)
        if shown is PLAIN and is_object and not wants_pretty(exchange):
            return Reply(result.code, result.body)
        reply = await reply_of(self._workers, exchange, shown, result)
        is_formed = shown.as_ or result.info is not None
        if exchange.audit is not None and exchange.audit.wants_answer and is_formed and reply.body[:1] == b"{":
            exchange.audit.answer = reply.body  # what is told is what was answered
        return reply

    async def _review(self, body: bytes) -> bytes:
        """The verdict on spec.token; a body that is no TokenReview is the shard's to refuse."""
        try:
            spec: Any = orjson.loads(body)["spec"]
            token, audiences = spec["token"], spec.get("audiences") or []
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return b""
        if not isinstance(token, str) or not isinstance(audiences, list):
            return b""
        wanted = [each for each in audiences if isinstance(each, str)]
        return orjson.dumps(await self._authenticator.review(token, wanted))
