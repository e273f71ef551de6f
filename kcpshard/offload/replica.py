"""In a worker process: a verb run on a shard of which only what it reads is there.

`write_job` is the function that the worker calls. The verb sees a store whose reads are questions to the real shard,
and whose one commit is only proposed. So the worker decides by the same code and the same state as the loop would;
whether that state still holds is checked by whoever commits the proposal.
"""

import pickle
from collections.abc import Sequence
from typing import Any, cast

import orjson

from kcpshard.api import loop_time
from kcpshard.api.errors import ApiError
from kcpshard.api.requests import Answer, decode_identity
from kcpshard.authorization.attributes import Attributes, refused
from kcpshard.authorization.authorizer import Authorizer
from kcpshard.authorization.policy import Decision
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_documents import Summary
from kcpshard.definitions.custom_catalog import CustomCatalog, Index, Place
from kcpshard.definitions.custom_resources import Definition
from kcpshard.offload.messages import ClusterFacts, NotHere, Proposal, Write
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, PendingCommit, Put, RecordedWrite, Remove, ScanItem
from kcpshard.verbs.dispatch import run_verb
from kcpshard.verbs.outcome import AfterSync
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.staged_store import FUTURE_REVISION
from kcpshard.workers.process import Ask

_KEPT_DEFINITIONS = 64  # compiled; the least recently made go
_definitions: dict[str, Definition] = {}  # by digest
_catalogs: dict[str, Catalog] = {}  # by API set: making one takes tens of milliseconds


def write_job(payload: bytes, ask: Ask) -> bytes:
    job: Write = pickle.loads(payload)  # noqa: S301 - made by our own process
    with loop_time.unbounded():
        return pickle.dumps(_proposal(job, ask), 5)


def _proposal(job: Write, ask: Ask) -> Proposal | NotHere:
    request = pb.Request.FromString(job.request)
    store = ReplicaStore(ask, job.cluster)
    shard = _shard(job, store)
    try:
        outcome = run_verb(shard, request)
    except ApiError as error:
        answer = Answer(error.code, error.body(), None, error.warnings, retry_after_s=error.retry_after_s)
        return Proposal((), (), answer, False)
    except _Refused as refusal:
        return Proposal((), (), refusal.answer, False)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a want of ours or a bug: the loop finds out, and has the rest to do it with
        return NotHere(f"{type(error).__name__}: {error}")
    if isinstance(outcome, Answer | AfterSync):
        return store.proposal(outcome)
    if hasattr(outcome, "close"):
        outcome.close()
    return NotHere("the verb waits for something")


def _shard(job: Write, store: "ReplicaStore") -> Shard:
    catalog = _catalogs.get(job.api_set)
    if catalog is None:
        catalog = _catalogs[job.api_set] = Catalog(job.api_set)
    authorizer = cast(Authorizer, ReplicaAuthorizer(store))
    shard = Shard(store, catalog, _Served(), store.now_us, job.contents, authorizer=authorizer)
    shard.issuer = cast(Any, _Absent())
    catalog.custom = cast(CustomCatalog, ReplicaDefinitions(store))
    return shard


class NotServed(Exception):
    """The verb wants of the shard what a worker does not have."""


class _Absent:
    def __getattr__(self, name: str) -> Any:
        raise NotServed(name)


class _Served:
    def check(self, path: str) -> None:
        """The shard has checked, and will do so again."""


class _NoGroup:
    def when_durable(self, callback: Any) -> None:
        raise NotServed("a group of a proposal")

    when_refused = when_durable


