"""A shard's verbs over a memory engine, asked as over HTTP: method, path, query, body in; code and document out.

The front is not part of it: only as much of its work is done here (URL to Request) as a table of requests needs.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from kcpshard.api.errors import ApiError
from kcpshard.api.requests import Answer, Identity
from kcpshard.api.unconverted import NotConverted
from kcpshard.authorization.bootstrap import bootstrap_objects
from kcpshard.callouts.addresses import AddressPolicy, parse_networks
from kcpshard.callouts.calls import Callouts
from kcpshard.definitions.catalog import Catalog
from kcpshard.definitions.local_api_services import local_api_services
from kcpshard.definitions.service_endpoints import ServiceEndpoints
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import NotDurable
from kcpshard.storage.memory_engine import MemoryEngine
from kcpshard.storage.object_store import Store
from kcpshard.storage.template import Template
from kcpshard.tenancy.shown_objects import tenancy_objects
from kcpshard.verbs.birth_contents import BirthContents, shown_objects
from kcpshard.verbs.connections import CONNECTIONS
from kcpshard.verbs.dispatch import dispatch
from kcpshard.verbs.outcome import AfterSync, Outcome
from kcpshard.verbs.shard import Shard

ADMIN = Identity("admin", "admin", ("system:masters", "system:authenticated"))
USER = Identity("user", "user", ("system:authenticated",))

PATCH_TYPES = {
    "application/json-patch+json": pb.JSON_PATCH,
    "application/merge-patch+json": pb.MERGE_PATCH,
    "application/strategic-merge-patch+json": pb.STRATEGIC_MERGE_PATCH,
    "application/apply-patch+yaml": pb.APPLY,
}
MERGE, STRATEGIC, JSON = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
)


class Everything:
    """Ownership of all paths."""

    def check(self, path: str) -> None:
        return None


class Clock:
    """Microseconds that pass when asked."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        self.now += 1_000
        return self.now


class Reply:
    def __init__(self, answer: Answer, group_was: bool = False) -> None:
        self.answer, self.code, self.waited = answer, answer.code, group_was

    @property
    def json(self) -> Any:
        if self.answer.info is None:
            return orjson.loads(self.answer.body)
        info = self.answer.info
        meta: dict[str, Any] = {"resourceVersion": str(info.revision)}
        if info.continue_token:
            meta["continue"] = info.continue_token
        if info.remaining_item_count >= 0:
            meta["remainingItemCount"] = info.remaining_item_count
        items = orjson.loads(b"[" + self.answer.body + b"]")
        return {"kind": info.kind, "apiVersion": info.api_version, "metadata": meta, "items": items}

    @property
    def names(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.json["items"]]

    @property
    def message(self) -> str:
        return str(self.json.get("message"))


