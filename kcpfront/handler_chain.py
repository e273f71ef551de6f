"""The order in which a request passes through the filters, and which handler gets it: one function to read."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kcpfront import discovery
from kcpfront.audit.trail import Trail
from kcpfront.exchange import Exchange, Reply
from kcpfront.filters.audit import name_request
from kcpfront.filters.authentication import Authenticator
from kcpfront.filters.impersonation import read_impersonation
from kcpfront.filters.request_deadline import request_timeout_s
from kcpfront.handlers import issuer_discovery
from kcpfront.handlers.connecting import ConnectingHandler
from kcpfront.handlers.document import DocumentHandler
from kcpfront.handlers.forwarding import ForwardingHandler
from kcpfront.handlers.list import ListHandler
from kcpfront.handlers.object import CONNECTIONS, ObjectHandler
from kcpfront.handlers.waiting_workspaces import WaitingWorkspaces, split_view
from kcpfront.handlers.watch import OpenWatches, WatchHandler
from kcpfront.health import Health, version_reply
from kcpfront.metrics import Metrics
from kcpfront.negotiation import negotiate_status
from kcpfront.representations import finished
from kcpfront.request_info import RequestInfo, parse_request
from kcpfront.responses import error_reply, text_reply
from kcpfront.upgraded import UpgradedConnections
from kcpshard.api.errors import (
    ApiError,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    PageNotFound,
    Unauthorized,
    resource_not_found,
)
from kcpshard.api.names import KUBERNETES_GROUPS, is_wildcard
from kcpshard.api.requests import decode_identity
from kcpshard.rpc.contract import Caller, Connector, Watcher
from kcpshard.workers.pool import WorkerPool

_log = logging.getLogger(__name__)

Handle = Callable[[Exchange], Awaitable[Reply | None]]


_MONITORING = frozenset({"system:masters", "system:monitoring"})


def _check_metrics(exchange: Exchange) -> None:
    """They tell of all logical clusters: for people of the installation only. Raises Forbidden."""
    identity = decode_identity(exchange.identity)
    if exchange.impersonation or identity.scope or _MONITORING.isdisjoint(identity.groups):
        raise Forbidden(f'forbidden: User "{identity.username}" cannot get path "/metrics"')


def _check_wildcard(info: RequestInfo) -> None:
    """Raises MethodNotAllowed."""
    if info.verb not in ("list", "watch"):
        raise MethodNotAllowed(
            f"{info.verb} is not possible on many logical clusters at once: only list and watch are; name one of them "
            "(the annotation kcp.io/cluster of an object says where it lives)"
        )


class HandlerChain:
    """Handles one Exchange. Never raises but CancelledError (the client is gone) and ConnectionError."""

    def __init__(
        self,
        caller: Caller,
        watcher: Watcher,
        authenticator: Authenticator,
        open_watches: OpenWatches,
        health: Health,
        metrics: Metrics,
        software: str,
        workers: WorkerPool,
        trail: Trail | None = None,
        upgraded: UpgradedConnections | None = None,
        connector: Connector | None = None,
    ) -> None:
        """`connector`: None where the shard cannot be connected through."""
        self._trail = trail
        self._authenticator, self._health, self._metrics, self._software = authenticator, health, metrics, software
        self._loop_time = asyncio.get_running_loop().time
        self._documents = DocumentHandler(caller, workers)
        self._forwarding = ForwardingHandler(caller, UpgradedConnections() if upgraded is None else upgraded)
        self._waiting = WaitingWorkspaces(caller)
        self.connecting = ConnectingHandler(connector, trail)
        objects = ObjectHandler(caller, authenticator, workers, self.connecting)
        self._connect = objects.connect
        self._verbs: dict[str, Handle] = {
            **objects.verbs,
            "list": ListHandler(caller, workers).list,
            "watch": WatchHandler(watcher, open_watches, trail).watch,
        }

    async def handle(self, exchange: Exchange) -> Reply | None:
        """None: the answer has been written already, or the connection handed over."""
        began = self._loop_time()
        verb, code = "", 0
        try:
            # The id first: whatever goes wrong later is found by it.
            name_request(exchange)
            view, target = split_view(exchange.target)
            info = exchange.info = parse_request(exchange.method, target, exchange.headers.get("X-Kubernetes-Cluster"))
            verb = info.verb
            # Time runs from here on, for waiting on authentication and bodies too.
            exchange.deadline = began + request_timeout_s(info)
            # Before anything that costs: strangers must not make us read bodies or ask shards.
            try:
                waiting = self._authenticator.authenticate(exchange)
                if waiting is not None:
                    await waiting
            except Unauthorized:
                if self._trail is not None:
                    self._trail.strangers(exchange)
                raise
            # As soon as it is known who asks: everything from here on is on record.
            if self._trail is not None and self._trail.begin(exchange) is not None:
                await self._trail.received()
            read_impersonation(exchange)
            if view is not None and (answered := await self._waiting.admit(exchange, view)) is not None:
                code = answered.code
                return answered
            # Size, media type, nesting and duplicate keys of bodies: when a handler reads one (filters.request_body).
            # Authorisation, admission and fairness among tenants: in the shard.
            if info.resource:
                handler = self._verbs.get(verb)
                if info.subresource and info.subresource.partition("/")[0] in CONNECTIONS:
                    handler = handler and self._connect
                if handler is None:
                    raise MethodNotAllowed("the server does not allow this method on the requested resource")
                if is_wildcard(info.cluster):
                    _check_wildcard(info)
                    reply = await handler(exchange)
                elif info.view or not info.group or info.group in KUBERNETES_GROUPS:
                    reply = await handler(exchange)
                else:
                    reply = await self._forwarding.handle(exchange, info.group, info.version, handler)
            else:
                reply = await self._non_resource(exchange)
            code = reply.code if reply is not None else 200
            return reply
        except ApiError as error:
            code = error.code
            return self._failed(exchange, error)
        except (asyncio.CancelledError, ConnectionError):
            code = 499  # as proxies count clients that left
            raise
        except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an answer
            code = 500
            return self._panicked(exchange, error)
        finally:
            if (trace := exchange.audit) is not None and self._trail is not None and not trace.is_long:
                self._trail.complete(exchange, trace, code)
            if verb != "watch" or code >= 300:
                self._metrics.answered(verb, code, self._loop_time() - began)

    async def _non_resource(self, exchange: Exchange) -> Reply | None:
        info = exchange.info
        # What is answered here asks no shard otherwise.
        needs_shard = exchange.impersonation or exchange.proof or info.path in issuer_discovery.PATHS
        if needs_shard and (refused := await self._documents.authorize(exchange)) is not None:
            return refused
        if (reply := self._health.reply(info)) is not None:
            return reply
        match info.path:
            case "/version":
                if exchange.method != "GET":
                    raise MethodNotAllowed("the server does not allow this method on the requested resource")
                return version_reply(self._software)
            case "/metrics":
                _check_metrics(exchange)
                levels = self._metrics.of_levels(await self._documents.levels(exchange))
                return text_reply(200, (await self._metrics.gather() + levels).decode())
            case "/metrics/slis":
                _check_metrics(exchange)
                return text_reply(200, self._health.indicators())
            case "/":
                return await self._documents.root(exchange, self._health.names)
        if info.path in issuer_discovery.PATHS:
            return issuer_discovery.reply(exchange, self._authenticator.accounts)
        if discovery.is_document(info.path):
            parts = info.path.split("/")
            is_of_group = len(parts) == 4 and parts[1] == "apis" and not info.view
            if is_of_group and parts[2] not in KUBERNETES_GROUPS:
                return await self._forwarding.handle(exchange, parts[2], parts[3], self._documents.document)
            return await self._documents.document(exchange)
        raise resource_not_found() if info.path.startswith("/api/") else PageNotFound()

    def _failed(self, exchange: Exchange, error: ApiError) -> Reply:
        if exchange.started:
            # Half an answer is out: only a broken connection tells the client that it is not whole.
            raise ConnectionAbortedError("the answer could not be completed")
        reply = error_reply(error)
        if exchange.audit is not None:
            exchange.audit.answer = error.body()
            exchange.audit.shard = exchange.audit.shard or error.audit
        shown = negotiate_status(exchange.headers.get("Accept") or "")
        if error.content_type or not hasattr(exchange, "info"):
            return reply
        return finished(exchange, shown, reply.code, reply.body, reply.headers)

    def _panicked(self, exchange: Exchange, error: Exception) -> Reply:
        self._metrics.panics += 1
        if exchange.audit is not None and self._trail is not None:
            self._trail.panicked(exchange, exchange.audit)
        _log.error(
            "unexpected exception", exc_info=error, extra={"audit_id": exchange.audit_id, "target": exchange.target}
        )
        return self._failed(exchange, InternalError("an unexpected error on the server has been logged"))
