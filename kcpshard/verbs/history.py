"""history: who changed one object, when, and what it was afterwards; a get with the parameter `history`.

Newest first, as far back as the log is kept. The permission to get the object is what it takes: everything shown could
have been read when it was there. A name that was used again shows all its objects; their uids tell them apart.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

from kcpshard.api.errors import BadRequest
from kcpshard.api.events import EventType
from kcpshard.api.requests import Answer, Request
from kcpshard.api.resource_versions import format_revision
from kcpshard.storage.contract import PastChange
from kcpshard.verbs.get import served_body
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import find_target

API_VERSION, KIND = "history.kcp.io/v1alpha1", "ObjectHistory"
DEFAULT_LIMIT, MAX_LIMIT = 20, 500
_PAGE_BYTES = 1024 * 1024  # of states; a page ends after the one that exceeds it
_NEWEST = 1 << 63
_OPERATIONS = {EventType.ADDED: "Create", EventType.MODIFIED: "Update", EventType.DELETED: "Delete"}


def history(shard: Shard, request: Request) -> Answer:
    """`continue` is where the last page ended. Raises BadRequest for one that no page gave."""
    target = find_target(shard, request, "get", pending=False)
    before = _before(request.continue_token)
    limit = min(request.limit or DEFAULT_LIMIT, MAX_LIMIT)
    changes: list[PastChange] = []
    if target.cluster is not None:
        place = (target.stored.group_resource, request.namespace, request.name)
        changes = shard.store.history(target.cluster, *place, before, limit + 1)
    items, size = [], 0
    for change in changes[:limit]:
        body = served_body(shard, target.resource, change.value)
        items.append(_item(change, body))
        size += len(body)
        if size > _PAGE_BYTES:
            break
    metadata: dict[str, Any] = {"resourceVersion": format_revision(shard.store.durable_revision)}
    if len(items) < len(changes):
        metadata["continue"] = items[-1]["resourceVersion"]
    return Answer(200, orjson.dumps({"kind": KIND, "apiVersion": API_VERSION, "metadata": metadata, "items": items}))


def _before(token: str) -> int:
    if not token:
        return _NEWEST
    if not (token.isascii() and token.isdigit()) or int(token) > _NEWEST:
        raise BadRequest("invalid continue token: it was not made by this server")
    return int(token)


def _item(change: PastChange, body: bytes) -> dict[str, Any]:
    return {
        "resourceVersion": format_revision(change.revision),
        "time": _time(change.time_us),
        "user": change.author,
        "operation": _OPERATIONS[change.type],
        "object": orjson.Fragment(body),
    }


def _time(microseconds: int) -> str:
    """RFC 3339 with microseconds: changes of one second must tell their order."""
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000:06d}Z"
