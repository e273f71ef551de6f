"""What a resource type is, to verbs, watch, discovery and tables. Built-ins and CRDs are both values of this shape."""

from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kcpshard.api.errors import FieldError
from kcpshard.api.requests import Identity
from kcpshard.callouts.calls import Callouts
from kcpshard.storage.contract import LogicalCluster, ObjectStore

if TYPE_CHECKING:
    from kcpshard.definitions.remote_apis import RemoteApi

Object = dict[str, Any]


class Subresource(NamedTuple):
    """`status`, `finalize`, `scale`, `token`, …: its own verbs and, where it differs, its own kind."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


class Strategy(Protocol):
    """What is particular to one kind, as pure functions on unstructured objects (registry strategies upstream).

    Objects are changed in place by `default` and `prepare_*`. `validate_*` return every fault and never raise.
    Metadata (names, labels, owner references, finalizers, generation, timestamps) is the verbs' business, not theirs.
    """

    def default(self, obj: Object) -> None:
        """Fill in what the API documents as default."""

    def attribute(self, obj: Object, identity: Identity) -> None:
        """On create: note who the creator is, where the kind records it (CertificateSigningRequest)."""

    def prepare_create(self, obj: Object) -> None:
        """Drop what a creator may not set (status)."""

    def prepare_update(self, new: Object, old: Object, subresource: str) -> None:
        """Keep what this update may not change (status on the main resource, everything else on a subresource)."""

    def validate_create(self, obj: Object) -> list[FieldError]: ...
    def validate_update(self, new: Object, old: Object, subresource: str) -> list[FieldError]: ...
    def early_warnings(self, obj: Object) -> list[str]:
        """Of a new object as it came, before it is prepared; also if it is refused."""

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        """Texts for `Warning:` headers; `old` is None for a new object."""

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        """Beyond metadata.name and metadata.namespace, which every type has."""

    @property
    def field_names(self) -> tuple[str, ...]:
        """The labels that `selectable_fields` may give."""

    def has_empties(self, obj: Object) -> bool:
        """Whether what a client sent says with an empty list or map what counts as a change of this kind."""

    def has_generation(self) -> bool:
        """metadata.generation is 1 at creation and counts changes outside metadata and status."""

    def graceful(self, obj: Object, grace_period_s: int | None) -> int:
        """Seconds that a deletion takes (pods); 0: at once."""


class MetadataRules(NamedTuple):
    """How the metadata of a type is judged; names of rules are those of `verbs.metadata.NAME_RULES`."""

    name: str = "subdomain"
    update_name: str = "path_segment"  # of `generateName` in an update
    is_lenient: bool = False  # names of finalizers need no domain
    is_later: bool = False  # the kind's own rules say nothing of it: judged, as everybody's is, once they find no fault


class Resource:
    """One served resource type in one version. Immutable, shared by every logical cluster that serves it."""

    __slots__ = (
        "api_version", "categories", "columns", "create_on_update", "definition", "deprecation", "field_names",
        "fingerprint", "group",
        "group_resource", "kind", "list_kind", "metadata_rules", "namespaced", "plural", "retention", "schema",
        "short_names", "singular", "storage_resource", "storage_version", "storage_version_hash", "strategy",
        "subresources", "unconditional_update", "verbs", "version", "virtual",
    )  # fmt: skip

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    list_kind: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    namespaced: bool
    verbs: frozenset[str]  # of the main resource: create delete deletecollection get list patch update watch
    subresources: Mapping[str, Subresource]
    api_version: str  # "apps/v1", "v1"
    group_resource: str  # the storage key: "deployments.apps"; of events.k8s.io events: "events"
    storage_version: str  # apiVersion that stored JSON has; another one goes through convert
    storage_resource: "Resource | None"  # where version ≠ storage_version: the type stored
    storage_version_hash: str  # what clients compare to see that the stored version changed; "" if nothing is stored
    strategy: Strategy
    schema: Any  # structural schema with merge keys and list types, None if unknown; see definitions.facts
    fingerprint: int
    retention: int  # class of the log records: 0 default, 1 events, 2 leases
    metadata_rules: MetadataRules
    # Labels legal in a field selector; a mapping where stored objects have them under others.
    field_names: Collection[str]
    columns: bytes  # JSON additionalPrinterColumns; empty: the front has a printer of its own
    unconditional_update: bool  # an update without resourceVersion is allowed
    create_on_update: bool  # PUT of a missing object creates it (leases, events, RBAC objects)
    deprecation: str  # what every client of this version is warned of; "" for most
    definition: Any  # of a custom resource: what it was made of (`custom_resources.Definition`); None: built in
    virtual: bool  # create-only, nothing is stored (reviews)


class Catalog(Protocol):
    """Which resource types a logical cluster serves. Point reads; what is derived per cluster hangs on `cached`.

    `cluster` is None for a path that is not alive yet: it serves the built-ins. `api_set` names these: minimal or full.
    """

    api_set: str

    def follow(self, store: ObjectStore) -> None:
        """Serve what the logical clusters of this store define. Once, before the first request."""

    def inherit(self, inheritance: Any) -> None:
        """Serve what ancestors define too: a `custom_catalog.Inheritance`."""

    def inherited_changed(self, path: str) -> None:
        """What that ancestor defines is something else, or is not known any more."""

    def heirs(self, path: str) -> Sequence[LogicalCluster]:
        """Who takes over what that logical cluster defines, of those that have been asked for lately."""

    def conflicts(self, cluster: LogicalCluster) -> Sequence[str]:
        """Why definitions of ancestors do not count here: a sentence each. Raises as `resources` does."""

    def call_out(self, callouts: Callouts) -> None:
        """Have conversion webhooks asked by these. Once, before the first request."""

    def find(self, cluster: LogicalCluster | None, group: str, version: str, plural: str) -> Resource | None: ...
    def resources(self, cluster: LogicalCluster | None) -> Sequence[Resource]:
        """All of them, in discovery order."""

    def document(
        self, cluster: LogicalCluster | None, path: str, accept: str, if_none_match: str
    ) -> "Document | Coroutine[Any, Any, Document | None] | None":
        """Discovery (/api, /apis, …) and OpenAPI (/openapi/v2, /openapi/v3/…, with their query); None: no such path.

        A coroutine where the document must first be built by a helper process; it gives the same values.
        """

    def openapi_of(
        self,
        account: str,
        builtin: Sequence[Resource],
        definitions: Sequence[tuple[Any, Object]],
        path: str,
        if_none_match: str,
    ) -> "Document | Coroutine[Any, Any, Document | None] | None":
        """As `document`, of these built-in types and these definitions (compiled, as document) alone."""

    def remote_api(self, cluster: LogicalCluster | None, group: str, version: str) -> "RemoteApi | None":
        """The other server that answers for a group version, if one does."""

    def convert(self, obj: Object, wanted: Resource) -> Object:
        """The stored object in the wanted version (a new dict; the caller keeps the old one).

        Raises NotConverted where a webhook of the tenant's has to be asked first.
        """

    async def prepare(self, objects: Sequence[Object], wanted: Resource) -> None:
        """Have a webhook convert what it must, many at once, so that `convert` gives them. Raises ApiError."""


class Document(NamedTuple):
    code: int  # 200 or 304
    body: bytes
    etag: str = ""
    content_type: str = "application/json"
