"""What ancestors on other shards hand down: a copy of each, asked for anew every second while somebody uses it.

A copy that has not been confirmed for STALE_S is not relied on: what depends on it is 503 until its shard answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from kcpshard.api.errors import ApiError, ServiceUnavailable
from kcpshard.authorization.layer import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Layer, Place
from kcpshard.authorization.rules import Rule
from kcpshard.definitions.crd_documents import CRDS
from kcpshard.rpc.contract import Result
from kcpshard.storage.contract import NotDurable
from kcpshard.tenancy.questions import Question

PERIOD_S, STALE_S, UNUSED_S = 1.0, 5.0, 60.0
_TIMEOUT_S = 1.0

Fetch = Callable[[str, str, float], Awaitable[Result]]
"""Path, entity tag, timeout → the document that `verbs.inheritance` makes."""


class Copy:
    """Of one ancestor. `layer` and `definitions` are replaced whole, never changed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.layer = Layer()
        self.definitions: Sequence[Mapping[str, Any]] = ()
        self.tag = ""
        self.confirmed: float | None = None  # loop time
        self.used = 0.0
        self.is_stale = False
        self.question: Question | None = Question()  # until the first answer, or failure


class Copies:
    """`changed` is called with the path of an ancestor whose copy is another, or cannot be relied on any more; `role`
    finds a role of the template."""

    def __init__(
        self,
        fetch: Fetch,
        tasks: asyncio.TaskGroup,
        changed: Callable[[str], None],
        template_role: Callable[[Place], tuple[Rule, ...] | None],
    ) -> None:
        self._fetch, self._tasks, self._changed, self._template_role = fetch, tasks, changed, template_role
        self._now = asyncio.get_running_loop().time
        self._copies: dict[str, Copy] = {}
        self._following: dict[str, asyncio.Task[None]] = {}

    def close(self) -> None:
        """Nobody is told of anything any more."""
        following, self._following = self._following, {}
        self._changed = lambda _path: None
        for task in following.values():
            task.cancel()

    def layer(self, path: str) -> Layer:
        return self._usable(path).layer

    def definitions(self, path: str) -> Sequence[Mapping[str, Any]]:
        return self._usable(path).definitions

    def role(self, path: str, place: Place) -> tuple[Rule, ...] | None:
        found = self._usable(path).layer.roles.get(place)
        return self._template_role(place) if found is None else found

    def _usable(self, path: str) -> Copy:
        """Raises NotDurable before the first answer, ServiceUnavailable for one that is too old."""
        copy = self._copies.get(path)
        if copy is None:
            copy = self._copies[path] = Copy(path)
            copy.used = self._now()
            self._following[path] = self._tasks.create_task(self._follow(copy))
        copy.used = self._now()
        if copy.confirmed is None and copy.question is not None:
            raise NotDurable(copy.question)
        if copy.is_stale or copy.confirmed is None or self._now() - copy.confirmed > STALE_S:
            raise ServiceUnavailable(f"what {path} hands down is not known to be current", retry_after_s=1)
        return copy

    async def _follow(self, copy: Copy) -> None:
        try:
            while self._now() - copy.used < UNUSED_S:
                await self._refresh(copy)
                await asyncio.sleep(PERIOD_S)
        finally:
            # The next use begins anew; decisions made by the old copy must not outlive it.
            self._copies.pop(copy.path, None)
            self._following.pop(copy.path, None)
            self._changed(copy.path)

    async def _refresh(self, copy: Copy) -> None:
        try:
            found = await self._fetch(copy.path, copy.tag, _TIMEOUT_S)
        except ApiError:
            found = None
        if found is not None and found.code == 200:
            self._take(copy, orjson.loads(found.body), found.etag)
        if found is not None and found.code in (200, 304):
            copy.confirmed = self._now()
        # A second early, so that no decision is remembered that will be too old before we look again.
        is_stale = copy.confirmed is None or self._now() - copy.confirmed > STALE_S - PERIOD_S - _TIMEOUT_S
        if is_stale or copy.is_stale or (found is not None and found.code == 200):
            self._changed(copy.path)
        copy.is_stale = is_stale
        if copy.question is not None:
            question, copy.question = copy.question, None
            question.settle()

    def _take(self, copy: Copy, document: Mapping[str, Any], tag: str) -> None:
        layer = Layer()
        for group_resource in (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS):
            for obj in document.get(group_resource) or ():
                layer.put(group_resource, "", obj["metadata"]["name"], obj)
        copy.layer, copy.definitions, copy.tag = layer, document.get(CRDS) or (), tag


__all__ = ["STALE_S", "Copies"]
