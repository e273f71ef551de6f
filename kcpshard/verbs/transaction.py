"""A Transaction: several operations on objects of one logical cluster, all in one commit or none.

    POST /clusters/PATH/apis/changes.kcp.io/v1alpha1/transactions       (see `transaction_form` for the body)

Each operation is the verb of its own, with its own rights, validation, admission and quota, run in order over what the
ones before it have gathered; then everything is committed at one revision. The first that fails is the answer: its own
Status, whose message and causes say which operation it was. What a transaction defines (types, policies, webhooks)
counts from its commit on, as it would for a client that sends one request after the other without waiting.
"""

import asyncio
import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import orjson

from kcpshard.admission.webhook_calls import CallsWanted, Replayed, wait
from kcpshard.api import loop_time
from kcpshard.api.errors import (
    ApiError,
    BadRequest,
    Cause,
    Conflict,
    FieldError,
    ForeignStatus,
    duplicate,
    invalid,
    object_conflict,
    object_not_found,
    required,
)
from kcpshard.api.objects import Object
from kcpshard.api.requests import Answer, Request, decode_identity
from kcpshard.api.unconverted import NotConverted
from kcpshard.authorization.authorizer import Authorizer
from kcpshard.authorization.layer import CLUSTER_ROLES, ROLES
from kcpshard.authorization.rules import Rule, read_rule
from kcpshard.definitions.contract import Resource
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage import envelope
from kcpshard.storage.contract import Group, LogicalCluster, NotDurable, ObjectStore, Put
from kcpshard.verbs import access, births, cluster_limits, duplicate_fields
from kcpshard.verbs import transaction_form as form
from kcpshard.verbs.create import create
from kcpshard.verbs.delete import delete
from kcpshard.verbs.field_validation import check_options
from kcpshard.verbs.get import served_body
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.patch import patch
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.staged_store import FUTURE_TEXT, StagedStore
from kcpshard.verbs.target import check_path
from kcpshard.verbs.transaction_form import Operation
from kcpshard.verbs.update import update
from kcpshard.verbs.webhook_waiting import group_settled
from kcpshard.verbs.writes import author

_VERBS = {form.APPLY: pb.PATCH, form.CREATE: pb.CREATE, form.UPDATE: pb.UPDATE, form.DELETE: pb.DELETE}
_RUN = {form.APPLY: patch, form.CREATE: create, form.UPDATE: update, form.DELETE: delete}
_COST_BYTES = 4096  # one more operation takes the loop as long as this much more of a body
_DEFAULT_TIMEOUT_S = 60.0


class _Step(NamedTuple):
    """One operation and the request that it stands for."""

    operation: Operation
    resource: Resource
    request: Request


def transaction(shard: Shard, request: Request) -> Outcome:
    shard.ownership.check(request.cluster)
    cluster = shard.store.pending_cluster(request.cluster)
    check_path(cluster, request.cluster)
    if cluster is not None and cluster.born_in is not None:
        raise NotDurable(cluster.born_in)  # what it defines cannot be read yet
    check_options(request, "CreateOptions")
    operations, unknown = form.read_transaction(request.body)
    loop_time.check_size(len(request.body) + _COST_BYTES * (len(operations) - 1))
    warnings = _field_faults(request, unknown)
    steps = _steps(shard, cluster, request, operations)
    if request.repeat and cluster is not None and (found := _recorded(shard, cluster, request, steps)):
        return found
    for index, step in enumerate(steps):
        with _named(index, step):
            _check_rights(shard, cluster, step)
    if cluster is None and not request.dry_run:
        cluster = births.bear(shard, request.cluster, decode_identity(request.identity))[0]
    try:
        return _run(shard, cluster, request, steps, warnings)
    except _StepWaits as waits:
        return _after_calls(shard, cluster, request, steps, warnings, waits)


class _StepWaits(Exception):
    """Webhooks have to be asked before that step can be decided."""

    def __init__(self, index: int, wanted: CallsWanted) -> None:
        super().__init__(f"step {index} waits for webhooks")
        self.index, self.wanted = index, wanted


def _field_faults(request: Request, unknown: Sequence[str]) -> list[str]:
    """Warnings of unknown and duplicate members of the Transaction itself. Raises BadRequest under Strict."""
    if request.field_validation == "Ignore" or not (unknown or request.duplicate_fields):
        return []
    texts = duplicate_fields.texts(request.duplicate_fields, unknown)
    if request.field_validation == "Strict":
        raise BadRequest("strict decoding error: " + ", ".join(texts))
    return texts


# --- from operations to requests