class ReplicaStore:
    """The part of an ObjectStore that verbs about one object use, of one logical cluster."""

    def __init__(self, ask: Ask, facts: ClusterFacts) -> None:
        self._ask_raw = ask
        self.cluster = _cluster(facts)
        self._writes: Sequence[Put | Remove] | None = None
        self._details: tuple[Any, ...] = ()
        self._values: Sequence[bytes] = ()

    def ask(self, method: str, *arguments: Any) -> Any:
        found = pickle.loads(self._ask_raw(pickle.dumps((method, arguments), 5)))  # noqa: S301 - as above
        if isinstance(found, Answer):
            raise _Refused(found)
        return found

    def __getattr__(self, name: str) -> Any:
        raise NotServed(f"store.{name}")

    def now_us(self) -> int:
        found: int = self.ask("now_us")
        return found

    @property
    def durable_revision(self) -> int:
        found: int = self.ask("durable_revision")
        return found

    def on_commit(self, listener: Any) -> None:
        """Nothing is ever announced here."""

    def find_cluster(self, path: str) -> LogicalCluster | None:
        if path != self.cluster.path:
            raise NotServed("another logical cluster")
        return self.cluster

    pending_cluster = find_cluster

    def get(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        found: bytes | None = self.ask("get", group_resource, namespace, name)
        return found

    def pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        found: bytes | None = self.ask("pending", group_resource, namespace, name)
        return found

    def scan(self, cluster: LogicalCluster, *arguments: Any) -> list[ScanItem]:
        found: list[ScanItem] = self.ask("scan", *arguments)
        return found

    def scan_pending(self, cluster: LogicalCluster, group_resource: str, namespace: str, limit: int) -> list[bytes]:
        found: list[bytes] = self.ask("scan_pending", group_resource, namespace, limit)
        return found

    def scan_own(
        self, cluster: LogicalCluster, group_resource: str, after: tuple[str, str] | None, limit: int
    ) -> list[ScanItem]:
        found: list[ScanItem] = self.ask("scan_own", group_resource, after, limit)
        return found

    def pending_own(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bytes | None:
        found: bytes | None = self.ask("pending_own", group_resource, namespace, name)
        return found

    def is_removed(self, cluster: LogicalCluster, group_resource: str, namespace: str, name: str) -> bool:
        found: bool = self.ask("is_removed", group_resource, namespace, name)
        return found

    def follow_writes(self, *_: Any) -> None:
        """Nothing is ever written here."""

    def count(self, cluster: LogicalCluster, group_resource: str) -> int:
        found: int = self.ask("count", group_resource)
        return found

    def recorded(self, cluster: LogicalCluster, request_id: bytes, since_us: int) -> RecordedWrite | None:
        found: RecordedWrite | None = self.ask("recorded", request_id, since_us)
        return found

    def commit(
        self, cluster: LogicalCluster, writes: Sequence[Put | Remove], *details: Any, **named: Any
    ) -> PendingCommit:
        if self._writes is not None or named:
            raise NotServed("a second commit" if self._writes is not None else "a commit by names")
        self._writes, self._details = tuple(writes), details
        self._values = [_value(write) for write in writes]
        return PendingCommit(FUTURE_REVISION, self._values, _NoGroup())

    def proposal(self, outcome: Answer | AfterSync) -> Proposal:
        answer = outcome.answer if isinstance(outcome, AfterSync) else outcome
        if self._writes is None:
            return Proposal((), (), answer, False)
        first = self._writes[0]
        is_stored = type(first) is Put and answer.body == envelope.body(self._values[0])
        return Proposal(self._writes, self._details, answer._replace(body=b"") if is_stored else answer, is_stored)


class _Refused(Exception):
    """A read that the shard refuses; the answer is the write's."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


def _value(write: Put | Remove) -> bytes:
    """As the writer would store it, but for what only the writer knows."""
    if type(write) is Remove:
        return b""
    assert type(write) is Put
    return envelope.encode(
        write.json, write.hole, write.annotations, FUTURE_REVISION, FUTURE_REVISION, write.uid, write.api_version,
        b"", b"", write.fingerprint,
    )  # fmt: skip


def _cluster(facts: ClusterFacts) -> LogicalCluster:
    made = LogicalCluster()
    made.path, made.id, made.prefix, made.state = facts.path, facts.id, facts.prefix, facts.state
    made.created_revision, made.oldest_revision = facts.created_revision, facts.oldest_revision
    made.oldest, made.cached = [facts.oldest_revision] * 8, {}
    made.objects = made.stored_bytes = 0  # limits are checked where the write is committed
    made.born_in, made.log_bytes, made.known_since, made.deletions = None, 0, 0, {}
    return made


class ReplicaAuthorizer:
    """The part of Authorizer that verbs use; the shard's own decides."""

    def __init__(self, store: ReplicaStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        raise NotServed(f"authorizer.{name}")

    def stand_in_a_tree(self, _standing: object) -> None:
        """Whoever decides stands there."""

    def decide(self, cluster: LogicalCluster | None, path: str, raw: bytes, wanted: Attributes) -> Decision:
        found: Decision = self._store.ask("decide", path, raw, wanted)
        return found

    def check(self, cluster: LogicalCluster | None, path: str, raw: bytes, wanted: Attributes) -> Decision:
        found = self.decide(cluster, path, raw, wanted)
        if not found.allowed:
            raise refused(decode_identity(raw).username, wanted, found.reason)
        return found

    def rules(self, cluster: LogicalCluster | None, path: str, raw: bytes, namespace: str) -> Any:
        return self._store.ask("rules", path, raw, namespace)

    def role(self, cluster: LogicalCluster | None, kind: str, namespace: str, name: str) -> Any:
        return self._store.ask("role", kind, namespace, name)


class ReplicaDefinitions:
    """The part of CustomCatalog that verbs use: one type at a time; what is compiled is kept by content."""

    def __init__(self, store: ReplicaStore) -> None:
        self._store = store

    def find(self, cluster: LogicalCluster, place: Place) -> Resource | None:
        found: Summary | None = self._store.ask("definition", *place)
        return self._loaded(found).resources.get(place[1]) if found is not None else None

    def load(self, cluster: LogicalCluster, definition: Definition) -> None:
        self._loaded(definition.summary)

    def index(self, cluster: LogicalCluster) -> Index:
        index = Index()
        for found in self._store.ask("definitions"):
            index.put(Definition(found))
        return index

    def _loaded(self, found: Summary) -> Definition:
        kept = _definitions.get(found.digest)
        if kept is None or kept.summary != found:
            kept = Definition(found)
            value = self._store.ask("definition_value", found.name, found.digest)
            kept.load(orjson.loads(envelope.body(value)))
            if len(_definitions) >= _KEPT_DEFINITIONS:
                del _definitions[next(iter(_definitions))]
            _definitions[found.digest] = kept
        return kept
