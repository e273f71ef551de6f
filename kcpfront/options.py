"""Query parameters of resource requests → fields of the shard's messages; refusals in kube-apiserver's words. Pure."""

from typing import Any

import orjson

from kcpfront.exchange import Exchange
from kcpfront.request_info import RequestInfo, boolean
from kcpshard.api import points_in_time
from kcpshard.api.errors import BadRequest, FieldError, Invalid, forbidden, invalid, not_supported, required, too_long
from kcpshard.rpc import shard_pb2 as pb

APPLY = pb.APPLY
_MAX_FIELD_MANAGER = 128
_MAX_INT64 = (1 << 63) - 1


def integer(info: RequestInfo, key: str) -> int | None:
    """An int64 parameter; None if it is missing or empty. Raises BadRequest."""
    text = info.get(key)
    if not text:
        return None
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text)
    if not -_MAX_INT64 - 1 <= value <= _MAX_INT64:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def flag(info: RequestInfo, key: str) -> bool:
    return key in info.query and boolean(info.get(key), True)


def refuse(kind: str, faults: list[FieldError]) -> None:
    """Raises the Invalid of a meta.k8s.io options kind if there are faults."""
    if not faults:
        return
    listed = str(faults[0]) if len(faults) == 1 else "[" + ", ".join(map(str, faults)) + "]"
    raise Invalid(
        f'{kind}.meta.k8s.io "" is invalid: {listed}',
        group="meta.k8s.io",
        kind=kind,
        causes=[fault.cause() for fault in faults],
    )


# A name there comes from the field selector, which the shard reads itself: to it a collection has none.
_COLLECTIONS = (pb.LIST, pb.DELETE_COLLECTION)


def new_request(exchange: Exchange, verb: pb.Verb.ValueType) -> pb.Request:
    """What every request has."""
    info = exchange.info
    request = pb.Request(
        verb=verb,
        cluster=info.cluster,
        group=info.group,
        version=info.version,
        resource=info.resource,
        namespace="" if info.resource == "namespaces" else info.namespace,
        name="" if verb in _COLLECTIONS else info.name,
        subresource=info.subresource,
        identity=exchange.identity,
        user_agent=exchange.user_agent,
    )
    if exchange.proof:
        request.proof = exchange.proof
    if info.view:
        request.view = info.view
    if exchange.impersonation:
        request.impersonation = exchange.impersonation
    if exchange.audit is not None:  # whoever asks with an id is told what a record says
        request.audit_id = exchange.audit_id
    return request


def set_write_options(request: pb.Request, info: RequestInfo, kind: str) -> None:
    """Of create, update and patch: dryRun, fieldManager, fieldValidation, force. `kind` names the options type."""
    query = info.query
    if not query:
        return
    refuse_past(info, "writes")
    faults: list[FieldError] = []
    request.field_manager = manager = info.get("fieldManager")
    request.field_validation = validation = info.get("fieldValidation")
    request.dry_run = _dry_run(info, faults)
    if "force" in query and kind == "PatchOptions":
        request.force = flag(info, "force")
        if request.patch_type != APPLY:
            faults.append(forbidden("force", "may not be specified for non-apply patch"))
    if len(manager.encode()) > _MAX_FIELD_MANAGER:
        faults.append(too_long("fieldManager", _MAX_FIELD_MANAGER))
    if not manager.isprintable():
        faults.append(invalid("fieldManager", manager, "should only contain printable characters"))
    if validation not in ("", "Ignore", "Warn", "Strict"):
        faults.append(not_supported("fieldValidation", validation, ["", "Ignore", "Warn", "Strict"]))
    refuse(kind, faults)


def set_history_options(request: pb.Request, info: RequestInfo) -> None:
    """Of a get with `history`: which part of it."""
    request.verb = pb.HISTORY
    limit = integer(info, "limit")
    if limit is not None and limit > 0:
        request.limit = limit
    request.continue_token = info.get("continue")


def refuse_past(info: RequestInfo, what: str) -> None:
    """The past can only be read: a client that means something else by `at` must be told."""
    if "at" in info.query:
        raise points_in_time.refuse(what)


def check_apply(request: pb.Request) -> None:
    """An apply patch says who applies."""
    if request.patch_type == APPLY and not request.field_manager:
        refuse("PatchOptions", [required("fieldManager", "is required for apply patch")])


def _dry_run(info: RequestInfo, faults: list[FieldError]) -> bool:
    values = info.query.get("dryRun")
    if not values:
        return False
    if any(value != "All" for value in values):
        faults.append(not_supported("dryRun", values, ["All"]))
    return True


def set_list_options(request: pb.Request, info: RequestInfo) -> None:
    """Of list and deletecollection. The matrix of resourceVersion and match is the shard's business."""
    query = info.query
    if info.workspaces:
        request.workspace_selector = info.workspaces
    if not query:
        return
    limit = integer(info, "limit")
    if limit is not None and limit > 0:
        request.limit = limit
    integer(info, "timeoutSeconds")  # has no effect on a list here, but a broken one is refused
    if "sendInitialEvents" in query:
        refuse("ListOptions", [forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")])
    request.label_selector = info.get("labelSelector")
    request.field_selector = info.get("fieldSelector")
    request.resource_version = info.get("resourceVersion")
    request.resource_version_match = info.get("resourceVersionMatch")
    request.continue_token = info.get("continue")
    if request.verb == pb.LIST:
        request.at = info.get("at")


def set_delete_options(request: pb.Request, exchange: Exchange) -> None:
    """The body is the DeleteOptions; without one they are made of the query."""
    info = exchange.info
    refuse_past(info, "writes")
    if exchange.body:
        request.body = exchange.body
        return
    if not info.query:
        return
    faults: list[FieldError] = []
    request.dry_run = _dry_run(info, faults)
    refuse("DeleteOptions", faults)
    options: dict[str, Any] = {}
    if (grace := integer(info, "gracePeriodSeconds")) is not None:
        options["gracePeriodSeconds"] = grace
    if "orphanDependents" in info.query:
        options["orphanDependents"] = flag(info, "orphanDependents")
    if policy := info.get("propagationPolicy"):
        options["propagationPolicy"] = policy
    if request.dry_run:
        options["dryRun"] = ["All"]
    if options:
        request.body = orjson.dumps({"kind": "DeleteOptions", "apiVersion": "v1", **options})
