"""From a request to its verb: who asks, whether they may, then what it means. The numbers are those of the enum Verb in
proto/shard.proto. A verb is never called for somebody who may not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

from kcpshard.admission.audit_annotations import gathering
from kcpshard.admission.webhook_calls import CallsWanted
from kcpshard.api.errors import ApiError, Forbidden
from kcpshard.api.loop_time import TooLong
from kcpshard.api.names import KUBERNETES_GROUPS
from kcpshard.api.requests import Answer, Request
from kcpshard.authorization.policy import ALLOWED, Decision
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.tenancy.names import CORE
from kcpshard.verbs import access, export_view, impersonation, usual_gets, webhook_waiting
from kcpshard.verbs.authorize import authorize
from kcpshard.verbs.binding import bind
from kcpshard.verbs.cluster_limits import check_body
from kcpshard.verbs.connections import CONNECTIONS, connect
from kcpshard.verbs.create import create
from kcpshard.verbs.cut import cut_here
from kcpshard.verbs.delete import delete
from kcpshard.verbs.delete_collection import delete_collection
from kcpshard.verbs.document import document
from kcpshard.verbs.eviction import evict
from kcpshard.verbs.fork import RESOURCE as FORKS
from kcpshard.verbs.fork import fork
from kcpshard.verbs.forward import check_local, forward
from kcpshard.verbs.get import get
from kcpshard.verbs.history import history
from kcpshard.verbs.list import list_objects
from kcpshard.verbs.list_everywhere import list_everywhere
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.patch import patch
from kcpshard.verbs.permission_policy import check_policy
from kcpshard.verbs.proofs import check_proof
from kcpshard.verbs.scale_writes import patch_scale, update_scale
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import method_not_allowed
from kcpshard.verbs.token_request import create_token
from kcpshard.verbs.transaction import transaction
from kcpshard.verbs.transaction_form import GROUP as CHANGES
from kcpshard.verbs.transaction_form import RESOURCE
from kcpshard.verbs.update import update
from kcpshard.verbs.view_document import view_document
from kcpshard.verbs.workspace_births import create_logical_cluster
from kcpshard.verbs.workspace_ends import LOGICAL_CLUSTER, release_workspace


def unknown(shard: Shard, request: Request) -> Outcome:
    raise method_not_allowed()


_VERBS: tuple[Callable[[Shard, Request], Outcome], ...] = (
    unknown,
    get,
    list_objects,
    create,
    update,
    patch,
    delete,
    delete_collection,
    document,
    authorize,
    history,
    forward,
)
# Verbs whose request names a resource, and is not forwarded.
_WITH_BODIES = frozenset((pb.CREATE, pb.UPDATE, pb.PATCH))
_OF_RESOURCES = frozenset(range(pb.GET, pb.DOCUMENT)) | {pb.HISTORY}


# Subresources whose writes are no writes of the object in its own form.
_SUBRESOURCES: Mapping[tuple[int, str], Callable[[Shard, Request], Outcome]] = {
    (pb.UPDATE, "scale"): update_scale,
    (pb.PATCH, "scale"): patch_scale,
    (pb.CREATE, "binding"): bind,
    (pb.CREATE, "eviction"): evict,
    (pb.CREATE, "token"): create_token,
    (pb.DELETE, LOGICAL_CLUSTER): release_workspace,
    **{(verb, name): connect for verb in (pb.GET, pb.CREATE, pb.UPDATE, pb.PATCH, pb.DELETE) for name in CONNECTIONS},
}


# What is created without being an object.
_CREATED: Mapping[tuple[str, str], Callable[[Shard, Request], Outcome]] = {
    ("", "bindings"): bind,
    (CHANGES, RESOURCE): transaction,
    (CHANGES, FORKS): fork,
    (CORE, "logicalclusters"): create_logical_cluster,
}

_GET = int(pb.GET)
# Verbs about more than one logical cluster: who may what is decided for each of them.
_OF_MANY: Mapping[int, Callable[[Shard, Request], Outcome]] = {pb.CUT: cut_here, pb.LIST_MANY: list_everywhere}
_FIRST_OF_MANY = min(_OF_MANY)


def dispatch(shard: Shard, request: pb.Request) -> Outcome:
    """Begin the request. Raises ApiError, NotOwned, NotDurable, ReadOnly; see `verbs.outcome` for what it returns."""
    verb = request.verb
    if verb >= _FIRST_OF_MANY:
        return _of_many(shard, request)
    if request.view:
        return _through_view(shard, request)
    if request.proof:
        check_proof(shard, request)
    if verb == _GET and (answer := usual_gets.answer(shard, request)) is not None:
        return answer
    if request.audit_id:
        return _audited(shard, request)
    if request.impersonation:
        request = impersonation.effective(shard, request, access.wanted_of(request))
    access.check(shard, request)
    return _begin(shard, request)


def _through_view(shard: Shard, request: pb.Request) -> Outcome:
    """By the exporter of a type; see export_view."""
    if request.impersonation:
        raise Forbidden("impersonation is not possible through the view of an APIExport")
    if request.verb == pb.DOCUMENT:
        return view_document(shard, request)
    admitted = export_view.admitted(shard, request, access.wanted_of(request))
    if not request.audit_id:
        return _begin(shard, admitted, is_exporter=True)
    record = access.Record(request.identity)
    record.decision = ALLOWED
    with gathering(record.annotations):
        return _with_audit(_begin(shard, admitted, is_exporter=True), record)


def _of_many(shard: Shard, request: pb.Request) -> Outcome:
    outcome = _OF_MANY.get(request.verb, unknown)(shard, request)
    if not request.audit_id or not isinstance(outcome, AsyncIterator):
        return outcome
    record = access.Record(request.identity)
    record.decision = ALLOWED  # what may not be seen is left out
    return _streamed(outcome, record)


def _begin(shard: Shard, request: pb.Request, is_exporter: bool = False) -> Outcome:
    if request.verb in _WITH_BODIES:
        check_body(shard.store, shard.store.pending_cluster(request.cluster), request.body)
    if (group := request.group) and group not in KUBERNETES_GROUPS and request.verb in _OF_RESOURCES:
        check_local(shard, request)
        if not is_exporter:
            cluster = shard.store.pending_cluster(request.cluster)
            check_policy(shard, cluster, request.identity, access.wanted_of(request))
    try:
        return run_verb(shard, request)
    except CallsWanted as wanted:
        return webhook_waiting.after_calls(shard, request, wanted, run_verb)
    except TooLong:
        return _run_large(shard, request)


async def _run_large(shard: Shard, request: pb.Request) -> Answer | AfterSync:
    try:
        if shard.elsewhere is not None:
            return await shard.elsewhere(shard, request)
        return await webhook_waiting.settled(shard, request, run_verb)
    except CallsWanted as wanted:
        return await webhook_waiting.after_calls(shard, request, wanted, run_verb)


def run_verb(shard: Shard, request: Request) -> Outcome:
    """The verb alone, here and now. Raises TooLong where the loop's time is bounded, CallsWanted for webhooks."""
    verb = request.verb
    if request.subresource and (own := _SUBRESOURCES.get((verb, request.subresource))) is not None:
        return own(shard, request)
    if verb == pb.CREATE and (own := _CREATED.get((request.group, request.resource))) is not None:
        return own(shard, request)
    return _VERBS[verb if verb < len(_VERBS) else 0](shard, request)


