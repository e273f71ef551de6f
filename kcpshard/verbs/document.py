"""Discovery and OpenAPI documents: which ones exist and what is in them is the catalogue's business."""

from collections.abc import Coroutine
from typing import Any

import orjson

from kcpshard.api.errors import PageNotFound
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions.contract import Document
from kcpshard.verbs import inheritance
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import check_path, nothing_there

_METRICS = "/metrics"  # of the logical cluster itself: its priority levels, as JSON


def document(shard: Shard, request: Request) -> Outcome:
    shard.ownership.check(request.cluster)
    cluster = shard.store.find_cluster(request.cluster)
    check_path(cluster, request.cluster)
    if request.name == _METRICS:
        return Answer(200, orjson.dumps(shard.levels(cluster) if cluster is not None else []))
    if request.name == inheritance.PATH:
        return inheritance.inheritance(shard, request, cluster)
    found = shard.catalog.document(cluster, request.name, request.accept, request.if_none_match)
    if isinstance(found, Coroutine):
        return _wait(shard, request, found)
    return _answer(shard, request, found)


async def _wait(shard: Shard, request: Request, building: Coroutine[Any, Any, Document | None]) -> Answer:
    return _answer(shard, request, await building)


def _answer(shard: Shard, request: Request, found: Document | None) -> Answer:
    if found is None:
        _, root, *rest = request.name.split("/")
        if root == "openapi":
            raise PageNotFound()
        group = rest[0] if root == "apis" and rest else ""
        raise nothing_there(shard, shard.store.find_cluster(request.cluster), group)
    content_type = "" if found.content_type == "application/json" else found.content_type
    return Answer(found.code, found.body, etag=found.etag, content_type=content_type)
