"""What becomes of one request: from a verb's outcome to an answer given to whoever asked.

Decides nothing about verbs and knows nothing of gRPC: `service` and `local_shard` are its receivers. A request that a
verb answers at once leaves no trace here. Anything else is a *job*: it has a deadline, can be cancelled, and a write
that is repeated (same request id) while the first one still runs joins it instead of running twice, even if the first
came on a stream that has ended since. The end of a stream cancels its reads; its writes go on.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import Any, Protocol, cast

import orjson

from kcpshard.api.errors import (
    ApiError,
    FlowRefused,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
)
from kcpshard.api.requests import Answer
from kcpshard.api.unconverted import NotConverted
from kcpshard.flowcontrol.flows import Flow, Flows, State
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.deadlines import Deadlines
from kcpshard.rpc.messages import WRITES
from kcpshard.storage.contract import NotDurable, ReadOnly
from kcpshard.storage.damage import damage_of
from kcpshard.verbs.outcome import AfterSync, NotOwned, Outcome
from kcpshard.workers.loop_turns import LoopTurns

_log = logging.getLogger(__name__)

INTERNAL_ERROR = "Internal error occurred: see the shard's log"
DEADLINE_GRACE_S = 0.25  # the caller ends an overdue request itself, by Cancel; ours is for callers that cannot
MAX_DAMAGES_TOLD = 1000
MAX_ROUNDS = 20
_WATCHED = 16  # a logical cluster with fewer requests under way is within any limit
_COUNTED_S = 0.0001  # cheaper work is nobody's spending
DEFAULT_TIMEOUT_S = 60.0  # of a request that names none
_QUEUED_PART = 0.25  # of a request's time, that it may wait for a seat of its priority level
_NOBODYS = frozenset((401, 421))  # answers to whom a logical cluster tells nothing of its flows

Dispatch = Callable[[pb.Request], Outcome]


class Receiver(Protocol):
    """Where the answers to one caller's requests go. `jobs` is kept by Execution."""

    jobs: dict[int, "Job"]

    def answer(self, id_: int, answer: Answer) -> None:
        """The whole answer, or the error that ends a list already begun."""

    async def piece(self, id_: int, answer: Answer) -> None:
        """A part of a long list, the last one if `info` is set. Returns when the next one is wanted."""


class Job:
    """A request that was not answered in its loop turn. `followers` are repeats of it, to be answered alike.

    It has a seat of its flow's priority level, or waits for one (`patience` set).
    """

    __slots__ = ("deadline", "flow", "followers", "is_done", "patience", "receiver", "request", "rounds", "task",
                 "task_expired")  # fmt: skip

    def __init__(self, request: pb.Request, receiver: Receiver, deadline: float, flow: "Flow[Job] | None") -> None:
        self.request, self.receiver, self.deadline, self.flow = request, receiver, deadline, flow
        self.patience: asyncio.TimerHandle | None = None
        self.followers: list[tuple[Receiver, int]] = []
        self.task: asyncio.Task[None] | None = None
        self.is_done = self.task_expired = False
        self.rounds = 0  # of asking a webhook for objects that the verb needs