def _audited(shard: Shard, request: pb.Request) -> Outcome:
    """The same, and every answer tells who asked, as whom, and why they might."""
    record = access.Record(request.identity)
    try:
        if request.impersonation:
            request = impersonation.effective(shard, request, access.wanted_of(request), record)
        record.decision = _decided(shard, request, record)
        with gathering(record.annotations):
            outcome = _begin(shard, request)
    except ApiError as error:
        raise _with_record(error, record) from error.__cause__
    return _with_audit(outcome, record)


def _with_audit(outcome: Outcome, record: access.Record) -> Outcome:
    if isinstance(outcome, Answer):
        return outcome._replace(audit=record.encode())
    if isinstance(outcome, AfterSync):
        return outcome._replace(answer=outcome.answer._replace(audit=record.encode()))
    if asyncio.iscoroutine(outcome):
        return _waited(outcome, record)
    assert isinstance(outcome, AsyncIterator)
    return _streamed(outcome, record)


def _decided(shard: Shard, request: pb.Request, record: access.Record) -> Decision:
    try:
        return access.check(shard, request)
    except Forbidden as error:
        record.decision = Decision(False, error.decision or "")
        raise


def _with_record(error: ApiError, record: access.Record) -> ApiError:
    error.audit = record.encode()
    return error


async def _waited(outcome: Coroutine[Any, Any, Answer | AfterSync], record: access.Record) -> Answer | AfterSync:
    try:
        with gathering(record.annotations):
            found = await outcome
    except ApiError as error:
        raise _with_record(error, record) from error.__cause__
    if isinstance(found, Answer):
        return found._replace(audit=record.encode())
    return found._replace(answer=found.answer._replace(audit=record.encode()))


async def _streamed(pieces: AsyncIterator[Answer], record: access.Record) -> AsyncIterator[Answer]:
    """Of a list in pieces the first one tells."""
    audit = record.encode()
    try:
        async for piece in pieces:
            yield piece._replace(audit=audit)
            audit = b""
    except ApiError as error:
        raise _with_record(error, record) from error.__cause__
