"""Requests for what another server answers (an APIService with a Service or URL): sent on as they came, and back.

Whoever asks has been found permitted here (`access`); the server is told who that is, in headers as of
kube-apiserver's aggregator, and decides again if it wants. Nothing of the body is looked at, either way. An answer that
fits into a frame goes as one; any other in pieces as they arrive, which is what a watch needs.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from kcpshard.api.errors import ApiError, ServiceUnavailable, Timeout, TooManyRequests
from kcpshard.api.requests import Answer, ListInfo, Request, decode_identity
from kcpshard.authorization.attributes import Attributes, of_object
from kcpshard.callouts.answers import Incoming
from kcpshard.callouts.calls import Forwarded
from kcpshard.callouts.errors import CalloutError, OverBudget, TimedOut
from kcpshard.callouts.upstream import Upstream
from kcpshard.definitions.remote_apis import NotRemote, RemoteApi, UseProxy
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.shard import Shard

_FRAME = 64 << 10
_REFUSAL_BYTES = 256 << 10
_SWITCHING = 101
_END = ListInfo(0, "", -1, "", "")
_HEAD_S = 60.0  # until the head of a long answer is there
_LONG_SUBRESOURCES = frozenset(("attach", "exec", "log", "portforward", "proxy"))
# RFC 9110's token, without the percent sign that escapes.
_TOKEN = "!#$&'*+-.^_`|~"  # noqa: S105 - no secret
_CLUSTER = "kcp.io/cluster"


class BackendUnavailable(ServiceUnavailable):
    """In kube-apiserver's words, which are no Status."""

    content_type = "text/plain; charset=utf-8"

    def body(self) -> bytes:
        return f"{self.message}\n".encode()


class BadGateway(ApiError):
    code, content_type = 502, "text/plain; charset=utf-8"

    def body(self) -> bytes:
        return f"{self.message}\n".encode()


def check_local(shard: Shard, request: Request) -> None:
    """Raise UseProxy if another server answers for the group version of a request that was taken as one for us."""
    cluster = shard.store.pending_cluster(request.cluster)
    if shard.catalog.remote_api(cluster, request.group, request.version) is not None:
        raise UseProxy()


def wanted_of(request: Request) -> Attributes:
    """What an authoriser is asked about a request that is forwarded."""
    asked = orjson.loads(request.forwarded)
    verb = str(asked["verb"])
    if not request.resource:
        return Attributes(verb, path=str(asked["target"]).partition("?")[0])
    subresource = request.subresource.partition("/")[0]
    place = (request.group, request.version, request.resource, subresource, request.namespace, request.name)
    return of_object(verb, *place)


def forward(shard: Shard, request: Request) -> AsyncIterator[Answer]:
    cluster = shard.store.find_cluster(request.cluster)
    api = shard.catalog.remote_api(cluster, request.group, request.version)
    if api is None or cluster is None:
        raise NotRemote()
    if not api.is_available:
        raise BackendUnavailable("service unavailable")
    asked, timeout_s = _forwarded(request, cluster), request.timeout_ms / 1000 or _HEAD_S
    upstream = shard.upstreams.get(request.request_id)
    if upstream is not None:
        return _connection(shard, cluster, api, asked._replace(is_long=True), upstream)
    return _answers(shard, cluster, api, asked, timeout_s)


def _forwarded(request: Request, cluster: LogicalCluster) -> Forwarded:
    asked = orjson.loads(request.forwarded)
    headers = [(name, value) for name, value in asked["headers"] if not name.lower().startswith("x-remote-")]
    headers += _identity(request.identity, cluster.path)
    is_long = asked["verb"] == "watch" or request.subresource.partition("/")[0] in _LONG_SUBRESOURCES
    return Forwarded(asked["method"], asked["target"], headers, request.body, is_long)


def _identity(raw: bytes, path: str) -> Iterator[tuple[str, str]]:
    """Who asks. The logical cluster is told as well: a server may be registered in many."""
    who = decode_identity(raw)
    yield "X-Remote-User", _line(who.username)
    if who.uid:
        yield "X-Remote-Uid", _line(who.uid)
    for group in who.groups:
        yield "X-Remote-Group", _line(group)
    extra: dict[str, Sequence[str]] = {**who.extra, _CLUSTER: (path,)}
    for key, values in extra.items():
        for value in values:
            yield f"X-Remote-Extra-{quote(key, safe=_TOKEN)}", _line(value)


def _line(value: str) -> str:
    """Nothing in a value may end its header line."""
    return "".join(" " if ord(char) < 0x20 or ord(char) == 0x7F else char for char in value)


async def _answers(
    shard: Shard, cluster: LogicalCluster, api: RemoteApi, asked: Forwarded, timeout_s: float
) -> AsyncIterator[Answer]:
    begun = False
    try:
        head_s = min(timeout_s, _HEAD_S)
        async with shard.callouts.forward(cluster.id, api.config, asked, head_s) as incoming:
            head, pieces, first = _head(incoming), incoming.pieces(), b""
            if not asked.is_long:
                is_whole = True
                async for piece in pieces:
                    first += piece
                    if len(first) > _FRAME:
                        is_whole = False
                        break
                if is_whole:
                    yield Answer(200, first, _END, head=head)
                    return
            begun = True
            yield Answer(200, first, head=head)
            async for piece in pieces:
                yield Answer(0, piece)
        yield Answer(0, b"", _END)
    except CalloutError as error:
        raise _failed(error, begun) from None


async def _connection(
    shard: Shard, cluster: LogicalCluster, api: RemoteApi, asked: Forwarded, upstream: Upstream
) -> AsyncIterator[Answer]:
    """The server's side of a connection that is upgraded. What its client sends goes through `upstream`."""
    begun = False
    try:
        async with shard.callouts.forward(cluster.id, api.config, asked, _HEAD_S) as incoming:
            if incoming.code != _SWITCHING:
                yield await _refused(incoming)
                return
            far = incoming.upgraded()
            begun = True
            try:
                yield Answer(200, b"", head=_head(incoming, is_upgraded=True))
                upstream.join(far)
                async for piece in far.pieces():
                    yield Answer(0, piece)
            finally:
                far.close()
        yield Answer(0, b"", _END)
    except CalloutError as error:
        raise _failed(error, begun) from None


async def _refused(incoming: Incoming) -> Answer:
    """Whole: its connection stays an ordinary one."""
    head, body = _head(incoming), b""
    if incoming.code < 400:
        raise BackendUnavailable(f"invalid upgrade response: status code {incoming.code}")
    async for piece in incoming.pieces():
        body += piece
        if len(body) > _REFUSAL_BYTES:
            raise BadGateway("the backend's refusal of the upgrade is too large")
    return Answer(200, body, _END, head=head)


def _head(incoming: Incoming, is_upgraded: bool = False) -> bytes:
    if incoming.code == _SWITCHING and not is_upgraded:
        raise BadGateway("the backend attempted to upgrade the connection, which was not asked for")
    if 300 <= incoming.code < 400 and any(name.lower() == "location" for name, _ in incoming.headers):
        raise BadGateway("the backend attempted to redirect this request, which is not permitted")
    found: dict[str, Any] = {"code": incoming.code, "headers": incoming.headers}
    return orjson.dumps(found)


def _failed(error: CalloutError, begun: bool) -> ApiError:
    if isinstance(error, OverBudget):
        return TooManyRequests(str(error), retry_after_s=error.retry_after_s)
    if isinstance(error, TimedOut):
        return Timeout("Timeout: request did not complete within the allotted timeout")
    return BackendUnavailable(str(error) if begun else f"error trying to reach service: {error}")