def _steps(
    shard: Shard, cluster: LogicalCluster | None, request: Request, operations: Sequence[Operation]
) -> list[_Step]:
    """Raises Invalid for types that are not served, places that do not fit them, and an object that comes twice."""
    served = {
        (resource.api_version, resource.kind): resource
        for resource in shard.catalog.resources(cluster)
        if not resource.virtual
    }
    faults: list[FieldError] = []
    steps: list[_Step] = []
    seen: set[tuple[str, str, str]] = set()
    for index, operation in enumerate(operations):
        path = f"{form.place(index)}.object"
        resource = served.get((operation.api_version, operation.kind))
        if resource is None:
            text = f'no matches for kind "{operation.kind}" in version "{operation.api_version}"'
            faults.append(invalid(f"{path}.kind", operation.kind, text))
            continue
        if resource.namespaced and not operation.namespace:
            faults.append(required(f"{path}.metadata.namespace", "the type is namespaced"))
        namespace = operation.namespace if resource.namespaced else ""
        where = ((resource.storage_resource or resource).group_resource, namespace, operation.name)
        if operation.verb != form.CHECK and operation.name:
            if where in seen:
                faults.append(duplicate(f"{path}.metadata.name", operation.name))
            seen.add(where)
        steps.append(_Step(operation, resource, _request(request, operation, resource, namespace)))
    if faults:
        raise form.refusal(faults)
    return steps


def _request(whole: Request, operation: Operation, resource: Resource, namespace: str) -> Request:
    """The request that this operation would have been alone."""
    is_apply = operation.verb == form.APPLY
    return pb.Request(
        verb=_VERBS.get(operation.verb, pb.GET), cluster=whole.cluster, group=resource.group,
        version=resource.version, resource=resource.plural, namespace=namespace,
        name="" if operation.verb == form.CREATE else operation.name,
        body=_body(operation), identity=whole.identity, timeout_ms=whole.timeout_ms,
        patch_type=pb.APPLY if is_apply else pb.PATCH_TYPE_UNSPECIFIED, dry_run=whole.dry_run,
        field_manager="" if operation.verb in (form.DELETE, form.CHECK) else whole.field_manager,
        field_validation=whole.field_validation, force=operation.force, user_agent=whole.user_agent,
    )  # fmt: skip


def _body(operation: Operation) -> bytes:
    if operation.verb != form.DELETE:
        return orjson.dumps(operation.object)
    if not operation.propagation_policy:
        return b""
    return orjson.dumps({"propagationPolicy": operation.propagation_policy})


def _check_rights(shard: Shard, cluster: LogicalCluster | None, step: _Step) -> None:
    request = step.request
    wanted = access.wanted_of(request)
    if request.verb == pb.CREATE:
        # As kube-apiserver, which sees the URL and not the name in the body.
        wanted = wanted._replace(name="")
    shard.authorizer.check(cluster, request.cluster, request.identity, wanted)


# --- running them


