"""Takes logical clusters from other shards, one at a time: copies, has the other shard seal, adopts.

    copying ──all there is──► handing over: sealed there, the rest copied, adopted here ──► done
       └── cancel ──► cancelled        every step is asked for again after a death or a failure of either side

What is copied is on disk with how far it is (`storage.arrival`). That the other shard may have sealed is written down
before it is asked to: from then on there is no way back. Adopting is one batch: ownership and the logical cluster.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NoReturn, Protocol

import orjson

from kcpshard import failpoints
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.placement.departures import Departures
from kcpshard.placement.expected_cluster import ExpectedCluster
from kcpshard.placement.move_statistics import MoveStatistics
from kcpshard.placement.ownership import Ownership
from kcpshard.placement.ownership_commands import PlacementStore
from kcpshard.placement.ownership_states import ClusterState, OwnershipConflict
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.placement_client import Refused, Unreachable
from kcpshard.storage.arrival import Arrival, Inexact, Progress, Summary
from kcpshard.storage.cluster_pages import DamagedPage, decode_pairs
from kcpshard.storage.contract import LogicalCluster, ReadOnly
from kcpshard.storage.durability import durable

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 3.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 2.0  # before a step is tried again
EXPECTED_S = 2.0  # requests wait here that long for the logical cluster, then at their fronts


class Stage(Enum):
    COPYING = "copying"
    HANDING_OVER = "handing-over"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


_OVER = (Stage.DONE, Stage.CANCELLED, Stage.FAILED)


class Source(Protocol):
    """What `PlacementClient` asks of the other shard for us."""

    def export_cluster(self, request: pb.ExportClusterRequest) -> AsyncIterator[pb.ClusterPage]: ...
    async def seal_cluster(self, request: pb.SealClusterRequest) -> pb.OwnershipResponse: ...
    async def show_ownership(self, cluster: str) -> pb.ShowOwnershipResponse: ...


@dataclass(slots=True)
class Job:
    """One move, as asked for by the keeper."""

    request: pb.TakeClusterRequest
    stage: Stage = Stage.COPYING
    note: str = ""
    objects: int = 0
    records: int = 0
    bytes: int = 0
    is_stopping: bool = False  # cancelled; what runs finds out
    sealed_s: float = 0.0  # when the other shard was asked to seal, by the loop's clock; 0: in an earlier try
    sealed_records: int = 0  # copied before that
    expected: ExpectedCluster | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, stage: Stage, note: str = "") -> None:
        self.stage, self.note = stage, note
        if self.expected is not None:
            self.expected.end()
            self.expected = None
        self.over.set()

    def answer(self) -> pb.TakeClusterResponse:
        return pb.TakeClusterResponse(
            stage=self.stage.value, note=self.note, objects=self.objects, records=self.records, bytes=self.bytes
        )


class Arrivals:
    """`source` gives the calls of the shard with that number; raises Unreachable where nobody knows it."""

    def __init__(
        self,
        store: PlacementStore,
        ownership: Ownership,
        departures: Departures,
        source: Callable[[int], Source],
    ) -> None:
        self._store, self._ownership, self._departures, self._source = store, ownership, departures, source
        self._job: Job | None = None
        self._driving: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.statistics = MoveStatistics()
        # Called with a logical cluster that is ours from this turn on, and our revision.
        self.on_arrival: Callable[[LogicalCluster, int], None] = lambda _cluster, _revision: None
        self.on_adopted: Callable[[str], None] = lambda _path: None  # durably
        # Called with what comes besides the data, in the turn of the commit that adopts.
        self.take_keeper_state: Callable[[pb.KeeperState], None] = lambda _state: None

    # --- what the keeper asks

    async def take(self, request: pb.TakeClusterRequest) -> pb.TakeClusterResponse:
        """How far it is, at once if it is over, else after a while. Raises OwnershipConflict for a message from the
        past."""
        if self._is_taken(request):
            return pb.TakeClusterResponse(stage=Stage.DONE.value)
        job = self._job
        if job is None or job.request.epoch < request.epoch:
            if job is not None and job.stage is Stage.HANDING_OVER:
                raise OwnershipConflict(f"{job.request.cluster} is being taken, in epoch {job.request.epoch}")
            if job is not None and job.stage is Stage.COPYING:
                self._stop(job)
            job = self._job = Job(request)
            self._wake.set()
        elif (job.request.epoch, job.request.cluster) != (request.epoch, request.cluster):
            raise OwnershipConflict(f"epoch {request.epoch} has passed: {job.request.cluster} is being taken")
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await job.over.wait()
        except TimeoutError:
            pass
        return job.answer()

    async def cancel(self, request: pb.TakeClusterRequest) -> pb.TakeClusterResponse:
        """The stage tells whether it is cancelled: one that is being handed over, or done, goes on."""
        if self._is_taken(request):
            return pb.TakeClusterResponse(stage=Stage.DONE.value)
        job = self._job
        if job is None or job.request.epoch != request.epoch:
            progress = self._progress(request)
            if progress is not None and progress.is_sealing:
                return pb.TakeClusterResponse(stage=Stage.HANDING_OVER.value)
            job = self._job = Job(request)
        if job.stage is Stage.COPYING:
            self._stop(job)
            self._wake.set()
            await job.over.wait()
        return job.answer()

    def _stop(self, job: Job) -> None:
        job.is_stopping = True
        if self._driving is not None:
            self._driving.cancel()

    def _is_taken(self, request: pb.TakeClusterRequest) -> bool:
        record = self._ownership.cluster_record(request.cluster)
        if record is None or record.epoch < request.epoch:
            return False
        if record.epoch > request.epoch:
            raise OwnershipConflict(f"epoch {request.epoch} has passed: {request.cluster} changed in {record.epoch}")
        return record.state is ClusterState.ADOPTED and self._ownership.serves(request.cluster)

    def _progress(self, request: pb.TakeClusterRequest) -> Progress | None:
        found = (p for p in self._store.transfers.arrivals() if p.path == request.cluster)
        return next((p for p in found if p.epoch == request.epoch), None)

    # --- doing it

    async def run(self) -> NoReturn:
        """As long as the shard serves."""
        self._take_up()
        while True:
            await self._wake.wait()
            self._wake.clear()
            job = self._job
            if job is not None and job.stage not in _OVER:
                await self._drive(job)

    def _take_up(self) -> None:
        """One that the other shard may have sealed before we died. Nobody may be there to ask for it: the keeper's role
        can be on its way with it."""
        for progress in self._store.transfers.arrivals():
            if progress.is_sealing and self._job is None:
                request = pb.TakeClusterRequest(epoch=progress.epoch, cluster=progress.path, source=progress.source)
                self._job = Job(request, Stage.HANDING_OVER)
                self._wake.set()

    async def _drive(self, job: Job) -> None:
        pause_s = FIRST_PAUSE_S
        while job.stage not in _OVER:
            before = job.bytes
            if not job.is_stopping:
                async with asyncio.TaskGroup() as tasks:
                    self._driving = tasks.create_task(self._try(job))
                    await asyncio.wait((self._driving,))
                    self._driving = None
            if job.stage in _OVER:
                return
            if job.is_stopping:
                await self._clean_up(job, Stage.CANCELLED, "")
                if job.stage in _OVER:
                    return
            pause_s = FIRST_PAUSE_S if job.bytes > before else min(2 * pause_s, LAST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _try(self, job: Job) -> None:
        """Until it is over, or has to be tried again: `note` says why."""
        path = job.request.cluster
        try:
            await self._move(job)
        except (Unreachable, ServiceUnavailable, ReadOnly) as error:
            job.note = str(error)
            log.info("taking %s waits: %s", path, error)
        except Inexact as error:
            self.statistics.begun_anew += 1
            log.critical("the copy of %s is not exact and is made anew: %s", path, error)
            await self._discard(path)
        except (Refused, OwnershipConflict, DamagedPage) as error:
            job.note = str(error)
            if job.stage is Stage.COPYING or await self._is_not_sealed(job):
                await self._clean_up(job, Stage.FAILED, str(error))
            else:
                log.error("%s cannot be taken, though it may be sealed for us: %s", path, error)
        except Exception as error:
            job.note = f"{type(error).__name__}: {error}"
            log.exception("taking %s", path)

    async def _is_not_sealed(self, job: Job) -> bool:
        """Whether the other shard says that it has not given it up for this move (it was deleted there)."""
        request = job.request
        try:
            found = await self._source(request.source).show_ownership(request.cluster)
        except (Unreachable, Refused):
            return False
        return (found.state, found.epoch) != ("sealed", request.epoch)

    async def _clean_up(self, job: Job, stage: Stage, note: str) -> None:
        try:
            await self._discard(job.request.cluster)
        except ReadOnly as cause:
            log.info("the copy of %s stays for now: %s", job.request.cluster, cause)
            return
        if stage is Stage.FAILED:
            self.statistics.failed += 1
        else:
            self.statistics.cancelled += 1
        job.end(stage, note)

    async def _discard(self, path: str) -> None:
        """Copies of that path, of this move or one before."""
        for progress in self._store.transfers.arrivals():
            if progress.path == path:
                await durable(self._store.transfers.abandon(progress.cluster_id))
                self._departures.let_go(progress.cluster_id)

    async def _move(self, job: Job) -> None:
        request = job.request
        if request.unborn:
            await self._take_path(job)
            return
        for stale in self._store.transfers.arrivals():
            if (stale.path, stale.epoch) != (request.cluster, request.epoch) and not stale.is_sealing:
                await durable(self._store.transfers.abandon(stale.cluster_id))  # of a move that the keeper gave up
                self._departures.let_go(stale.cluster_id)
        progress = self._progress(request)
        if progress is not None and progress.is_sealing:
            self._hand_over(job)
        source = self._source(request.source)
        wanted = pb.ExportClusterRequest(cluster=request.cluster, epoch=request.epoch, to=self._ownership.number)
        if progress is not None:
            wanted.has_objects = progress.has_objects
            wanted.objects_after = bytes.fromhex(progress.objects_after)
            wanted.records_after = bytes.fromhex(progress.records_after)
        pages = _Pages(source.export_cluster(wanted))
        try:
            arrival = await self._begin(job, progress, await pages.head())
            while True:
                page = await pages.next()
                if page.summary:
                    await self._adopt(job, arrival, page)
                    return
                if page.caught_up:
                    await self._have_sealed(job, arrival, source, page.caught_up)
                else:
                    await self._take(job, arrival, page)
        finally:
            await pages.close()

    async def _take_path(self, job: Job) -> None:
        """One at which nothing lives: it is sealed there and adopted here. Revisions go on above those of what lived
        there before."""
        request = job.request
        path = request.cluster
        if self._store.pending_cluster(path) is not None:
            raise OwnershipConflict(f"there is a logical cluster {path} at shard {self._ownership.number}")
        self._hand_over(job)
        answer = await self._source(request.source).seal_cluster(
            pb.SealClusterRequest(epoch=request.epoch, cluster=path, moved_to=self._ownership.number, unborn=True)
        )
        if failpoints.armed:
            failpoints.reach("moves.sealed")
        self._store.raise_clock(answer.revision)
        group = self._ownership.adopt(request.epoch, path)
        if group is not None:
            await durable(group)
        if failpoints.armed:
            failpoints.reach("moves.adopted")
        job.end(Stage.DONE)

    async def _begin(self, job: Job, progress: Progress | None, head: pb.ClusterHead) -> Arrival:
        path, transfers = job.request.cluster, self._store.transfers
        oldest = tuple(head.oldest)
        if progress is not None:
            if (progress.cluster_id, progress.oldest) != (head.id, oldest):
                raise Inexact(f"it was of {progress.cluster_id} from {progress.oldest}, there is {head.id} {oldest}")
            return transfers.resume(progress)
        job.note = "until what an earlier stay has left here is removed"
        await self._departures.cleared(path, head.id)
        job.note = ""
        if self._store.pending_cluster(path) is not None:
            raise OwnershipConflict(f"there is a logical cluster {path} at shard {self._ownership.number}")
        first = Progress(path, head.id, job.request.epoch, job.request.source, head.revision, oldest)
        arrival, group = transfers.begin(first)
        await durable(group)
        if failpoints.armed:
            failpoints.reach("moves.begun")
        return arrival

    async def _take(self, job: Job, arrival: Arrival, page: "_Page") -> None:
        pairs = list(decode_pairs(page.raw))
        if page.is_objects:
            job.objects += len(pairs)
            group = arrival.take_objects(pairs, page.is_last)
        else:
            job.records += len(pairs)
            group = arrival.take_records(pairs)
        job.bytes += len(page.raw)
        await durable(group)
        if failpoints.armed:
            failpoints.reach("moves.copying")
        if job.request.bytes_per_second and job.stage is Stage.COPYING:
            await asyncio.sleep(len(page.raw) / job.request.bytes_per_second)

    # --- handing over

    def _hand_over(self, job: Job) -> None:
        """From here on it is not cancelled. Requests that come here because the other shard names us wait."""
        job.stage = Stage.HANDING_OVER
        if job.expected is None:
            job.expected = self._ownership.expect(job.request.cluster)
            asyncio.get_running_loop().call_later(EXPECTED_S, job.expected.end)

    async def _have_sealed(self, job: Job, arrival: Arrival, source: Source, revision: int) -> None:
        if failpoints.armed:
            failpoints.reach("moves.copied")
        self._store.raise_clock(revision)  # a clock that may not be raised so far is found out before the pause
        loop = asyncio.get_running_loop()
        job.stage = Stage.HANDING_OVER
        if not arrival.progress.is_sealing:
            await durable(arrival.begin_sealing())
            if failpoints.armed:
                failpoints.reach("moves.sealing")
            job.sealed_s, job.sealed_records = loop.time(), job.records
        self._hand_over(job)
        request = job.request
        await source.seal_cluster(
            pb.SealClusterRequest(epoch=request.epoch, cluster=request.cluster, moved_to=self._ownership.number)
        )
        if failpoints.armed:
            failpoints.reach("moves.sealed")

    async def _adopt(self, job: Job, arrival: Arrival, page: "_Page") -> None:
        summary = Summary(**orjson.loads(page.summary))
        arrival.check(summary)
        self._store.raise_clock(summary.revision)
        if failpoints.armed:
            failpoints.reach("moves.adopting")
        # One turn, one group.
        cluster = self._store.transfers.complete(arrival, summary)
        group = self._ownership.adopt(job.request.epoch, cluster.path)
        assert group is not None, "adopted already"
        if page.keeper is not None:
            self.take_keeper_state(page.keeper)
        group.when_durable(lambda: self._is_ours(job, cluster))
        await durable(group)
        if failpoints.armed:
            failpoints.reach("moves.adopted")

    def _is_ours(self, job: Job, cluster: LogicalCluster) -> None:
        self.on_arrival(cluster, self._store.durable_revision)
        self.on_adopted(cluster.path)
        self.statistics.taken += 1
        if job.sealed_s:
            self.statistics.pause_s.add(asyncio.get_running_loop().time() - job.sealed_s)
            self.statistics.pause_records.add(job.records - job.sealed_records)
        job.end(Stage.DONE)

    def figures(self) -> Mapping[str, object]:
        return self.statistics.figures()


class _Page:
    __slots__ = ("caught_up", "is_last", "is_objects", "keeper", "raw", "summary")

    def __init__(self, message: pb.ClusterPage, raw: bytes, is_objects: bool) -> None:
        self.raw, self.is_objects, self.is_last = raw, is_objects, message.last
        self.caught_up, self.summary = message.caught_up, message.summary
        self.keeper = message.keeper if message.HasField("keeper") else None


class _Pages:
    """The messages of an export, put together. Raises Unreachable where it ends too early."""

    def __init__(self, messages: AsyncIterator[pb.ClusterPage]) -> None:
        self._messages: Any = messages

    async def head(self) -> pb.ClusterHead:
        message = await self._next()
        if not message.HasField("head"):
            raise Unreachable("an export without a head")
        return message.head

    async def next(self) -> _Page:
        parts: list[bytes] = []
        while True:
            message = await self._next()
            is_objects = bool(message.objects) or message.last
            parts.append(message.objects or message.records)
            if not message.more:
                return _Page(message, b"".join(parts), is_objects)

    async def close(self) -> None:
        await self._messages.aclose()

    async def _next(self) -> pb.ClusterPage:
        try:
            message: pb.ClusterPage = await anext(self._messages)
        except StopAsyncIteration:
            raise Unreachable("the export ended") from None
        return message
