"""A get of a kind that has been allowed before: one lookup in the place of rights, resource type and audit record.

What an identity may get in a namespace, whatever the name, is kept on `LogicalCluster.cached`; the authoriser drops it
in the turn of every write that may change rights. Only what the ordinary way would answer without a further look is
kept: built-in types in their stored version, rights that do not depend on a name, RBAC alone. Everything else, every
refusal and every unusual option goes the ordinary way.
"""

from typing import Any, NamedTuple

from kcpshard.api.errors import ApiError
from kcpshard.api.requests import Answer, Request
from kcpshard.authorization.authorizer import GETS
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable
from kcpshard.verbs.access import Record
from kcpshard.verbs.shard import Shard
from kcpshard.verbs.target import SYSTEM

_MAX_KNOWN = 256  # of one logical cluster; when full all are forgotten: to find one again is two ordinary gets
_Key = tuple[bytes, str, str, str, str]  # identity, API group, version, plural, namespace


class Known(NamedTuple):
    """`group_resource` "": to go the ordinary way, but nothing to find out again."""

    group_resource: str
    columns: bytes = b""
    audit: bytes = b""


_ORDINARY = Known("")
_made = tuple.__new__


def answer(shard: Shard, request: Request) -> Answer | None:
    """None: the ordinary way has to tell. Raises NotOwned, and NotDurable while a large policy is being read."""
    path = request.cluster
    shard.ownership.check(path)
    try:
        cluster = shard.store.find_cluster(path)
        if cluster is None:
            return None
        key = (request.identity, request.group, request.version, request.resource, request.namespace)
        gets: Any = cluster.cached.get(GETS)
        known = gets.get(key) if gets is not None else None
        if known is None:
            known = _find(shard, cluster, key)
        group_resource, columns, audit = known
        if not group_resource or request.impersonation or request.subresource or request.resource_version or request.at:
            return None
        value = shard.store.get(cluster, group_resource, key[4], request.name)
    except NotDurable:
        return None
    if value is None:
        return None
    shown = columns if request.want_columns else b""
    noted = audit if request.audit_id else b""
    # Every field of it in its order: Answer(…), a function with defaults, would be a tenth of the whole way.
    return _made(Answer, (200, envelope.body(value), None, (), shown, -1, "", "", 0, noted, b"", b""))


def _find(shard: Shard, cluster: LogicalCluster, key: _Key) -> Known:
    """Whatever is not allowed is not kept: it is told the ordinary way, each time anew."""
    raw, group, version, plural, namespace = key
    try:
        grants = shard.authorizer.grants(cluster, cluster.path, raw)
    except ApiError:
        return _ORDINARY
    decision = grants.decide_any_name("get", group, plural, "", namespace)
    if decision is not None and not decision.allowed:
        return _ORDINARY
    found = _ORDINARY
    resource = shard.catalog.find(cluster, group, version, plural)
    if (
        decision is not None
        and resource is not None
        and shard.authorizer.is_rbac_alone
        and not cluster.path.startswith(SYSTEM)
        and resource.namespaced is bool(namespace)
        and resource.storage_resource is None
        and resource.definition is None
        and not resource.virtual
        and not resource.deprecation
        and plural != "namespaces"  # which lie, for an authoriser, in themselves
    ):
        record = Record(raw)
        record.decision = decision
        found = Known(resource.group_resource, resource.columns, record.encode())
    gets: Any = cluster.cached.setdefault(GETS, {})
    if len(gets) >= _MAX_KNOWN:
        gets.clear()
    gets[key] = found
    return found
