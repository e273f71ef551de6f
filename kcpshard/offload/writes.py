"""Writes that would hold the shard's loop, worked out by a worker process and committed here.

A worker runs the same verb on a replica that has nothing but the request; what it reads is asked of the store here,
and remembered. It comes back with a proposal. In the turn of the commit everything that was read is read once more:
if any of it is not what it was, the proposal is void and the verb is run anew, as kube-apiserver runs a guaranteed
update anew after a conflict. So a proposal is committed only if the loop would have come to it in that very turn.
"""

import asyncio
import inspect
import logging
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, cast

from kcpshard.api import loop_time
from kcpshard.api.errors import ApiError, ServerTimeout
from kcpshard.api.requests import Answer, Request
from kcpshard.api.unconverted import NotConverted
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.crd_documents import CRDS, Summary
from kcpshard.definitions.custom_catalog import summary_of
from kcpshard.offload.messages import ClusterFacts, NotHere, Proposal, Question, Write
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable, Put
from kcpshard.verbs import births, cluster_limits
from kcpshard.verbs.dispatch import run_verb
from kcpshard.verbs.outcome import AfterSync
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.staged_store import FUTURE_TEXT
from kcpshard.verbs.target import check_path
from kcpshard.verbs.webhook_waiting import group_settled
from kcpshard.workers.pool import JobFailed

_log = logging.getLogger(__name__)

_LARGE_BYTES = 512 * 1024  # half a millisecond for each copy
_ATTEMPTS = 5  # as kube-apiserver retries a conflict
_FUNCTION = "kcpshard.offload.replica:write_job"
# What may be read, and is read again. The clock and the revision of the moment decide nothing.
_READS = frozenset(
    ("get", "pending", "scan", "scan_pending", "count", "recorded", "scan_own", "pending_own", "is_removed")
)
_RIGHTS = frozenset(("decide", "rules", "role"))

Run = Callable[[str, str, bytes, Callable[[bytes], Awaitable[bytes]]], Awaitable[bytes]]


