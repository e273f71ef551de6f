"""The views of controllers that workspaces wait for: what waits for an initializer or terminator, and nothing else.

    /services/initializingworkspaces/<type's path>:<type's name>/clusters/*/apis/core.kcp.io/v1alpha1/logicalclusters
    /services/terminatingworkspaces/…                           /clusters/<path>/…

Over all logical clusters: the LogicalClusters that wait, by the labels which they bear as long as they do; read only.
In one that waits: its LogicalCluster, in which the controller may take itself off the list, and everything else, as the
workspace's owner or, where the type lists permissions, as far as these go. Whoever comes needs the verb `initialize`
(`terminate`) on the type. Decided here; the shards are asked as the system, and only for what has been decided.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from kcpfront.exchange import Exchange, Reply
from kcpfront.request_info import EXPORT_VIEWS, RequestInfo
from kcpfront.responses import json_reply
from kcpshard.api.errors import BadRequest, Forbidden, MethodNotAllowed, PageNotFound, UnsupportedMediaType
from kcpshard.api.names import WILDCARD
from kcpshard.api.patches import apply_json_patch, merge_patch, parse_json_patch
from kcpshard.api.requests import Identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.rules import read_rule
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Caller, Result

_PREFIX = "/services/"
_GROUP, _RESOURCE = "core.kcp.io", "logicalclusters"
_READS = ("get", "list", "watch")
_MAX_BODY = 3 << 20
_DESCRIBED = ("/api", "/openapi/", "/version")
SYSTEM = Identity("system:kcp:front", "", ("system:masters", "system:authenticated")).encode()


class Kind(NamedTuple):
    """One of the two."""

    service: str
    verb: str  # on the type
    phase: str
    member: str  # of the status
    permissions: str  # of the type's spec
    label: str


KINDS = {
    kind.service: kind
    for kind in (
        Kind(
            "initializingworkspaces", "initialize", "Initializing", "initializers", "initializerPermissions",
            "initializer.internal.kcp.io/",
        ),
        Kind(
            "terminatingworkspaces", "terminate", "Terminating", "terminators", "terminatorPermissions",
            "terminator.internal.kcp.io/",
        ),
    )
}  # fmt: skip


class View(NamedTuple):
    kind: Kind
    name: str  # of the initializer or terminator: path and name of the type

    @property
    def label(self) -> str:
        return self.kind.label + hashlib.sha224(self.name.encode()).hexdigest()[:50]


def split_view(target: str) -> tuple[View | None, str]:
    """The view that a target is about, and the target within it. Raises PageNotFound."""
    if not target.startswith(_PREFIX):
        return None, target
    service, _, rest = target.removeprefix(_PREFIX).partition("/")
    if service == EXPORT_VIEWS:
        return None, target  # a shard decides there: see request_info
    name, _, inside = rest.partition("/")
    kind = KINDS.get(service)
    if kind is None or not inside.startswith("clusters/") or ":" not in unquote(name):
        raise PageNotFound()
    return View(kind, unquote(name)), f"/{inside}"


class WaitingWorkspaces:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def admit(self, exchange: Exchange, view: View) -> Reply | None:
        """Let the request go on as what it may be, or answer it. Raises Forbidden, MethodNotAllowed."""
        await self._check_right(exchange, view)
        info = exchange.info
        is_own = info.group == _GROUP and info.resource == _RESOURCE
        if info.cluster == WILDCARD:
            if not is_own and info.resource:
                raise _denied(view, "only logicalclusters are seen over all workspaces")
            if is_own and info.verb not in ("list", "watch"):
                raise MethodNotAllowed("the server does not allow this method on the requested resource")
            _select(info, view.label)
            _go_on_as(exchange, SYSTEM)
            return None
        waiting = await self._waiting(exchange, view)
        if is_own:
            return await self._own(exchange, view, waiting)
        _go_on_as(exchange, await self._actor(exchange, view, waiting))
        return None

    async def _check_right(self, exchange: Exchange, view: View) -> None:
        path, _, name = view.name.rpartition(":")
        wanted = {
            "verb": view.kind.verb, "group": "tenancy.kcp.io", "version": "v1alpha1", "resource": "workspacetypes",
            "name": name,
        }  # fmt: skip
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        request = pb.Request(
            verb=pb.CREATE, cluster=path, group="authorization.k8s.io", version="v1",
            resource="selfsubjectaccessreviews", body=orjson.dumps(review), identity=exchange.identity,
            proof=exchange.proof, impersonation=exchange.impersonation, user_agent=exchange.user_agent,
        )  # fmt: skip
        found = await self._caller.call(request, exchange.deadline)
        if found.code != 201 or not orjson.loads(found.body)["status"].get("allowed"):
            raise _denied(view, f"missing verb='{view.kind.verb}' permission on workspacetype")

    async def _waiting(self, exchange: Exchange, view: View) -> Mapping[str, Any]:
        """The LogicalCluster, if it waits for this controller."""
        found = await self._ask(exchange, pb.GET, exchange.info.cluster)
        document = orjson.loads(found.body) if found.code == 200 else {}
        status = document.get("status") or {}
        if status.get("phase") != view.kind.phase or view.name not in (status.get(view.kind.member) or ()):
            raise _denied(view, f"{exchange.info.cluster} does not wait for it")
        return document

    async def _own(self, exchange: Exchange, view: View, waiting: Mapping[str, Any]) -> Reply | None:
        info = exchange.info
        if info.verb in _READS:
            if info.verb != "get":
                _select(info, view.label)
            _go_on_as(exchange, SYSTEM)
            return None
        if info.verb not in ("update", "patch") or info.subresource not in ("", "status"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        new = await _changed(exchange, waiting)
        member = view.kind.member
        before: Sequence[str] = waiting["status"][member]
        after = (new.get("status") or {}).get(member) or []
        if after != before and after != [each for each in before if each != view.name]:
            raise _denied(view, f"only removing itself from status.{member} is possible")
        version = (new.get("metadata") or {}).get("resourceVersion") or waiting["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "status": {member: after}}
        found = await self._ask(exchange, pb.PATCH, info.cluster, "status", orjson.dumps(patch))
        return json_reply(found.code, orjson.loads(found.body))

    async def _actor(self, exchange: Exchange, view: View, waiting: Mapping[str, Any]) -> bytes:
        if _is_described(exchange.info):
            return SYSTEM  # discovery and OpenAPI: what there is, not what is in it
        rules = await self._permissions(exchange, view)
        if rules:
            wanted = _wanted(exchange.info)
            allowed = (read_rule(each) for each in rules)
            if not any(
                each.allows_path(wanted.verb, wanted.path)
                if wanted.path is not None
                else each.allows_type(wanted) and (not each.names or wanted.name in each.names)
                for each in allowed
            ):
                raise _denied(view, f"its type's {view.kind.permissions} do not allow this")
            return SYSTEM
        owner = (waiting.get("spec") or {}).get("createdBy")
        if not owner or not owner.get("username"):
            return SYSTEM  # made by an administrator of the installation
        extra = {key: tuple(values) for key, values in (owner.get("extra") or {}).items()}
        groups = tuple(each for each in owner.get("groups") or () if each != "system:masters")
        return Identity(owner["username"], owner.get("uid") or "", groups, extra).encode()

    async def _permissions(self, exchange: Exchange, view: View) -> Sequence[Mapping[str, Any]]:
        path, _, name = view.name.rpartition(":")
        request = pb.Request(
            verb=pb.GET, cluster=path, group="tenancy.kcp.io", version="v1alpha1", resource="workspacetypes", name=name,
            identity=SYSTEM, user_agent=exchange.user_agent,
        )  # fmt: skip
        found = await self._caller.call(request, exchange.deadline)
        if found.code != 200:
            raise _denied(view, "its type cannot be read")
        return (orjson.loads(found.body).get("spec") or {}).get(view.kind.permissions) or ()

    async def _ask(
        self, exchange: Exchange, verb: "pb.Verb.ValueType", path: str, subresource: str = "", body: bytes = b""
    ) -> Result:
        request = pb.Request(
            verb=verb, cluster=path, group=_GROUP, version="v1alpha1", resource=_RESOURCE, name="cluster",
            subresource=subresource, body=body, identity=SYSTEM, user_agent=exchange.user_agent,
        )  # fmt: skip
        if body:
            request.patch_type = pb.MERGE_PATCH
        return await self._caller.call(request, exchange.deadline)


def _go_on_as(exchange: Exchange, identity: bytes) -> None:
    exchange.identity, exchange.proof, exchange.impersonation = identity, b"", b""


def _select(info: RequestInfo, label: str) -> None:
    given = info.get("labelSelector")
    info.query["labelSelector"] = [f"{given},{label}" if given else label]


async def _changed(exchange: Exchange, old: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the LogicalCluster would be."""
    try:
        given = orjson.loads(await exchange.read_body(_MAX_BODY))
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error}") from None
    if exchange.info.verb == "update":
        new = given
    else:
        media_type = (exchange.headers.get("Content-Type") or "").partition(";")[0].strip()
        document = orjson.loads(orjson.dumps(old))
        match media_type:
            case "application/merge-patch+json":
                new = merge_patch(document, given)
            case "application/json-patch+json":
                new = apply_json_patch(document, parse_json_patch(given))
            case _:
                raise UnsupportedMediaType(
                    "here a patch is application/merge-patch+json or application/json-patch+json"
                )
    if not isinstance(new, dict):
        raise BadRequest("the body is no object")
    return new


def _wanted(info: RequestInfo) -> Attributes:
    if not info.resource:
        return Attributes(info.verb, path=info.path)
    return Attributes(info.verb, info.group, info.version, info.resource, info.subresource, info.namespace, info.name)


def _is_described(info: RequestInfo) -> bool:
    return not info.resource and info.verb == "get" and info.path.partition("?")[0].startswith(_DESCRIBED)


def _denied(view: View, why: str) -> Forbidden:
    return Forbidden(f'{view.kind.service} of "{view.name}": access denied: {why}')
