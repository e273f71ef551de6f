"""Discovery and OpenAPI: documents that a logical cluster's shard makes, with ETags."""

import asyncio
from collections import OrderedDict
from typing import Any

import orjson

from kcpfront import discovery
from kcpfront.exchange import Exchange, Reply
from kcpfront.negotiation import JSON, OPENAPI_PROTOBUF, PROTOBUF, YAML, Representation, negotiate_document
from kcpfront.rendering import finished_reply
from kcpfront.representations import result_reply
from kcpfront.responses import flow_headers, json_reply
from kcpfront.shard_metrics import ANSWER_S
from kcpshard.api.errors import ApiError, MethodNotAllowed
from kcpshard.api.names import ROOT, is_wildcard
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, Result
from kcpshard.workers.pool import WorkerPool

_GROUPS = f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_JSON = Representation(JSON)
_ENCODE = "kcpfront.protobuf.openapi_documents:encode_job"
_ENCODED_BYTES = 16 << 20  # kept; a document of everything in `full` has 2 MB
_MADE_HERE = {media_type: Representation(media_type) for media_type in (JSON, YAML, PROTOBUF)}


class DocumentHandler:
    def __init__(self, caller: Caller, workers: WorkerPool) -> None:
        self._caller, self._workers = caller, workers
        self._encoded: OrderedDict[tuple[str, str], bytes] = OrderedDict()  # by media type and what is in it
        self._encoded_bytes = 0

    async def root(self, exchange: Exchange, checks: list[str]) -> Reply:
        """The paths served: groups and versions as aggregated discovery names them."""
        request = _request(exchange, "/apis")
        request.accept = _GROUPS
        result = await self._ask(exchange, request)
        if result.code == 429:
            return result_reply(exchange, _JSON, result)
        found = ["v1"]
        if result.code == 200:
            for group in orjson.loads(result.body).get("items", ()):
                name = group.get("metadata", {}).get("name", "")
                found += [f"{name}/{version['version']}" for version in group.get("versions", ())]
        return json_reply(200, {"paths": discovery.root_paths(found, checks)})

    async def levels(self, exchange: Exchange) -> list[dict[str, Any]]:
        """What the priority levels of the logical cluster do; nothing if its shard is away."""
        request = _request(exchange, "/metrics")
        try:
            deadline = min(exchange.deadline, asyncio.get_running_loop().time() + ANSWER_S)
            result = await self._caller.call(request, deadline)
            found: list[dict[str, Any]] = orjson.loads(result.body) if result.code == 200 else []
        except ApiError:
            return []
        return found

    async def authorize(self, exchange: Exchange) -> Reply | None:
        """None: whoever asks may ask for this path, which is answered without a shard; else the refusal."""
        request = _request(exchange, exchange.info.path)
        request.verb, request.body = pb.AUTHORIZE, orjson.dumps({"verb": exchange.info.verb})
        result = await self._ask(exchange, request)
        return None if result.code < 300 else result_reply(exchange, _JSON, result)

    async def document(self, exchange: Exchange) -> Reply:
        info = exchange.info
        if not _is_allowed(exchange.method, info.path):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        chosen = negotiate_document(info.path, exchange.headers.get("Accept") or "")
        request = _request(exchange, info.path)
        request.accept = JSON if chosen in _MADE_HERE or chosen in OPENAPI_PROTOBUF else chosen
        request.if_none_match = exchange.headers.get("If-None-Match") or ""
        result = await self._ask(exchange, request)
        if result.code == 404 and info.path.startswith("/openapi/v3/"):
            return Reply(404, b"", "")
        if result.code >= 400:
            return result_reply(exchange, _JSON, result)
        headers = f'ETag: "{result.etag.strip(chr(34))}"\r\nVary: Accept\r\n'.encode() if result.etag else b""
        if result.code == 304:
            # The type of what the client has: kubectl's cache takes over each header of this answer.
            return Reply(304, b"", result.content_type or chosen, headers)
        if chosen in OPENAPI_PROTOBUF:
            return Reply(result.code, await self._openapi_protobuf(exchange, chosen, result), chosen, headers)
        if chosen in _MADE_HERE:
            reply = await finished_reply(self._workers, exchange, _MADE_HERE[chosen], result.code, result.body, headers)
            return reply._replace(content_type=result.content_type) if result.content_type else reply
        return Reply(result.code, result.body, result.content_type or chosen, headers)

    async def _ask(self, exchange: Exchange, request: pb.Request) -> Result:
        if exchange.audit is not None:
            request.audit_id = exchange.audit_id
        result = await self._caller.call(request, exchange.deadline)
        if exchange.audit is not None:
            exchange.audit.told(result.audit, result.body if result.code >= 400 else b"")
        if result.flow:
            exchange.flow = flow_headers(result.flow)
        return result

    async def _openapi_protobuf(self, exchange: Exchange, media_type: str, result: Result) -> bytes:
        """Made once for all logical clusters with the same document."""
        key = (media_type, result.etag)
        found = self._encoded.get(key) if result.etag else None
        if found is not None:
            self._encoded.move_to_end(key)
            return found
        found = await self._workers.run(exchange.info.cluster, _ENCODE, result.body)
        if result.etag:
            self._encoded_bytes += len(found) - len(self._encoded.pop(key, b""))
            self._encoded[key] = found
        while self._encoded_bytes > _ENCODED_BYTES:
            self._encoded_bytes -= len(self._encoded.popitem(last=False)[1])
        return found


def _is_allowed(method: str, path: str) -> bool:
    """As kube-apiserver has it: the list of groups and OpenAPI are handlers without a look at the method, the rest are
    routes for GET alone."""
    return method == "GET" or path == "/apis" or path.startswith("/openapi/")


def _request(exchange: Exchange, path: str) -> pb.Request:
    # What many logical clusters serve is as `root` has it; what a view shows, as the exporter has it.
    cluster, view = exchange.info.cluster, exchange.info.view
    exporter = orjson.loads(view)[0] if view else ROOT if is_wildcard(cluster) else cluster
    return pb.Request(
        verb=pb.DOCUMENT,
        cluster=exporter,
        view=view,
        name=path,
        identity=exchange.identity,
        impersonation=exchange.impersonation,
        proof=exchange.proof,
        user_agent=exchange.user_agent,
    )
