"""The resource types that a logical cluster defines for itself or has bound, kept exact as its definitions change.

What a logical cluster defines is an `Index`, made from the headers of its stored definitions when somebody first asks
for a type that is not built in, kept on `LogicalCluster.cached`, and followed commit by commit from then on. The
definitions in it are shared by content over all logical clusters of the shard: the same five hundred definitions in a
hundred logical clusters are compiled once.

A logical cluster may take over what its ancestors define (`inheritance`): below its own definitions, nearest ancestor
first. What an own definition hides, or would clash with, is a conflict, and the own one counts.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol
from weakref import WeakSet, WeakValueDictionary

import orjson

from kcpshard.api.errors import ApiError, ServiceUnavailable
from kcpshard.api.events import Commit, EventType
from kcpshard.api.version_order import version_priority
from kcpshard.definitions.api_schemas import BOUND_TYPES
from kcpshard.definitions.contract import Resource
from kcpshard.definitions.crd_documents import CRDS, Summary, read_header, summary
from kcpshard.definitions.crd_naming import Claims, Taken
from kcpshard.definitions.custom_resources import Definition
from kcpshard.definitions.openapi import V2, group_version_path
from kcpshard.definitions.webhook_conversion import WebhookConversions
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, NotDurable, ObjectStore

_CACHED = "definitions"  # key in LogicalCluster.cached
_SCANNED = 256
_TYPES = (CRDS, BOUND_TYPES)

Place = tuple[str, str, str]  # group, version, plural
Listener = Callable[[int, str], None]


class HandedDown(NamedTuple):
    """A definition of an ancestor. `document` gives it whole; None: it is changing."""

    path: str
    definition: "Definition"
    document: Callable[[], Mapping[str, Any] | None]


class Inheritance(Protocol):
    def paths(self, cluster: LogicalCluster) -> Sequence[str]:
        """The ancestors whose definitions a logical cluster takes over, nearest first; mostly none."""

    def definitions(self, path: str) -> Sequence[Mapping[str, Any]] | None:
        """Those of an ancestor on another shard; None: it is on this one. Raises NotDurable until they have been told,
        ServiceUnavailable while they are not known to be current."""


class Index:
    """The definitions of one logical cluster by name, and what those that are established serve."""

    __slots__ = (
        "_key",
        "_paths",
        "_sorted",
        "bound",
        "claims",
        "conflicts",
        "definitions",
        "inherited",
        "missing",
        "places",
    )

    def __init__(self) -> None:
        self.inherited: dict[str, HandedDown] = {}  # of ancestors, as far as they count here
        self.conflicts: list[str] = []  # why others do not
        self.missing: ApiError | None = None  # why it is not known what ancestors define
        self.definitions: dict[str, Definition] = {}
        self.bound: dict[str, Definition] = {}  # copies of what others export; the logical cluster's own come first
        self.claims: dict[str, Claims] = {}  # what they are called, by group
        self.places: dict[Place, Resource] = {}
        self._sorted: list[Resource] | None = None
        self._paths: Mapping[str, Sequence[str]] | None = None
        self._key = b""

    def put(self, definition: Definition, is_bound: bool = False) -> None:
        found = definition.summary
        self.remove(found.name, is_bound)
        (self.bound if is_bound else self.definitions)[found.name] = definition
        self.claims.setdefault(found.group, Claims()).add(found.names)
        self._serve(found.name)

    def remove(self, name: str, is_bound: bool = False) -> Definition | None:
        self._sorted, self._paths, self._key = None, None, b""
        old = (self.bound if is_bound else self.definitions).pop(name, None)
        if old is not None:
            self.claims[old.summary.group].add(old.summary.names, -1)
            for version, resource in old.resources.items():
                place = (old.summary.group, version, old.summary.names.plural)
                if self.places.get(place) is resource:
                    del self.places[place]
            self._serve(name)
        return old

    def _serve(self, name: str) -> None:
        """What is bound, and over it what is defined here."""
        for definition in (self.bound.get(name), self.definitions.get(name)):
            if definition is not None and (found := definition.summary).established:
                for version, resource in definition.resources.items():
                    self.places[found.group, version, found.names.plural] = resource

    def inherit(self, given: HandedDown, claims: dict[str, Claims]) -> None:
        """`claims`: what everything that counts is called, by group."""
        found = given.definition.summary
        own = self.definitions.get(found.name) or self.bound.get(found.name)
        if own is not None and own.digest != given.definition.digest:
            self.conflicts.append(f"{found.name} of {given.path} is hidden by the definition here")
        if own is not None or found.name in self.inherited or not found.established:
            return
        taken = Taken((), claims.setdefault(found.group, Claims()))
        names = found.names
        clashes = [n for n in (names.plural, names.singular, *names.short_names) if n in taken.resources]
        clashes += [n for n in (names.kind, names.list_kind) if n in taken.kinds]
        if clashes:
            self.conflicts.append(f"{found.name} of {given.path} clashes in its name {clashes[0]}")
            return
        claims[found.group].add(found.names)
        self.inherited[found.name] = given
        for version, resource in given.definition.resources.items():
            self.places[found.group, version, found.names.plural] = resource
        self._sorted, self._paths, self._key = None, None, b""

    @property
    def resources(self) -> Sequence[Resource]:
        """In discovery order: groups by name, their versions by stability."""
        if self._sorted is None:
            order = lambda r: (r.group, version_priority(r.version), r.plural)  # noqa: E731
            self._sorted = sorted(self.places.values(), key=order)
        return self._sorted

    @property
    def document_digests(self) -> Mapping[str, Sequence[str]]:
        """The OpenAPI documents in which definitions are described: path → their digests."""
        if self._paths is None:
            paths: dict[str, dict[str, None]] = {}
            for resource in self.places.values():
                for path in (V2, group_version_path(resource)):
                    paths.setdefault(path, {})[resource.definition.digest] = None
            self._paths = {path: tuple(sorted(digests)) for path, digests in paths.items()}
        return self._paths

    def described(self, path: str) -> list[Definition]:
        """The definitions in one of `document_digests`."""
        resources = [r for r in self.places.values() if path in (V2, group_version_path(r))]
        return list({id(r.definition): r.definition for r in resources}.values())

    @property
    def key(self) -> bytes:
        """Equal for logical clusters that define the same; empty if nothing is served."""
        if not self._key and self.places:
            handed_down = [each.definition for each in self.inherited.values()]
            served = (*self.definitions.values(), *self.bound.values(), *handed_down)
            digests = sorted(d.digest for d in served if d.summary.established)
            self._key = hashlib.sha256("".join(digests).encode()).digest()
        return self._key


class CustomCatalog:
    """One shard's indexes. Listens to the store; tells its own listeners which types changed or went."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        # By content, and by the logical cluster where a webhook of its own converts.
        self._shared: WeakValueDictionary[tuple[Summary, int], Definition] = WeakValueDictionary()
        self.inheritance: Inheritance | None = None
        self._heirs: dict[str, WeakSet[LogicalCluster]] = {}  # by the path of whom they inherit from
        self.conversions: WebhookConversions | None = None  # until there is something to call out by
        self._listeners: list[Listener] = []
        store.on_commit(self._see)

    def on_change(self, listener: Listener) -> None:
        """Call with the id of the logical cluster and the group resource when a type is not what it was."""
        self._listeners.append(listener)

    def index(self, cluster: LogicalCluster) -> Index:
        """Raises NotDurable and ServiceUnavailable if it is not known what ancestors define."""
        found = cluster.cached.get(_CACHED)
        index = found if type(found) is Index else self._build(cluster)
        if index.missing is not None:
            raise index.missing
        return index

    def find(self, cluster: LogicalCluster, place: Place) -> Resource | None:
        """Raises NotDurable while the definition is being changed."""
        found = cluster.cached.get(_CACHED)
        index = found if type(found) is Index else self._build(cluster)
        resource = index.places.get(place)
        if resource is None and index.missing is not None:
            raise index.missing
        if resource is not None and resource.schema is None:
            self._load(cluster, resource.definition)
        return resource

    def load(self, cluster: LogicalCluster, definition: Definition) -> None:
        if not definition.is_loaded:
            self._load(cluster, definition)

    def _build(self, cluster: LogicalCluster) -> Index:
        index = Index()
        for group_resource in _TYPES:
            after = None
            while True:
                items = self._store.scan(cluster, group_resource, "", self._store.durable_revision, after, _SCANNED)
                for item in items:
                    index.put(self._definition(item.value, cluster.id), group_resource == BOUND_TYPES)
                if len(items) < _SCANNED:
                    break
                after = (items[-1].namespace, items[-1].name)
        if self.inheritance is not None and (paths := self.inheritance.paths(cluster)):
            self._inherit(cluster, index, paths)
        if index.missing is None:
            cluster.cached[_CACHED] = index
        return index

    def _inherit(self, cluster: LogicalCluster, index: Index, paths: Sequence[str]) -> None:
        claims: dict[str, Claims] = {}
        for own in (*index.definitions.values(), *index.bound.values()):
            claims.setdefault(own.summary.group, Claims()).add(own.summary.names)
        try:
            for path in paths:
                self._heirs.setdefault(path, WeakSet()).add(cluster)
                for given in self._handed_down(path):
                    index.inherit(given, claims)
        except ServiceUnavailable as error:
            index.missing = error

    def _handed_down(self, path: str) -> Iterator[HandedDown]:
        """Definitions whose conversion asks a webhook stay with whom they belong to."""
        assert self.inheritance is not None
        elsewhere = self.inheritance.definitions(path)
        if elsewhere is not None:
            for document in elsewhere:
                found = summary(dict(document))
                if not found.webhook:
                    yield HandedDown(path, self._shared_definition(found, 0), lambda document=document: document)  # type: ignore[misc]
            return
        ancestor = self._store.pending_cluster(path)
        found_here = ancestor.cached.get(_CACHED) if ancestor is not None else None
        if ancestor is None:
            return
        own = found_here if type(found_here) is Index else self._build(ancestor)
        for definition in own.definitions.values():
            if not definition.summary.webhook:
                yield HandedDown(path, definition, partial(self._document, ancestor, definition))

    def _document(self, cluster: LogicalCluster, definition: Definition) -> Mapping[str, Any] | None:
        """An own definition of a logical cluster, whole; None while it is being changed."""
        value = self._store.pending(cluster, CRDS, "", definition.summary.name)
        if value is None or summary_of(value).digest != definition.digest:
            return None
        found: Mapping[str, Any] = orjson.loads(envelope.body(value))
        return found

    def heirs(self, path: str) -> list[LogicalCluster]:
        """Who takes over what that logical cluster defines, of those that have been asked for lately."""
        return list(self._heirs.get(path, ()))

    def ancestor_changed(self, path: str) -> None:
        """What an ancestor defines is something else, or is not known any more."""
        for heir in self.heirs(path):
            old = heir.cached.pop(_CACHED, None)
            if type(old) is not Index:
                continue
            try:
                new = self._build(heir)
            except (ApiError, NotDurable):
                continue
            if new.missing is None:
                self._tell_differences(heir, old, new)

    def _tell_differences(self, cluster: LogicalCluster, old: Index, new: Index) -> None:
        for name, given in old.inherited.items():
            now = new.inherited.get(name)
            if now is None or now.definition is not given.definition:
                for listener in self._listeners:
                    listener(cluster.id, given.definition.storage.group_resource)

    def _kept_under(self, cluster: LogicalCluster, definition: Definition) -> str:
        """The group resource of its document."""
        index = cluster.cached.get(_CACHED)
        name = definition.summary.name
        return BOUND_TYPES if type(index) is Index and index.bound.get(name) is definition else CRDS

    def _definition(self, value: bytes, cluster_id: int) -> Definition:
        found = summary_of(value)
        return self._shared_definition(found, cluster_id if found.webhook else 0)

    def _shared_definition(self, found: Summary, owner: int) -> Definition:
        key = (found, owner)
        definition = self._shared.get(key)
        if definition is None:
            definition = self._shared[key] = Definition(found)
        return definition

    def _load(self, cluster: LogicalCluster, definition: Definition) -> None:
        name, kept_under = definition.summary.name, self._kept_under(cluster, definition)
        if (given := self.index(cluster).inherited.get(name)) is not None and given.definition is definition:
            document = given.document()
            if document is None:
                raise ServiceUnavailable(f"the definition {name} is changing", retry_after_s=1)
            definition.load(dict(document), cluster.id, self.conversions)
            return
        value = self._store.pending(cluster, kept_under, "", name)
        if value is None or summary_of(value).digest != definition.digest:
            # Another content is on its way to the disk: until it is there, and we have seen it, this one counts.
            value = self._store.get(cluster, kept_under, "", name)
        if value is None or summary_of(value).digest != definition.digest:
            raise ServiceUnavailable(f"the definition {name} is changing", retry_after_s=1)
        definition.load(orjson.loads(envelope.body(value)), cluster.id, self.conversions)

    async def documents(self, cluster: LogicalCluster, definitions: Sequence[Definition], head: bytes = b"") -> bytes:
        """The definitions as a JSON list, behind `head`. Raises ServiceUnavailable if one of them is changing."""
        bodies: list[bytes] = []
        inherited = self.index(cluster).inherited
        for definition in definitions:
            given = inherited.get(definition.summary.name)
            if given is not None and given.definition is definition:
                document = given.document()
                if document is None:
                    raise ServiceUnavailable(f"the definition {definition.summary.name} is changing", retry_after_s=1)
                bodies.append(orjson.dumps(document))
                await asyncio.sleep(0)
                continue
            value = self._store.pending(cluster, self._kept_under(cluster, definition), "", definition.summary.name)
            if value is None or summary_of(value).digest != definition.digest:
                raise ServiceUnavailable(f"the definition {definition.summary.name} is changing", retry_after_s=1)
            bodies.append(envelope.body(value))
            await asyncio.sleep(0)  # each may be a megabyte
        # Megabytes, which are copied once.
        separated = [part for body in bodies for part in (b",", body)][1:]
        return b"".join((head, b"[", *separated, b"]"))

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            for change in commit.changes:
                if change.group_resource in _TYPES:
                    value = None if change.type is EventType.DELETED else change.value
                    self._follow(commit.cluster_id, change.name, value, change.group_resource == BOUND_TYPES)

    def _follow(self, cluster_id: int, name: str, value: bytes | None, is_bound: bool = False) -> None:
        cluster = self._store.cluster_by_id(cluster_id)
        if cluster is None:
            return
        self._follow_own(cluster, name, value, is_bound)
        if cluster.path in self._heirs:
            self.ancestor_changed(cluster.path)

    def _follow_own(self, cluster: LogicalCluster, name: str, value: bytes | None, is_bound: bool) -> None:
        cluster_id, index = cluster.id, cluster.cached.get(_CACHED)
        if type(index) is not Index:
            return  # nobody has asked for a custom type, so nobody watches one
        if self.inheritance is not None and self.inheritance.paths(cluster):
            # What it hides of its ancestors' is another: made anew when it is asked for.
            del cluster.cached[_CACHED]
            if (given := index.inherited.get(name)) is not None:
                for listener in self._listeners:
                    listener(cluster_id, given.definition.storage.group_resource)
        old = (index.bound if is_bound else index.definitions).get(name)
        new = self._definition(value, cluster_id) if value is not None else None
        if old is new:
            return
        if old is not None and new is not None and old.is_loaded and not new.is_loaded and _is_same(old, new):
            new.load_as(old)
        if new is None:
            index.remove(name, is_bound)
        else:
            index.put(new, is_bound)
        if old is not None and old.summary.established:
            for listener in self._listeners:
                listener(cluster_id, old.storage.group_resource)


def _is_same(old: Definition, new: Definition) -> bool:
    """Whether only conditions have changed: what is compiled stays."""
    return old.summary.content == new.summary.content


def summary_of(value: bytes) -> Summary:
    """Of a stored definition."""
    found = read_header(envelope.fields(value))
    return found if found is not None else summary(orjson.loads(envelope.body(value)))