class ApiClient:
    def __init__(self, shard: Shard, cluster: str = "root", identity: Identity = ADMIN) -> None:
        self.shard, self.cluster, self.identity = shard, cluster, identity
        self._ids = itertools.count(1)

    def request(self, method: str, url: str, body: Any = None, content_type: str = "application/json") -> pb.Request:
        parts = urlsplit(url)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        found = pb.Request(cluster=self.cluster, identity=self.identity.encode(), id=next(self._ids))
        segments = parts.path.strip("/").split("/")
        if segments[0] == "api":
            found.version, rest = segments[1], segments[2:]
        else:
            found.group, found.version, rest = segments[1], segments[2], segments[3:]
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            found.namespace, rest = rest[1], rest[2:]
        found.resource = rest[0]
        found.name = rest[1] if len(rest) > 1 else ""
        found.subresource = rest[2] if len(rest) > 2 else ""
        found.verb = {
            "GET": pb.GET if found.name else pb.LIST,
            "POST": pb.CREATE,
            "PUT": pb.UPDATE,
            "PATCH": pb.PATCH,
            "DELETE": pb.DELETE if found.name else pb.DELETE_COLLECTION,
        }[method]
        if body is not None:
            found.body = (
                body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else orjson.dumps(body)
            )
        if method == "PATCH":
            found.patch_type = PATCH_TYPES[content_type]
        if method == "DELETE" and "propagationPolicy" in query:
            found.body = orjson.dumps({"propagationPolicy": query["propagationPolicy"]})
        if found.subresource in CONNECTIONS:
            given: dict[str, object] = dict(query)
            repeated = parse_qs(parts.query)
            given |= {name: repeated[name] for name in ("command", "ports") if name in repeated}
            _, mark, path = parts.path.partition(f"/{found.subresource}/")
            found.body = orjson.dumps({**given, "path": f"/{path}"} if mark else given)
        found.resource_version = query.get("resourceVersion", "")
        found.resource_version_match = query.get("resourceVersionMatch", "")
        found.label_selector, found.field_selector = query.get("labelSelector", ""), query.get("fieldSelector", "")
        found.limit, found.continue_token = int(query.get("limit", "0")), query.get("continue", "")
        found.at = query.get("at", "")
        if method == "GET" and query.get("history") == "true":
            found.verb = pb.HISTORY
        found.dry_run = query.get("dryRun") == "All"
        found.field_manager, found.field_validation = query.get("fieldManager", ""), query.get("fieldValidation", "")
        found.force = query.get("force") == "true"
        return found

    async def do(self, method: str, url: str, body: Any = None, content_type: str = "application/json") -> Reply:
        return await self.send(self.request(method, url, body, content_type))

    async def send(self, request: pb.Request) -> Reply:
        try:
            return await self._finish(request)
        except ApiError as error:
            found = Answer(error.code, error.body(), None, error.warnings, retry_after_s=error.retry_after_s)
            return Reply(found._replace(audit=error.audit))

    async def _finish(self, request: pb.Request) -> Reply:
        while True:
            try:
                return await settle(dispatch(self.shard, request))
            except NotDurable as pending:
                done = asyncio.Event()
                pending.group.when_durable(done.set)
                await done.wait()
            except NotConverted as reason:
                await reason.settle()

    # --- shorthands; each asserts success

    async def create(self, url: str, body: Any) -> Any:
        return await self._good("POST", url, body)

    async def get(self, url: str) -> Any:
        return await self._good("GET", url)

    async def patch(self, url: str, body: Any, content_type: str = MERGE) -> Any:
        return await self._good("PATCH", url, body, content_type)

    async def _good(self, *arguments: Any) -> Any:
        reply = await self.do(*arguments)
        assert reply.code < 300, reply.json
        return reply.json


async def settle(outcome: Outcome) -> Reply:
    """The answer that leaves, when it may leave; pieces of a list joined."""
    if isinstance(outcome, Answer):
        return Reply(outcome)
    if isinstance(outcome, AsyncIterator):
        pieces = [piece async for piece in outcome]
        assert all(piece.info is None for piece in pieces[:-1])
        return Reply(pieces[0]._replace(body=b"".join(p.body for p in pieces), info=pieces[-1].info), True)
    if isinstance(outcome, AfterSync):
        done = asyncio.Event()
        outcome.group.when_durable(done.set)
        await done.wait()
        return Reply(outcome.answer, True)
    return await settle(await outcome)


def configmap(name: str = "", data: Any = None, **meta: Any) -> dict[str, Any]:
    metadata = {"name": name, **meta} if name else meta
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    if data is not None:
        document["data"] = data
    return document


CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def memory_shard(clock: Clock | None = None, api_set: str = "minimal", webhooks_at: Sequence[str] = ()) -> Shard:
    """`webhooks_at` are ranges of addresses that webhooks may be at besides public ones."""
    clock = clock or Clock()
    catalog = Catalog(api_set)
    template = Template(
        [*bootstrap_objects(), *local_api_services(catalog.resources(None)), *shown_objects(catalog.resources(None))],
        tenancy_objects(lambda: "https://localhost"),
    )
    store = Store(MemoryEngine(), 1, clock, template=template)
    callouts = Callouts(AddressPolicy(parse_networks(webhooks_at)), ServiceEndpoints(store).addresses)
    birth = BirthContents(catalog.resources(None) if api_set == "full" else ())
    return Shard(store, catalog, Everything(), clock, callouts=callouts, birth=birth)