class Execution:
    """All requests of one shard process. Tasks live in the TaskGroup of whoever runs the shard."""

    def __init__(
        self,
        dispatch: Dispatch,
        tasks: asyncio.TaskGroup,
        turns: LoopTurns | None = None,
        most: "Callable[[str], int] | None" = None,
        flows: Flows[Job] | None = None,
    ) -> None:
        self._dispatch, self._tasks = dispatch, tasks
        self._loop = asyncio.get_running_loop()
        self._turns = turns or LoopTurns()
        self._most = most  # jobs that a logical cluster may have, by its path
        self._flows = flows
        if flows is not None:
            flows.on_change = self._seat_waiting
        self._of_cluster: dict[str, int] = {}  # jobs, by path
        self._deadlines: Deadlines[Job] = Deadlines(self._loop, self._expire)
        self._writes: dict[bytes, Job] = {}  # by request id; bounded by what the callers' credits let in
        self._jobs = 0
        self._idle: asyncio.Future[None] | None = None

    @property
    def jobs(self) -> int:
        return self._jobs

    def execute(self, request: pb.Request, receiver: Receiver) -> None:
        if self._writes and request.repeat and (first := self._writes.get(request.request_id)):
            first.followers.append((receiver, request.id))
            return
        turns, cluster = self._turns, request.cluster
        under_way = self._of_cluster.get(cluster, 0)
        if (
            under_way >= _WATCHED
            and self._most is not None
            and under_way >= self._most(cluster)
            and not self._is_of_stranger(request)
        ):
            receiver.answer(request.id, error_answer(_too_many(), request))
            return
        flow = None if self._flows is None else self._flows.of(request)
        if flow is not None and flow.level.is_short and not flow.may_start():
            self._wait(request, receiver, flow)
            return
        began = perf_counter()
        if cluster in turns.spenders and turns.is_over(cluster, began) and not self._is_of_stranger(request):
            self._queue(cluster, self._begin(request, receiver, flow))
            return
        try:
            outcome = self._dispatch(request)
        except NotDurable as reason:
            self._ask_later(self._begin(request, receiver, flow), reason)
            return
        except NotConverted as reason:
            self._ask_converted(self._begin(request, receiver, flow), reason)
            return
        except Exception as error:  # noqa: BLE001 - the boundary: what nobody translated is logged and answered 500
            receiver.answer(request.id, _of_flow(error_answer(error, request), flow))
            return
        ended = perf_counter()
        if ended - began > _COUNTED_S:
            turns.charge(cluster, turns.spent(ended - began), ended)
        if type(outcome) is Answer:
            receiver.answer(request.id, outcome if flow is None else _of_flow(outcome, flow))
        else:
            self._follow(self._begin(request, receiver, flow), outcome)

    def _is_of_stranger(self, request: pb.Request) -> bool:
        """Such a one is refused as if there were nothing: what waits for a turn here is no business of theirs."""
        return self._flows is not None and self._flows.is_of_stranger(request)

    def _queue(self, cluster: str, job: Job) -> None:
        """Its logical cluster has had its share of the loop: in its turn."""
        if not self._turns.queue(cluster, partial(self._ask_again, job)):
            self._fail(job, _too_many())

    # --- seats of priority levels

    def _wait(self, request: pb.Request, receiver: Receiver, flow: "Flow[Job]") -> None:
        """Its priority level has no seat left."""
        assert self._flows is not None
        job = self._note(request, receiver, flow)
        patience_s = (job.deadline - DEADLINE_GRACE_S - self._loop.time()) * _QUEUED_PART
        job.patience = self._loop.call_later(patience_s, self._lose_patience, job)
        if not self._flows.wait(flow, job):
            self._fail(job, FlowRefused())

    def _lose_patience(self, job: Job) -> None:
        assert self._flows is not None
        self._flows.timed_out += 1
        self._fail(job, FlowRefused())

    def _seat_waiting(self, state: "State[Job]") -> None:
        """Whoever gets a seat that has become free; in a later turn of the loop, and its logical cluster's."""
        flows = self._flows
        assert flows is not None
        while (job := flows.next(state)) is not None:
            self._sit_down(job)
            self._queue(job.request.cluster, job)

    def _sit_down(self, job: Job) -> None:
        if job.patience is not None:
            job.patience.cancel()
            job.patience = None
        cluster = job.request.cluster
        self._of_cluster[cluster] = self._of_cluster.get(cluster, 0) + 1
        if job.flow is not None:
            self._flows.take(job.flow)  # type: ignore[union-attr]

    def _stand_up(self, job: Job) -> None:
        flow, flows = job.flow, self._flows
        if job.patience is not None:
            job.patience.cancel()
            flows.withdraw(flow, job)  # type: ignore[union-attr, arg-type]
            return
        cluster = job.request.cluster
        left = self._of_cluster[cluster] - 1
        if left:
            self._of_cluster[cluster] = left
        else:
            del self._of_cluster[cluster]
        if flow is not None and flows is not None:
            flows.release(flow)
            self._seat_waiting(flow.state)

    def cancel(self, receiver: Receiver, id_: int) -> None:
        """The caller does not want the answer any more. What a verb has accepted stays accepted."""
        job = receiver.jobs.get(id_)
        if job is not None and not job.followers:
            self._abandon(job)

    def abandon(self, receiver: Receiver) -> None:
        """The caller is gone. Its writes go on: it may have come back on another stream, asking for their result."""
        for job in list(receiver.jobs.values()):
            if job.request.verb not in WRITES:
                self._abandon(job)

    async def wait_until_idle(self) -> None:
        """Until no job is left. New ones prolong it."""
        while self._jobs:
            self._idle = self._loop.create_future()
            await self._idle

    def close(self) -> None:
        self._deadlines.close()

    # --- a job's life

    def _begin(self, request: pb.Request, receiver: Receiver, flow: "Flow[Job] | None") -> Job:
        job = self._note(request, receiver, flow)
        self._sit_down(job)
        return job

    def _note(self, request: pb.Request, receiver: Receiver, flow: "Flow[Job] | None") -> Job:
        timeout_s = request.timeout_ms / 1000 or DEFAULT_TIMEOUT_S
        job = Job(request, receiver, self._loop.time() + timeout_s + DEADLINE_GRACE_S, flow)
        receiver.jobs[request.id] = job
        if request.request_id:
            self._writes[request.request_id] = job
        self._deadlines.add(job, job.deadline)
        self._jobs += 1
        return job

    def _end(self, job: Job) -> None:
        job.is_done = True
        job.receiver.jobs.pop(job.request.id, None)
        if job.request.request_id:
            self._writes.pop(job.request.request_id, None)
        self._deadlines.discard(job, job.deadline)
        self._jobs -= 1
        self._stand_up(job)
        if not self._jobs and self._idle and not self._idle.done():
            self._idle.set_result(None)

    def _finish(self, job: Job, answer: Answer) -> None:
        if job.is_done:
            return
        self._end(job)
        if job.flow is not None:
            answer = _of_flow(answer, job.flow)
        job.receiver.answer(job.request.id, answer)
        for receiver, id_ in job.followers:
            receiver.answer(id_, answer)

    def _fail(self, job: Job, error: BaseException) -> None:
        if not job.is_done:
            self._finish(job, error_answer(error, job.request))

    def _abandon(self, job: Job) -> None:
        """Nobody waits for it. A coroutine is cancelled; an accepted write has none and just goes unanswered."""
        if job.task is not None:
            job.task.cancel()
        if not job.is_done:
            self._end(job)

    def _expire(self, job: Job) -> None:
        if job.is_done:
            return
        if job.task is not None:
            job.task_expired = True  # the answer is given once the verb has really stopped: it may just be finishing
            job.task.cancel()
        else:
            self._fail(job, _timeout())

    def _ask_again(self, job: Job) -> None:
        """Everything that the verb stumbled over is durable now."""
        if job.is_done:
            return
        try:
            outcome = self._dispatch(job.request)
        except NotDurable as reason:
            self._ask_later(job, reason)
        except NotConverted as reason:
            self._ask_converted(job, reason)
        except Exception as error:  # noqa: BLE001 - as in execute
            self._fail(job, error)
        else:
            self._follow(job, outcome)

    def _ask_converted(self, job: Job, reason: NotConverted) -> None:
        """A webhook has to convert something first. Each object that a verb needs is another round, so they are few,
        unless a webhook that admits changes the object in another way each time."""
        job.rounds += 1
        if job.rounds > MAX_ROUNDS:
            self._fail(job, InternalError("Internal error occurred: the object is another one at each conversion"))
        else:
            job.task = self._tasks.create_task(self._run(job, _settled(reason, self._dispatch, job.request)))

    def _ask_later(self, job: Job, reason: NotDurable) -> None:
        """Also when the disk refuses the group: what the verb stumbled over is gone then."""
        reason.group.when_durable(partial(self._ask_again, job))
        reason.group.when_refused(lambda _cause: self._ask_again(job))

    def _follow(self, job: Job, outcome: Outcome) -> None:
        if isinstance(outcome, AfterSync):
            outcome.group.when_durable(partial(self._finish, job, outcome.answer))
            outcome.group.when_refused(partial(self._fail, job))
        elif isinstance(outcome, Answer):
            self._finish(job, outcome)
        elif inspect.iscoroutine(outcome):
            job.task = self._tasks.create_task(self._run(job, outcome))
        elif job.request.verb in WRITES:
            job.task = self._tasks.create_task(self._run(job, _collect(cast(AsyncIterator[Answer], outcome))))
        else:
            job.task = self._tasks.create_task(self._stream(job, cast(AsyncIterator[Answer], outcome)))

    async def _run(self, job: Job, coroutine: Coroutine[Any, Any, Outcome]) -> None:
        try:
            outcome = await coroutine
        except asyncio.CancelledError:
            self._stopped(job)
            raise
        except NotDurable as reason:
            job.task = None
            self._ask_later(job, reason)
        except NotConverted as reason:
            job.task = None
            if not job.is_done:
                self._ask_converted(job, reason)
        except Exception as error:  # noqa: BLE001 - as in execute
            self._fail(job, error)
        else:
            job.task = None
            if not job.is_done:
                self._follow(job, outcome)

    async def _stream(self, job: Job, pieces: AsyncIterator[Answer]) -> None:
        try:
            async for piece in pieces:
                await job.receiver.piece(job.request.id, _of_flow(piece, job.flow))
        except asyncio.CancelledError:
            self._stopped(job)
            raise
        except NotDurable as reason:  # only ever before the first piece
            job.task = None
            self._ask_later(job, reason)
        except Exception as error:  # noqa: BLE001 - as in execute
            self._fail(job, error)
        else:
            if not job.is_done:
                self._end(job)
        finally:
            if inspect.isasyncgen(pieces):  # stopped in the middle: its snapshot must not wait for the collector
                await pieces.aclose()

    def _stopped(self, job: Job) -> None:
        if job.task_expired:
            self._fail(job, _timeout())
        elif not job.is_done:
            self._end(job)


