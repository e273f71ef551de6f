"""Acting as somebody else: each part of who it shall be needs a right, decided here and now, as in kube-apiserver 1.36.

The constrained modes come first: the right to do this very thing as somebody of that sort (`impersonate-on:MODE:VERB`)
and the right to be them (`impersonate:MODE`). Else the right to `impersonate` them altogether. Who may neither is told
what the first mode lacked. Whoever passes is, for everything that follows, the other one; audit records name both. What
an impersonated identity is worth ends with the logical cluster that let it be impersonated.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import orjson

from kcpshard.api.errors import BadRequest, Forbidden, invalid
from kcpshard.api.names import dns_subdomain_faults
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization.attributes import Attributes, quoted, refused
from kcpshard.authorization.node_identity import GROUP as NODES
from kcpshard.authorization.node_identity import PREFIX as _NODE
from kcpshard.authorization.policy import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from kcpshard.storage.contract import LogicalCluster
from kcpshard.verbs.access import Record
from kcpshard.verbs.shard import Shard

ANONYMOUS = "system:anonymous"
ASSOCIATED_NODE, ARBITRARY_NODE = "associated-node", "arbitrary-node"
_NODE_MODES = (ASSOCIATED_NODE, ARBITRARY_NODE)
_SERVICE_ACCOUNT = "system:serviceaccount:"
_NODE_NAME = "authentication.kubernetes.io/node-name"
_AUTHENTICATION = "authentication.k8s.io"
_MANY = 4  # groups or extra values: from here on the right to all of them is asked for first


class Impersonating(Protocol):
    """The messages Request and StartWatch."""

    cluster: str
    identity: bytes
    impersonation: bytes

    def CopyFrom(self, other: Any) -> None: ...


M = TypeVar("M", bound=Impersonating)
Ask = Callable[[Attributes], object]  # raises Forbidden


def effective(shard: Shard, message: M, attempted: Attributes, record: Record | None = None) -> M:
    """The same message as from the impersonated identity, and in `record` why that is. Raises Forbidden, Unauthorized,
    BadRequest."""
    path = message.cluster
    shard.ownership.check(path)
    cluster = shard.store.pending_cluster(path)
    wanted = _read(orjson.loads(message.impersonation))
    raw = message.identity

    def ask(attributes: Attributes) -> None:
        shard.authorizer.check(cluster, path, raw, attributes)

    mode = confirm(ask, decode_identity(raw), wanted, attempted)
    if mode in _NODE_MODES:
        wanted = wanted._replace(groups=(NODES,))  # whoever is let in as a node is held to what nodes may
    copy = type(message)()
    copy.CopyFrom(message)
    copy.identity, copy.impersonation = impersonated(wanted, cluster).encode(), b""
    if record is not None:
        record.impersonated, record.constraint = copy.identity, f"impersonate:{mode}" if mode else ""
    return copy


def _read(given: Mapping[str, Any]) -> Identity:
    """As the headers have it: nothing is added yet."""
    username = given.get("username")
    if not username:
        raise BadRequest("requested impersonation without impersonating a user name")
    extra = {key: tuple(values) for key, values in (given.get("extra") or {}).items()}
    return Identity(username, given.get("uid") or "", tuple(given.get("groups") or ()), extra)


def confirm(ask: Ask, requestor: Identity, wanted: Identity, attempted: Attributes) -> str:
    """The mode that allows it, "" for the unconstrained one. Raises Forbidden."""
    first: Forbidden | None = None
    for mode in modes(requestor, wanted):
        try:
            if mode:
                ask(attempted._replace(verb=f"impersonate-on:{mode}:{attempted.verb}"))
            _ask_all(ask, requestor, wanted, mode)
        except Forbidden as refusal:
            first = first or refusal
        else:
            return mode
    assert first is not None, "the last mode always applies"
    raise first


def modes(requestor: Identity, wanted: Identity) -> Iterator[str]:
    """Those that apply; "" is the unconstrained one."""
    username = wanted.username
    is_node, is_account = _is_node(username), _service_account(username) is not None
    is_plain = not (wanted.uid or wanted.groups or wanted.extra)
    if is_node and is_plain:
        own = tuple(requestor.extra.get(_NODE_NAME) or ())
        if _service_account(requestor.username) is not None and own == (username.removeprefix(_NODE),):
            yield ASSOCIATED_NODE
        yield ARBITRARY_NODE
    if is_account and is_plain:
        yield "serviceaccount"
    if not is_node and not is_account:
        yield "user-info"
    yield ""


def _ask_all(ask: Ask, requestor: Identity, wanted: Identity, mode: str) -> None:
    ask(_username(wanted.username, mode))
    verb = _verb(mode)
    if wanted.uid:
        ask(Attributes(verb, _AUTHENTICATION, "v1", "uids", name=wanted.uid))
    if wanted.groups:
        _ask_groups(ask, requestor, wanted.groups, mode)
    if wanted.extra:
        _ask_extra(ask, requestor, wanted.extra, mode)


def _username(username: str, mode: str) -> Attributes:
    verb, group = _verb(mode), _AUTHENTICATION if mode else ""
    account = _service_account(username)
    if account is not None:
        return Attributes(verb, group, "v1", "serviceaccounts", "", *account)
    if mode and _is_node(username):
        name = "*" if mode == ASSOCIATED_NODE else username.removeprefix(_NODE)
        return Attributes(verb, group, "v1", "nodes", name=name)
    return Attributes(verb, group, "v1", "users", name=username)


def _ask_groups(ask: Ask, requestor: Identity, groups: Sequence[str], mode: str) -> None:
    one = Attributes(_verb(mode), _AUTHENTICATION if mode else "", "v1", "groups")
    if mode and "" in groups:
        raise refused(requestor.username, one, "impersonating the empty string group is not allowed")
    if mode and MASTERS in groups:
        text = f"impersonating the {MASTERS} group is not allowed"
        raise refused(requestor.username, one._replace(name=MASTERS), text)
    if mode and len(groups) >= _MANY and _may(ask, one._replace(name="*")):
        return
    for name in groups:
        ask(one._replace(name=name))


def _ask_extra(ask: Ask, requestor: Identity, extra: Mapping[str, Sequence[str]], mode: str) -> None:
    one = Attributes(_verb(mode), _AUTHENTICATION, "v1", "userextras")
    if mode and (fault := _extra_fault(extra)):
        raise refused(requestor.username, one, fault)
    is_large = len(extra) >= _MANY or sum(map(len, extra.values())) >= _MANY
    if mode and is_large and _may(ask, one._replace(subresource="*", name="*")):
        return
    for key, values in extra.items():
        for value in values:
            ask(one._replace(subresource=key, name=value))


def _extra_fault(extra: Mapping[str, Sequence[str]]) -> str:
    for key, values in extra.items():
        if not key:
            return "impersonating the empty string key in extra is not allowed"
        domain, _, path = key.partition("/")
        if not domain or not path:
            fault = invalid("extra.key", key, 'must be a domain-prefixed path (such as "acme.io/foo")')
            return f"impersonating an invalid key in extra is not allowed: {fault}"
        if key != key.lower():
            return f"impersonating a non-lowercase key in extra is not allowed: {quoted(key)}"
        if not values:
            return "impersonating empty values in extra is not allowed"
        if "" in values:
            return "impersonating the empty string value in extra is not allowed"
    return ""


def _may(ask: Ask, attributes: Attributes) -> bool:
    try:
        ask(attributes)
    except Forbidden:
        return False
    return True


def _verb(mode: str) -> str:
    return f"impersonate:{mode}" if mode else "impersonate"


def claimed(raw: bytes, cluster: LogicalCluster) -> Identity:
    """Who a request would act as, whether it may or not."""
    return impersonated(_read(orjson.loads(raw)), cluster)


def impersonated_everywhere(raw: bytes) -> Identity:
    """Whom an administrator of the installation acts as in all logical clusters."""
    return impersonated(_read(orjson.loads(raw)), None)


def impersonated(wanted: Identity, cluster: LogicalCluster | None) -> Identity:
    """With the groups that go without saying."""
    username, groups = wanted.username, list(wanted.groups)
    account = _service_account(username)
    if account is not None and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    if username == ANONYMOUS:
        if UNAUTHENTICATED not in groups:
            groups.append(UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups.append(AUTHENTICATED)
    return wanted._replace(groups=tuple(groups), scope=cluster.id if cluster is not None else 0)


def _is_node(username: str) -> bool:
    return username.startswith(_NODE) and not dns_subdomain_faults(username.removeprefix(_NODE))


def _service_account(username: str) -> tuple[str, str] | None:
    """Namespace and name, if the user is a service account."""
    if not username.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, colon, name = username.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None