async def _after_calls(
    shard: Shard,
    cluster: LogicalCluster | None,
    request: Request,
    steps: list[_Step],
    warnings: Sequence[str],
    waits: _StepWaits,
) -> Answer | AfterSync:
    """Ask, and run everything anew, until nothing more is to be asked."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (request.timeout_ms / 1000 or _DEFAULT_TIMEOUT_S)
    while True:
        index, wanted = waits.index, waits.wanted
        await wait(shard.callouts, wanted, max(0.01, until - loop.time()))
        steps[index] = steps[index]._replace(request=cast(Request, Replayed(steps[index].request, wanted.replay)))
        while True:
            try:
                cluster = _as_it_is_now(shard, cluster, request)
                with loop_time.unbounded():
                    return _run(shard, cluster, request, steps, warnings)
            except NotDurable as pending:
                await group_settled(pending.group)
            except NotConverted as reason:
                await reason.settle()
            except _StepWaits as more:
                waits = more
                break


def _as_it_is_now(shard: Shard, cluster: LogicalCluster | None, request: Request) -> LogicalCluster | None:
    """The same incarnation, whose instance is another once it has moved away and come back.

    Raises Conflict if that incarnation is gone, and what `ownership` raises if the path belongs to another shard.
    """
    shard.ownership.check(request.cluster)
    if cluster is None:  # a dry run where nothing had been born
        return None
    found = shard.store.pending_cluster(request.cluster)
    if found is None or found.id != cluster.id:
        text = f'logical cluster "{request.cluster}" was deleted while webhooks were asked'
        raise Conflict(text, name=request.cluster, kind="logicalclusters")
    return found


def _run(
    shard: Shard, cluster: LogicalCluster | None, request: Request, steps: Sequence[_Step], warnings: Sequence[str]
) -> Answer | AfterSync:
    """Everything in one loop turn: gather, then commit."""
    if cluster is None:  # a dry run where nothing has been born: each operation stands alone
        results = [_result(shard, step, None) for step in steps]
        return _answer(request, steps, results, "", warnings)
    staged = _staged(shard, cluster)
    store = cast(StagedStore, staged.store)
    results, group = [], None
    for index, step in enumerate(steps):
        try:
            with _named(index, step):
                result = _result(staged, step, store)
        except CallsWanted as wanted:
            raise _StepWaits(index, wanted) from None
        group = result.group or group
        results.append(result)
    writes = store.writes
    cluster_limits.check_all(shard, cluster, request, [write for write in writes if type(write) is Put])
    if request.dry_run:
        results = [_as_tried(shard.store, cluster, step, result) for step, result in zip(steps, results, strict=True)]
        return _answer(request, steps, results, "", warnings)
    if not writes:
        answer = _answer(request, steps, results, "", warnings)
        return answer if group is None else AfterSync(answer, group)
    pending = shard.store.commit(cluster, writes, request.request_id, 201, author(request))
    text = str(pending.revision)
    results = [result._replace(body=result.body.replace(FUTURE_TEXT, text.encode(), 1)) for result in results]
    return AfterSync(_answer(request, steps, results, text, warnings), pending.group)


class _Result(NamedTuple):
    outcome: str  # Created, Configured, Unchanged, Deleted, Deleting, Checked
    body: bytes  # JSON of the object; empty: nothing to show
    warnings: Sequence[str]
    group: Group | None  # what it shows is durable with


def _result(shard: Shard, step: _Step, store: StagedStore | None) -> _Result:
    operation, request = step.operation, step.request
    _check_preconditions(shard, step)
    if operation.verb == form.CHECK:
        return _Result("Checked", b"", (), None)
    before = store.commits if store is not None else 0
    outcome = _RUN[operation.verb](shard, request)
    assert isinstance(outcome, Answer | AfterSync), "a write of one object waits for nothing"
    answer, group = (outcome.answer, outcome.group) if isinstance(outcome, AfterSync) else (outcome, None)
    has_written = store is None or store.commits != before
    return _Result(
        _outcome(operation, answer, has_written),
        b"" if _is_status(answer.body) else answer.body,
        answer.warnings,
        None if has_written else group,
    )


def _outcome(operation: Operation, answer: Answer, has_written: bool) -> str:
    if operation.verb == form.DELETE:
        return "Deleted"
    if answer.code == 201:
        return "Created"
    return "Configured" if has_written else "Unchanged"


def _is_status(body: bytes) -> bool:
    return body.startswith(b'{"kind":"Status","apiVersion":"v1"')


def _check_preconditions(shard: Shard, step: _Step) -> None:
    """Raises Conflict or NotFound."""
    wanted, request, resource = step.operation.preconditions, step.request, step.resource
    cluster = shard.store.pending_cluster(request.cluster)
    stored = resource.storage_resource or resource
    value = None
    if cluster is not None and step.operation.name:
        value = shard.store.pending(cluster, stored.group_resource, request.namespace, step.operation.name)
    name = step.operation.name
    if wanted.exists is False and value is not None:
        raise object_conflict(resource.group, resource.plural, name, "the precondition says that it does not exist")
    must_exist = wanted.exists or wanted.uid is not None or wanted.resource_version is not None
    if value is None:
        if must_exist or (step.operation.verb == form.CHECK and wanted.exists is None):
            raise object_not_found(resource.group, resource.plural, name)
        return
    for member, given, found in (
        ("UID", wanted.uid, envelope.uid(value)),
        ("ResourceVersion", wanted.resource_version, str(envelope.revision(value))),
    ):
        if given is not None and given != found:
            detail = f"the {member} in the precondition ({given}) does not match the {member} in record ({found})"
            raise object_conflict(resource.group, resource.plural, name, detail)


def _as_tried(store: ObjectStore, cluster: LogicalCluster, step: _Step, result: _Result) -> _Result:
    """Of a dry run: with the resourceVersion that the object has now, if it has any."""
    if FUTURE_TEXT not in result.body:
        return result
    obj = orjson.loads(result.body)
    stored = step.resource.storage_resource or step.resource
    value = store.pending(cluster, stored.group_resource, step.request.namespace, obj["metadata"]["name"])
    if value is None:
        obj["metadata"].pop("resourceVersion", None)
    else:
        obj["metadata"]["resourceVersion"] = str(envelope.revision(value))
    return result._replace(body=orjson.dumps(obj))


# --- what the others have gathered


def _staged(shard: Shard, cluster: LogicalCluster) -> Shard:
    """The shard as it would be if everything gathered so far had been committed."""
    found = copy.copy(shard)
    found.store = cast(ObjectStore, StagedStore(shard.store, cluster))
    found.authorizer = cast(Authorizer, _StagedAuthorizer(shard.authorizer, found.store))
    found.staged = True
    return found


class _StagedAuthorizer:
    """The authoriser of the logical cluster as it is; but whoever binds a role may have made it just before."""

    def __init__(self, authorizer: Authorizer, store: ObjectStore) -> None:
        self._authorizer, self._store = authorizer, store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._authorizer, name)

    def role(self, cluster: LogicalCluster | None, kind: str, namespace: str, name: str) -> Sequence[Rule] | None:
        if cluster is not None:
            group_resource = ROLES if kind == "Role" else CLUSTER_ROLES
            value = self._store.pending_own(cluster, group_resource, namespace, name)
            if value is not None:
                return [read_rule(rule) for rule in orjson.loads(envelope.body(value)).get("rules") or ()]
        return self._authorizer.role(cluster, kind, namespace, name)


# --- the answer


def _answer(
    request: Request, steps: Sequence[_Step], results: Sequence[_Result], revision: str, warnings: Sequence[str]
) -> Answer:
    shown = [_shown(step, result) for step, result in zip(steps, results, strict=True)]
    status = {"resourceVersion": revision, "results": shown} if revision else {"results": shown}
    document = {"apiVersion": form.API_VERSION, "kind": form.KIND, "metadata": {}, "status": status}
    said = [*warnings, *(text for result in results for text in result.warnings)]
    return Answer(201, orjson.dumps(document), None, list(dict.fromkeys(said)))


def _shown(step: _Step, result: _Result) -> Mapping[str, Any]:
    found: Object = {"outcome": result.outcome}
    if result.body:
        found["object"] = orjson.Fragment(result.body)
    else:
        meta = {"name": step.operation.name}
        if step.request.namespace:
            meta["namespace"] = step.request.namespace
        found["object"] = {"apiVersion": step.operation.api_version, "kind": step.operation.kind, "metadata": meta}
    return found


def _recorded(shard: Shard, cluster: LogicalCluster, request: Request, steps: Sequence[_Step]) -> Answer | None:
    """The first answer of a repeated transaction, from the log; None if it never took effect."""
    found = shard.store.recorded(cluster, request.request_id, request.first_sent_us)
    if found is None:
        return None
    commits = shard.store.log(cluster, found.revision - 1, found.revision, 1, retention=-1)
    changes = {(c.group_resource, c.namespace, c.name): c for commit in commits for c in commit.changes}
    results = []
    for step in steps:
        stored = step.resource.storage_resource or step.resource
        name = step.operation.name
        if not name:  # the first of that kind and prefix: operations and changes are in the same order
            prefix = str(step.operation.object["metadata"]["generateName"])
            wanted = (stored.group_resource, step.request.namespace)
            name = next((place[2] for place in changes if place[:2] == wanted and place[2].startswith(prefix)), "")
        change = changes.pop((stored.group_resource, step.request.namespace, name), None)
        if change is None:
            verb = step.operation.verb
            results.append(_Result("Checked" if verb == form.CHECK else "Unchanged", b"", (), None))
            continue
        outcome = {"ADDED": "Created", "MODIFIED": "Configured", "DELETED": "Deleted"}[change.type.name]
        if step.operation.verb == form.DELETE:
            outcome = "Deleted"
        results.append(_Result(outcome, served_body(shard, step.resource, change.value), (), None))
    return _answer(request, steps, results, str(found.revision), ())


# --- which operation it was


@contextmanager
def _named(index: int, step: _Step) -> Iterator[None]:
    """Whatever is refused inside says which operation it was."""
    try:
        yield
    except ApiError as error:
        _tell(error, index, step)
        raise


def _tell(error: ApiError, index: int, step: _Step) -> None:
    where, operation, resource = form.place(index), step.operation, step.resource
    name = operation.name or str(operation.object["metadata"].get("generateName"))
    plural = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    error.message = f'{where} ({operation.verb} {plural} "{name}"): {error.message}'
    if isinstance(error, ForeignStatus):
        details = dict(error.document.get("details") or {})
        details["causes"] = [*(details.get("causes") or ()), {"message": error.message, "field": where}]
        error.document = {**error.document, "message": error.message, "details": details}
        return
    error.causes = list(_causes(error, where))
    if not error.name:
        error.name, error.group, error.kind = name, resource.group, error.kind or resource.plural


def _causes(error: ApiError, where: str) -> Iterator[Cause]:
    found = [cause._replace(field=f"{where}.object.{cause.field}" if cause.field else where) for cause in error.causes]
    yield from found or [Cause(error.reason, error.message, where)]