class OffloadedWrites:
    """The Shard's `elsewhere`. `run` is WorkerPool.run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def __call__(self, shard: Shard, request: Request) -> Answer | AfterSync:
        """Raises what a verb raises, TooManyRequests and ServiceUnavailable."""
        cluster = await _cluster(shard, request)
        if cluster is None:  # nothing is there to be read, and nothing is written
            return await _here(shard, request)
        message = cast(Any, request).SerializeToString()
        for _ in range(_ATTEMPTS):
            reads = _Reads(shard, cluster)
            job = Write(message, shard.catalog.api_set, shard.contents, _facts(cluster))
            try:
                result = await self._run(request.cluster, _FUNCTION, pickle.dumps(job, 5), reads.answer)
            except JobFailed as error:
                _log.error("a write failed in a worker: %s", error)
                raise
            is_large = len(result) > _LARGE_BYTES
            if is_large:  # putting its pieces together has cost this turn of the loop enough, and so will the next step
                await asyncio.sleep(0)
            proposal: Proposal | NotHere = pickle.loads(result)  # noqa: S301 - made by our own process
            del result
            if is_large:
                await asyncio.sleep(0)
            if isinstance(proposal, NotHere):
                _log.warning("a large write is worked out on the loop: %s", proposal.why)
                return await _here(shard, request)
            if (outcome := _accepted(shard, request, cluster, reads, proposal)) is not None:
                return outcome
        raise ServerTimeout("the object is changed faster than the request can be worked out", retry_after_s=1)


async def _here(shard: Shard, request: Request) -> Answer | AfterSync:
    while True:
        try:
            with loop_time.unbounded():
                outcome = run_verb(shard, request)
                if not isinstance(outcome, Answer | AfterSync):
                    assert inspect.iscoroutine(outcome), "a write is no list"
                    outcome = await outcome
            return cast(Answer | AfterSync, outcome)
        except NotConverted as reason:
            await reason.settle()


async def _cluster(shard: Shard, request: Request) -> LogicalCluster | None:
    shard.ownership.check(request.cluster)
    cluster = shard.store.pending_cluster(request.cluster)
    check_path(cluster, request.cluster)
    if cluster is None and not request.dry_run and request.verb == _CREATE:
        cluster, _ = births.bear(shard, request.cluster)
    return cluster


_CREATE = 3  # of the enum Verb


def _facts(cluster: LogicalCluster) -> ClusterFacts:
    return ClusterFacts(
        cluster.path, cluster.id, cluster.prefix, cluster.created_revision, cluster.oldest_revision, cluster.state
    )


def _accepted(
    shard: Shard, request: Request, cluster: LogicalCluster, reads: "_Reads", proposal: Proposal
) -> Answer | AfterSync | None:
    """None if the proposal is void. No await in here."""
    shard.ownership.check(request.cluster)
    if shard.store.pending_cluster(request.cluster) is not cluster or not reads.still_hold():
        return None
    if not proposal.writes:
        return proposal.answer
    puts = [write for write in proposal.writes if type(write) is Put]
    if type(proposal.writes[0]) is Put:  # what goes with a deletion is not the client's
        cluster_limits.check_all(shard, cluster, request, puts)
    pending = shard.store.commit(cluster, proposal.writes, *proposal.details)
    answer = proposal.answer
    if proposal.body_is_stored:
        answer = answer._replace(body=envelope.body(pending.values[0]))
    elif FUTURE_TEXT in answer.body:
        answer = answer._replace(body=answer.body.replace(FUTURE_TEXT, b"%019d" % pending.revision))
    return AfterSync(answer, pending.group)


class _Reads:
    """Answers a worker's questions, and knows whether it would answer them alike now."""

    def __init__(self, shard: Shard, cluster: LogicalCluster) -> None:
        self._shard, self._cluster = shard, cluster
        self._found: list[tuple[str, tuple[Any, ...], Any]] = []

    async def answer(self, raw: bytes) -> bytes:
        question: Question = pickle.loads(raw)  # noqa: S301 - made by our own process
        while True:
            try:
                found = self._read(*question)
                break
            except NotDurable as reason:
                await group_settled(reason.group)
            except ApiError as error:
                found = Answer(error.code, error.body(), retry_after_s=error.retry_after_s)
                break
        self._found.append((*question, found))
        return pickle.dumps(found, 5)

    def still_hold(self) -> bool:
        try:
            return all(
                method in ("now_us", "durable_revision") or self._read(method, arguments) == found
                for method, arguments, found in self._found
            )
        except (NotDurable, ApiError):
            return False

    def _read(self, method: str, arguments: tuple[Any, ...]) -> Any:
        store = self._shard.store
        if method in _READS:
            return getattr(store, method)(self._cluster, *arguments)
        if method in _RIGHTS:
            return getattr(self._shard.authorizer, method)(self._cluster, *arguments)
        match method:
            case "now_us":
                return self._shard.now_us()
            case "durable_revision":
                return store.durable_revision
            case "definition":
                return self._definition(*arguments)
            case "definitions":
                return [d.summary for d in _custom(self._shard).index(self._cluster).definitions.values()]
            case "definition_value":
                return self._definition_value(*arguments)
        raise AssertionError(f"a worker asks for {method}")

    def _definition(self, group: str, version: str, plural: str) -> Summary | None:
        resource = _custom(self._shard).index(self._cluster).places.get((group, version, plural))
        return resource.definition.summary if resource is not None else None

    def _definition_value(self, name: str, digest: str) -> bytes | None:
        value = self._shard.store.pending(self._cluster, CRDS, "", name)
        if value is None or summary_of(value).digest != digest:
            value = self._shard.store.get(self._cluster, CRDS, "", name)
        return value


def _custom(shard: Shard) -> Any:
    catalog = shard.catalog
    assert isinstance(catalog, Catalog) and catalog.custom is not None
    return catalog.custom