async def _settled(reason: NotConverted, dispatch: Dispatch, request: pb.Request) -> Outcome:
    await reason.settle()
    return dispatch(request)


async def _collect(pieces: AsyncIterator[Answer]) -> Answer:
    """A write's answer is kept whole: a repeat may ask for it on another stream."""
    found = [piece async for piece in pieces]
    return found[0]._replace(body=b"".join(piece.body for piece in found), info=found[-1].info)


def _of_flow(answer: Answer, flow: Flow[Job] | None) -> Answer:
    """The same, telling whose it was."""
    if flow is None or answer.code in _NOBODYS:
        return answer
    return Answer._make((*answer[:-1], flow.names))


def _too_many() -> TooManyRequests:
    return TooManyRequests("too many requests, please try again later.", retry_after_s=1)


def _timeout() -> Timeout:
    return Timeout("Timeout: request did not complete within the allotted timeout")


def error_answer(error: BaseException, request: pb.Request) -> Answer:
    """The one translation of exceptions at this boundary. An exception nobody expected is a bug: logged whole, 500."""
    match error:
        case ApiError():
            return Answer(
                error.code,
                error.body(),
                None,
                error.warnings,
                retry_after_s=error.retry_after_s,
                content_type=error.content_type,
                audit=error.audit,
            )
        case NotOwned():
            return Answer(421, _MISDIRECTED, moved_to=error.moved_to)
        case ReadOnly():
            return error_answer(
                ServiceUnavailable(f"the shard takes no writes: {error.cause}", retry_after_s=5), request
            )
    if damage := damage_of(error):
        return _damaged(damage, error, request)
    _log.error(
        "unexpected %s in %s %s of logical cluster %s",
        type(error).__name__,
        pb.Verb.Name(request.verb) if request.verb in pb.Verb.values() else request.verb,
        request.resource or request.name,
        request.cluster,
        exc_info=error,
    )
    return error_answer(InternalError(INTERNAL_ERROR), request)


def _damaged(damage: str, error: BaseException, request: pb.Request) -> Answer:
    """What is stored cannot be read. Told again for each damage, not for each request that meets it."""
    if damage not in _damages and len(_damages) < MAX_DAMAGES_TOLD:
        _damages.add(damage)
        _log.critical("stored data is damaged: %s; stop the shard and run `kcp shard verify`", error)
    message = (
        f"Internal error occurred: the data stored by this shard is damaged ({damage}); kcp shard verify says more"
    )
    return error_answer(InternalError(message), request)


_damages: set[str] = set()
_MISDIRECTED = orjson.dumps(
    {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "this shard does not serve the logical cluster",
        "reason": "MisdirectedRequest",
        "code": 421,
    }
)
