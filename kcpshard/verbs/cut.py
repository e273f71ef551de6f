"""cut: from here on this shard commits nothing at or below a revision, and everything up to it is durable.

What a front asks of all shards before it reads them together: first which revision is the newest of all (`cut` 0), then
that each one stays above it.
"""

from collections.abc import Coroutine
from typing import Any

from kcpshard.api.errors import ServiceUnavailable, Unauthorized
from kcpshard.api.requests import Answer, Request
from kcpshard.storage.contract import Group
from kcpshard.storage.durability import durable
from kcpshard.verbs.get import too_large_revision
from kcpshard.verbs.shard import Shard


def cut_here(shard: Shard, request: Request) -> Coroutine[Any, Any, Answer]:
    """Raises Timeout, with the cause that clients know, for a revision that lies in the future."""
    if not request.identity:
        raise Unauthorized("Unauthorized")
    return _cut(shard, cut(shard, request.cut))


async def _cut(shard: Shard, waiting: Group | None) -> Answer:
    if waiting is not None:
        await durable(waiting)
    return Answer(200, b"%d" % shard.store.durable_revision)


def cut(shard: Shard, revision: int) -> Group | None:
    """What to wait for; None: nothing."""
    if not revision:
        return None
    try:
        return shard.store.cut(revision)
    except ServiceUnavailable:
        raise too_large_revision(revision, shard.store.durable_revision) from None
