"""A write that waits for webhooks: ask, run the verb anew, until nothing more is to be asked.

Nothing is held while waiting. Each run decides against the pending state of its own turn, preconditions and quotas
included; the last one commits in that turn.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from kcpshard.admission.webhook_calls import CallsWanted, Replayed, wait
from kcpshard.api.loop_time import unbounded
from kcpshard.api.requests import Answer, Request
from kcpshard.api.unconverted import NotConverted
from kcpshard.storage.contract import Group, NotDurable
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard

DEFAULT_TIMEOUT_S = 60.0  # of a request that names none


class Waiting:
    """How long one request may still take."""

    def __init__(self, request: Request) -> None:
        timeout_ms: int = getattr(request, "timeout_ms", 0)
        self._until = asyncio.get_running_loop().time() + (timeout_ms / 1000 or DEFAULT_TIMEOUT_S)

    async def wait(self, shard: Shard, request: Request, wanted: CallsWanted) -> Request:
        """The request to run the verb with once the answers are there."""
        left_s = max(0.01, self._until - asyncio.get_running_loop().time())
        await wait(shard.callouts, wanted, left_s)
        return cast(Request, Replayed(request, wanted.replay))


async def after_calls(
    shard: Shard, request: Request, wanted: CallsWanted, run: Callable[[Shard, Request], Outcome]
) -> Answer | AfterSync:
    waiting = Waiting(request)
    while True:
        replayed = await waiting.wait(shard, request, wanted)
        try:
            return await settled(shard, replayed, run)
        except CallsWanted as more:
            wanted = more


async def settled(shard: Shard, request: Request, run: Callable[[Shard, Request], Outcome]) -> Answer | AfterSync:
    """What a run of the verb comes to, however large. Raises CallsWanted."""
    while True:
        try:
            with unbounded():
                outcome = run(shard, request)
        except NotDurable as pending:
            await group_settled(pending.group)
            continue
        except NotConverted as reason:
            await reason.settle()
            continue
        if isinstance(outcome, Answer | AfterSync):
            return outcome
        assert asyncio.iscoroutine(outcome), "writes are answered whole"
        found: Answer | AfterSync = await outcome
        return found


async def group_settled(group: Group) -> None:
    """Return when it is durable, or refused by the disk: then what was pending is gone."""
    done = asyncio.Event()
    group.when_durable(done.set)
    group.when_refused(lambda _cause: done.set())
    await done.wait()
