"""Discovery and OpenAPI documents: which ones exist and what is in them is the catalogue's business."""

from collections.abc import Coroutine
from typing import Any

from kcpshard.api.errors import NotFound
from kcpshard.api.requests import Answer, Request
from kcpshard.definitions.contract import Document
from kcpshard.verbs.outcome import Outcome
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import check_path


def document(shard: Shard, request: Request) -> Outcome:
    shard.ownership.check(request.cluster)
    cluster = shard.store.find_cluster(request.cluster)
    check_path(cluster, request.cluster)
    found = shard.catalog.document(cluster, request.name, request.accept, request.if_none_match)
    if isinstance(found, Coroutine):
        return _wait(found)
    return _answer(found)


async def _wait(building: Coroutine[Any, Any, Document | None]) -> Answer:
    return _answer(await building)


def _answer(found: Document | None) -> Answer:
    if found is None:
        raise NotFound("the server could not find the requested resource")
    content_type = "" if found.content_type == "application/json" else found.content_type
    return Answer(found.code, found.body, etag=found.etag, content_type=content_type)
