"""Workspace types and rights in any logical cluster: read here where it is ours, asked of its shard where it is not.

What verbs decide by is ours exactly, the pending state; of another shard it is at most KEPT_S old. A question that has
not been answered yet raises NotDurable: whoever asked is asked again when it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import ApiError, ServiceUnavailable
from kcpshard.api.requests import Identity, decode_identity
from kcpshard.authorization.attributes import Attributes
from kcpshard.authorization.authorizer import Authorizer
from kcpshard.authorization.policy import MASTERS
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.storage import envelope
from kcpshard.storage.contract import NotDurable, ObjectStore
from kcpshard.tenancy import builtin_types
from kcpshard.tenancy.names import CORE, NAME, ROOT, TENANCY, VERSION, WORKSPACE_TYPES, TypeReference
from kcpshard.tenancy.questions import Question

KEPT_S = 5.0
_FAILED_S = 1.0  # after which a shard that did not answer is asked again
_MAX_KEPT = 4096  # answers; when full all are forgotten
_MAX_SPECS = 256  # types of this shard; when full all are read anew
_TIMEOUT_S = 5.0

Ask = Callable[[pb.Request, float], Awaitable[Result]]
_TYPES = (TENANCY, VERSION, "workspacetypes")
_REVIEWS = ("authorization.k8s.io", "v1")
_ASKED = ("verb", "group", "version", "resource", "subresource", "namespace", "name")


class _Kept(NamedTuple):
    until: float
    value: Any
    failure: str  # "": there is an answer


class Directory:
    """`is_ours` tells of a path whether this shard serves it. `connect` where there are other shards."""

    def __init__(self, store: ObjectStore, authorizer: Authorizer, is_ours: Callable[[str], bool]) -> None:
        self._store, self._authorizer, self._is_ours = store, authorizer, is_ours
        self._ask: Ask | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._system = b""
        self._kept: dict[tuple[Any, ...], _Kept] = {}
        self._asked: dict[tuple[Any, ...], Question] = {}
        self._specs: dict[bytes, Mapping[str, Any]] = {}  # of the stored types that were read lately

    def connect(self, ask: Ask, system: bytes, tasks: asyncio.TaskGroup) -> None:
        """Ask other shards by `ask`, as the identity `system`."""
        self._ask, self._system, self._tasks = ask, system, tasks

    def find_type(self, reference: TypeReference) -> Mapping[str, Any] | None:
        """The spec, or None. Raises NotDurable, ServiceUnavailable."""
        path, name = reference
        if not self._is_ours(path):
            key = ("type", path, name)
            return self._remembered(key, lambda: self._type_elsewhere(path, name))  # type: ignore[no-any-return]
        cluster = self._store.pending_cluster(path)
        if cluster is None:
            return builtin_types.SPECS.get(name) if path == ROOT else None
        value = self._store.pending(cluster, WORKSPACE_TYPES, "", name)
        return None if value is None else self._spec(value)

    def _spec(self, value: bytes) -> Mapping[str, Any]:
        found = self._specs.get(value)
        if found is None:
            if len(self._specs) >= _MAX_SPECS:
                self._specs.clear()
            found = self._specs[value] = orjson.loads(envelope.body(value)).get("spec") or {}
        return found

    def may_use(self, raw: bytes, reference: TypeReference) -> bool:
        """Whether an identity may make workspaces of that type. Raises as `find_type`."""
        path, name = reference
        identity = decode_identity(raw)
        if MASTERS in identity.groups and not identity.scope:
            return True
        if path == ROOT and name in builtin_types.FOR_EVERYBODY:
            return True
        return self.may(raw, path, Attributes("use", TENANCY, VERSION, "workspacetypes", "", "", name))

    def may(self, raw: bytes, path: str, wanted: Attributes, proof: bytes = b"") -> bool:
        """Whether an identity may do something in the logical cluster `path`; `proof`: what must still be true of its
        credential there. Raises NotDurable, ServiceUnavailable."""
        if not self._is_ours(path):
            key = ("may", path, wanted, raw, proof)
            return bool(self._remembered(key, lambda: self._may_elsewhere(raw, proof, path, wanted)))
        try:
            return self._authorizer.decide(self._store.pending_cluster(path), path, raw, wanted).allowed
        except ApiError:  # who belongs elsewhere
            return False

    def may_as(self, asked: Identity, path: str, wanted: Attributes) -> bool:
        """As `may`, of somebody who need not exist, as an access review tells it."""
        if self._is_ours(path):
            return self._authorizer.decide_about(self._store.pending_cluster(path), asked, wanted).allowed
        key = ("may as", path, wanted, asked.username, asked.groups)
        return bool(self._remembered(key, lambda: self._review(asked, path, wanted)))

    def _remembered(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[Any]]) -> Any:
        if self._tasks is None:
            raise ServiceUnavailable(f"the logical cluster {key[1]} is not served here", retry_after_s=1)
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(key)
        if kept is not None and now < kept.until:
            if kept.failure:
                raise ServiceUnavailable(kept.failure, retry_after_s=1)
            return kept.value
        question = self._asked.get(key)
        if question is None:
            question = self._asked[key] = Question()
            self._tasks.create_task(self._settle(key, ask, question))
        raise NotDurable(question)

    async def _settle(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[Any]], question: Question) -> None:
        now = asyncio.get_running_loop().time
        kept = _Kept(now() + _FAILED_S, None, f"the shard of the logical cluster {key[1]} does not answer")
        try:
            value = await ask()
            kept = _Kept(now() + KEPT_S, value, "")
        except ApiError:
            pass
        finally:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = kept
            del self._asked[key]
            question.settle()

    def is_somebody(self, path: str, identity: bytes, proof: bytes) -> bool:
        """Whether a credential is worth something in a logical cluster on another shard. Raises as `find_type`."""
        return bool(self._remembered(("somebody", path, proof), lambda: self._is_somebody(path, identity, proof)))

    async def _is_somebody(self, path: str, identity: bytes, proof: bytes) -> bool:
        """Whoever is told 403 is somebody."""
        assert self._ask is not None
        request = pb.Request(verb=pb.AUTHORIZE, cluster=path, name="/", identity=identity, proof=proof)
        found = await self._ask(request, _TIMEOUT_S)
        if found.code not in (200, 401, 403, 404):
            raise ServiceUnavailable(f"{path} answered {found.code}")
        return found.code in (200, 403)

    async def _type_elsewhere(self, path: str, name: str) -> Any:
        found = await self._call(pb.GET, path, _TYPES, name, b"")
        if found.code == 404:
            return builtin_types.SPECS.get(name) if await self._is_unborn_root(path) else None
        if found.code != 200:
            raise ServiceUnavailable(f"{path} answered {found.code}")
        return orjson.loads(found.body).get("spec") or {}

    async def _is_unborn_root(self, path: str) -> bool:
        """Whether it is root, which begins with the built-in types once somebody has written to it."""
        if path != ROOT:
            return False
        return (await self._call(pb.GET, path, (CORE, VERSION, "logicalclusters"), NAME, b"")).code == 404

    async def _may_elsewhere(self, raw: bytes, proof: bytes, path: str, wanted: Attributes) -> bool:
        """Asked as that identity, so that its shard judges its credential too."""
        body = _review("SelfSubjectAccessReview", wanted)
        request = self._request(pb.CREATE, path, (*_REVIEWS, "selfsubjectaccessreviews"), "", body)
        request.identity, request.proof = raw, proof
        assert self._ask is not None
        return _verdict(path, await self._ask(request, _TIMEOUT_S))

    async def _review(self, asked: Identity, path: str, wanted: Attributes) -> bool:
        body = _review("SubjectAccessReview", wanted, user=asked.username, groups=list(asked.groups))
        return _verdict(path, await self._call(pb.CREATE, path, (*_REVIEWS, "subjectaccessreviews"), "", body))

    async def _call(
        self, verb: "pb.Verb.ValueType", path: str, place: tuple[str, str, str], name: str, body: bytes
    ) -> Result:
        assert self._ask is not None
        return await self._ask(self._request(verb, path, place, name, body), _TIMEOUT_S)

    def _request(
        self, verb: "pb.Verb.ValueType", path: str, place: tuple[str, str, str], name: str, body: bytes
    ) -> pb.Request:
        group, version, plural = place
        return pb.Request(
            verb=verb, cluster=path, group=group, version=version, resource=plural, name=name, body=body,
            identity=self._system, user_agent="kcpshard",
        )  # fmt: skip


def _review(kind: str, wanted: Attributes, **spec: Any) -> bytes:
    attributes = {name: getattr(wanted, name) for name in _ASKED if getattr(wanted, name)}
    document = {"apiVersion": "authorization.k8s.io/v1", "kind": kind}
    return orjson.dumps({**document, "spec": {**spec, "resourceAttributes": attributes}})


def _verdict(path: str, found: Result) -> bool:
    """Of an access review. Raises ServiceUnavailable."""
    if found.code in (401, 403):
        return False
    if found.code != 201:
        raise ServiceUnavailable(f"{path} answered {found.code}")
    return bool(orjson.loads(found.body)["status"].get("allowed"))
