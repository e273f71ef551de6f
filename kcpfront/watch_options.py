"""Query of a watch → StartWatch and how the HTTP side behaves; refusals in kube-apiserver's words. Pure."""

import random
from typing import NamedTuple

from kcpfront.exchange import Exchange
from kcpfront.options import flag, integer, refuse, refuse_past
from kcpfront.request_info import RequestInfo
from kcpshard.api.errors import BadRequest, FieldError, Invalid, forbidden, not_supported
from kcpshard.api.resource_versions import parse_resource_version
from kcpshard.rpc import shard_pb2 as pb

# kube-apiserver's --min-request-timeout: watches end between this and twice this, so that they do not all come back
# at once and move to other servers over time.
MIN_TIMEOUT_S = 1_800

_MATCH = "resourceVersionMatch"
_UNLESS = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
_REQUIRES = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
_CONTINUE = "resourceVersionMatch is forbidden when continue is provided"


class WatchOptions(NamedTuple):
    timeout_s: float
    bookmarks: bool
    initial_bookmark: bool  # after the initial events a bookmark says that they are complete


def watch_options(info: RequestInfo) -> WatchOptions:
    """Raises BadRequest or Invalid."""
    refuse_past(info, "watches")
    timeout = integer(info, "timeoutSeconds")
    integer(info, "limit")
    bookmarks = flag(info, "allowWatchBookmarks")
    _check_initial_events(info)
    wanted = float(timeout) if timeout and timeout > 0 else MIN_TIMEOUT_S * (1 + random.random())  # noqa: S311
    return WatchOptions(wanted, bookmarks, bookmarks and flag(info, "sendInitialEvents"))


def _check_initial_events(info: RequestInfo) -> None:
    match, asked = info.get(_MATCH), "sendInitialEvents" in info.query
    faults: list[FieldError] = []
    from_start = info.get("resourceVersion") in ("", "0")
    if info.get("continue") and (match or asked or from_start):
        faults.append(forbidden(_MATCH, _CONTINUE))
    if asked and match != "NotOlderThan":
        faults.append(forbidden(_MATCH, _REQUIRES))
    if match and not asked:
        faults.append(forbidden(_MATCH, _UNLESS))
    if match not in ("", "NotOlderThan"):
        faults.append(not_supported(_MATCH, match, ["NotOlderThan"]))
    refuse("ListOptions", faults)


def start_watch(exchange: Exchange, want_columns: bool) -> pb.StartWatch:
    """Where the watch begins: at a revision, or with the state of now (no resourceVersion, "0", sendInitialEvents)."""
    info = exchange.info
    revision = _revision(info.get("resourceVersion"))
    asked = flag(info, "sendInitialEvents")
    initial = asked or (revision == 0 and "sendInitialEvents" not in info.query)
    return pb.StartWatch(
        cluster=info.cluster,
        group=info.group,
        version=info.version,
        resource=info.resource,
        namespace="" if info.resource == "namespaces" else info.namespace,
        name=info.name,
        label_selector=info.get("labelSelector"),
        workspace_selector=info.workspaces,
        field_selector=info.get("fieldSelector"),
        revision=0 if initial else revision,
        initial=initial,
        minimum_revision=revision if initial else 0,
        identity=exchange.identity,
        impersonation=exchange.impersonation,
        proof=exchange.proof,
        view=info.view,
        want_columns=want_columns,
        audit_id=exchange.audit_id if exchange.audit is not None else "",
    )


def _revision(text: str) -> int:
    try:
        return parse_resource_version(text)
    except Invalid as error:
        raise BadRequest(error.message) from None  # kube-apiserver answers 500 to this on watches, 400 on lists
