"""Whether whoever asks may: decided once, before a verb looks at the request, and in every verb's stead.

Decides what an authoriser is asked (verb, resource and name as kube-apiserver's RequestInfo has them) and as whom: the
identity that the front has proved, or the one that it may impersonate. Leaves rights to `kcpshard.authorization`.
"""

import orjson

from kcpshard.api.requests import Request
from kcpshard.authorization.attributes import Attributes, of_object
from kcpshard.authorization.policy import ALLOWED, Decision
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs import forward
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.transaction_form import GROUP as CHANGES
from kcpshard.verbs.transaction_form import RESOURCE as TRANSACTIONS

CREATE, DOCUMENT, AUTHORIZE, FORWARD = 3, 8, 9, 11
EACH = Decision(True, "each operation of a transaction is decided by itself")
# By the enum Verb of proto/shard.proto.
VERBS = ("", "get", "list", "create", "update", "patch", "delete", "deletecollection", "get", "get", "get")
_SELECTING = frozenset((2, 7))
_NAME_FIELD = "metadata.name"


class Record:
    """What an audit record says of a request's way here. `decision` stays None where none was made."""

    __slots__ = ("annotations", "constraint", "decision", "impersonated", "user")

    def __init__(self, user: bytes) -> None:
        self.user = user
        self.impersonated = b""
        self.constraint = ""  # which mode of impersonation it was, unless none
        self.decision: Decision | None = None
        self.annotations: dict[str, str] = {}  # of admission

    def encode(self) -> bytes:
        """JSON for Response.audit; the same bytes for the same record."""
        if self.annotations:
            return self._encode()
        key = (self.user, self.impersonated, self.constraint, self.decision)
        found = _records.get(key)
        if found is None:
            if len(_records) >= _MAX_RECORDS:
                _records.clear()
            found = _records[key] = self._encode()
        return found

    def _encode(self) -> bytes:
        document: dict[str, object] = {"user": orjson.Fragment(self.user or b"null")}
        if self.impersonated:
            document["impersonatedUser"] = orjson.Fragment(self.impersonated)
        if self.constraint:
            document["impersonationConstraint"] = self.constraint
        if self.decision is not None:
            document["decision"] = "allow" if self.decision.allowed else "forbid"
            document["reason"] = self.decision.reason
        if self.annotations:
            document["annotations"] = self.annotations
        return orjson.dumps(document)


_records: dict[tuple[bytes, bytes, str, Decision | None], bytes] = {}
_MAX_RECORDS = 4096  # when full all are forgotten: one is made in 2 µs


def check(shard: Shard, request: Request) -> Decision:
    """Return if the request may go on. Raises Forbidden, Unauthorized, NotOwned, NotDurable."""
    path = request.cluster
    shard.ownership.check(path)
    cluster = shard.store.pending_cluster(path)
    raw = request.identity
    grants = shard.authorizer.grants(cluster, path, raw)
    if grants.is_master:
        return ALLOWED
    number = request.verb
    if request.group == CHANGES and number == CREATE and request.resource == TRANSACTIONS:
        return EACH  # whoever may do what it consists of
    is_usual = number < DOCUMENT and not request.field_selector and shard.authorizer.is_rbac_alone
    if not is_usual or request.resource == "namespaces":
        return shard.authorizer.check(cluster, path, raw, wanted_of(request))
    verb = VERBS[number]
    found = grants.decide_object(
        verb, request.group, request.resource, request.subresource, request.namespace, request.name
    )
    return found if found.allowed else shard.authorizer.check(cluster, path, raw, wanted_of(request))


def check_also(shard: Shard, request: Request, cluster: LogicalCluster | None, verb: str) -> None:
    """Another verb on what the request names: an update that creates needs both. Raises Forbidden."""
    wanted = of_object(
        verb, request.group, request.version, request.resource, request.subresource, request.namespace, request.name
    )
    shard.authorizer.check(cluster, request.cluster, request.identity, wanted)


def wanted_of(request: Request) -> Attributes:
    number = request.verb
    if number == DOCUMENT:
        return Attributes("get", path=request.name.partition("?")[0])
    if number == AUTHORIZE:
        return Attributes(_verb_of(request.body), path=request.name.partition("?")[0])
    if number == FORWARD:
        return forward.wanted_of(request)
    verb = VERBS[number] if number < len(VERBS) else ""
    wanted = of_object(
        verb, request.group, request.version, request.resource, request.subresource, request.namespace, request.name
    )
    if number not in _SELECTING or not (request.field_selector or request.label_selector):
        return wanted
    if not request.name:
        wanted = wanted._replace(name=selected_name(request.field_selector))
    return wanted.narrowed(request.field_selector, request.label_selector)


def selected_name(field_selector: str) -> str:
    """The one name that a field selector leaves; "" if it says nothing of the kind."""
    if _NAME_FIELD not in field_selector:
        return ""
    for term in field_selector.split(","):
        field, is_equal, name = term.partition("=")
        name = name.removeprefix("=")
        if is_equal and field == _NAME_FIELD and name not in (".", "..") and not set(name) & set("/%\\"):
            return name
    return ""


def check_watch(shard: Shard, start: pb.StartWatch, cluster: LogicalCluster | None) -> Decision:
    """Return if the watch may begin. Raises Forbidden, Unauthorized, NotDurable."""
    return shard.authorizer.check(cluster, start.cluster, start.identity, watch_wanted(start))


def watch_wanted(start: pb.StartWatch) -> Attributes:
    wanted = watched(start.group, start.version, start.resource, start.namespace, start.name, start.field_selector)
    if not start.field_selector and not start.label_selector:
        return wanted
    return wanted.narrowed(start.field_selector, start.label_selector)


def watched(group: str, version: str, resource: str, namespace: str, name: str, field_selector: str = "") -> Attributes:
    return Attributes("watch", group, version, resource, "", namespace, name or selected_name(field_selector))


def _verb_of(body: bytes) -> str:
    found = orjson.loads(body) if body else {}
    verb = found.get("verb") if isinstance(found, dict) else None
    return verb if isinstance(verb, str) and verb else "get"
