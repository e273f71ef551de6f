"""What every verb works on: the shard's parts, wired in `server`."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import orjson

from kcpshard.admission.registrations import Registry
from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.requests import Answer, Identity, Request
from kcpshard.authorization.authorizer import Authorizer
from kcpshard.callouts.addresses import AddressPolicy
from kcpshard.callouts.calls import Callouts
from kcpshard.callouts.upstream import Upstream
from kcpshard.connections.agent_tunnels import AgentTunnels
from kcpshard.connections.offers import Offers
from kcpshard.credentials.keys import KeyRing
from kcpshard.credentials.service_account_tokens import TokenIssuer
from kcpshard.definitions.contract import Catalog
from kcpshard.definitions.service_endpoints import ServiceEndpoints
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result
from kcpshard.storage.contract import LogicalCluster, ObjectStore
from kcpshard.tenancy.bound_apis import BoundApis
from kcpshard.tenancy.directory import Ask, Directory
from kcpshard.tenancy.standing import TreeStanding
from kcpshard.verbs.birth_contents import BirthContents
from kcpshard.verbs.namespace_contents import NamespaceContents
from kcpshard.verbs.outcome import AfterSync, NotOwned

SYSTEM = Identity("system:kcp:shard", "", ("system:masters", "system:authenticated")).encode()
_EMPTY, _NO_BIRTH = NamespaceContents(), BirthContents()


async def _anybody(_path: str) -> None:
    await asyncio.sleep(0)


class Ownership(Protocol):
    def check(self, path: str) -> None:
        """Return if this shard serves `path`; raise verbs.outcome.NotOwned otherwise. Microseconds, no I/O."""


class Place(Protocol):
    def __call__(self, path: str, beside: str) -> Coroutine[Any, Any, None]:
        """Raises PlacementRefused, ServiceUnavailable."""


class Elsewhere(Protocol):
    """Works a write out beside the loop; see `offload.writes`."""

    def __call__(self, shard: "Shard", request: Request) -> Coroutine[Any, Any, Answer | AfterSync]: ...


class Shard:
    """The parts that verbs use. `now_us` is the wall clock in microseconds.

    `contents` is what a namespace is born with, `birth` what a logical cluster is born with besides its namespaces.
    `callouts` asks webhooks; the one that is made here if none is given reaches public addresses only. `authorizer`
    answers who may do what; None: the usual one. `admission` knows what logical clusters have registered for it;
    `issuer` makes tokens, once the server has given it keys.
    """

    __slots__ = (
        "admission", "ask", "authorizer", "bears_workspaces", "birth", "bound", "callouts", "catalog", "connections",
        "contents", "directory", "elsewhere", "issuer", "levels", "look_through", "now_us", "ownership", "place",
        "staged", "standing", "store", "tunnels", "turn", "upstreams", "url",
    )  # fmt: skip

    def __init__(
        self,
        store: ObjectStore,
        catalog: Catalog,
        ownership: Ownership,
        now_us: Callable[[], int],
        contents: NamespaceContents = _EMPTY,
        callouts: Callouts | None = None,
        authorizer: Authorizer | None = None,
        birth: BirthContents = _NO_BIRTH,
    ) -> None:
        self.store = store
        self.catalog = catalog
        self.ownership = ownership
        self.now_us = now_us
        self.callouts = callouts or Callouts(AddressPolicy(), ServiceEndpoints(store).addresses)
        self.authorizer = authorizer or Authorizer(store)
        self.contents, self.birth = contents, birth
        self.issuer = TokenIssuer(KeyRing())
        # Awaited between slices of what takes long, with the path of the logical cluster: others come first.
        self.turn: Callable[[str], Coroutine[Any, Any, None]] = _anybody
        self.levels: Callable[[LogicalCluster], Sequence[Mapping[str, object]]] = lambda _cluster: ()  # for metrics
        self.elsewhere: Elsewhere | None = None  # where writes go that would hold the loop
        self.look_through: Callable[[LogicalCluster], None] = lambda _cluster: None  # controllers, at all objects of it
        self.bears_workspaces = False  # a Workspace's logical cluster is born in the commit that makes the Workspace
        self.staged = False  # its commits are only gathered (`staged_store`), those of dry runs too
        catalog.follow(store)
        catalog.call_out(self.callouts)
        self.admission = Registry(store, catalog, self.authorizer)
        self.directory = self.admission.directory = Directory(store, self.authorizer, self.is_ours)
        self.standing = TreeStanding(store, self.authorizer, self.is_ours)
        self.authorizer.stand_in_a_tree(self.standing)
        catalog.inherit(self.standing)
        self.bound = BoundApis(store)
        self.ask: Ask | None = None  # a request to the shard that serves its path; None: there is no other shard
        self.upstreams: dict[bytes, Upstream] = {}  # of connections to be upgraded, by the id of their request
        self.connections, self.tunnels = Offers(), AgentTunnels()
        self.place: Place | None = None  # have a path where nothing lives served where a logical cluster is
        self.url = "https://localhost"  # where the fronts are, without a path

    async def ask_for(
        self,
        verb: "pb.Verb.ValueType",
        path: str,
        place: tuple[str, str, str],
        name: str,
        body: object,
        timeout_s: float,
        subresource: str = "",
        patch_type: "pb.PatchType.ValueType" = pb.PATCH_TYPE_UNSPECIFIED,
    ) -> Result:
        """A request to any logical cluster, as the system. `place`: group, version, plural. Raises ServiceUnavailable
        where no other shard is known, Timeout."""
        if self.ask is None:
            raise ServiceUnavailable(f"the logical cluster {path} is not served here", retry_after_s=1)
        group, version, plural = place
        request = pb.Request(
            verb=verb, cluster=path, group=group, version=version, resource=plural, name=name, subresource=subresource,
            identity=SYSTEM, user_agent="kcpshard", body=b"" if body is None else orjson.dumps(body),
            patch_type=patch_type,
        )  # fmt: skip
        return await self.ask(request, timeout_s)

    def is_ours(self, path: str) -> bool:
        try:
            self.ownership.check(path)
        except NotOwned:
            return False
        return True
