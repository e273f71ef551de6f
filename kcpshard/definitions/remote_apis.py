"""Which group versions of a logical cluster other servers answer for: its APIServices that name a Service or a URL.

Kept on `LogicalCluster.cached`: a logical cluster without any costs one dict lookup. Kubernetes' own groups are
never somebody else's; of a custom one the APIService decides, not the definition. What a server says of its resources
(`Described`) is given by `controllers.remote_api_probes`, lives in memory and goes with the process.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from kcpshard.api.errors import ApiError
from kcpshard.api.events import Commit
from kcpshard.api.names import KUBERNETES_GROUPS
from kcpshard.callouts.errors import InvalidTarget
from kcpshard.callouts.targets import ClientConfig, ServiceReference, ca_bundle, target
from kcpshard.definitions.contract import Document, Object
from kcpshard.definitions.local_api_services import API_SERVICES
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster, ObjectStore

URL = "apiregistration.kcp.io/url"  # annotation: where there are no Services to name
USE_PROXY, NOT_REMOTE = 470, 471  # between shards and fronts only
# As whom we ask servers on our own account: what kube-apiserver says.
OWN_HEADERS = {
    "Accept": "application/json",
    "X-Remote-User": "system:kube-aggregator",
    "X-Remote-Group": "system:masters",
}
_CACHED = "remote apis"  # key in LogicalCluster.cached
_SCANNED = 256
_DESCRIBED_BYTES = 32 << 20


class UseProxy(ApiError):
    """Another server answers for this group version: the request is to be sent as it came, to be forwarded."""

    code = USE_PROXY

    def __init__(self) -> None:
        super().__init__("another server answers for this group version")


class NotRemote(ApiError):
    """It is to be asked in the usual way."""

    code = NOT_REMOTE

    def __init__(self) -> None:
        super().__init__("no other server answers for this group version")


class RemoteApi(NamedTuple):
    name: str  # of the APIService
    group: str
    version: str
    group_priority: int
    version_priority: int
    config: ClientConfig
    is_available: bool

    @property
    def path(self) -> str:
        return f"/apis/{self.group}/{self.version}"

    def at(self, path: str) -> ClientConfig:
        """To call the same server at that path."""
        service = self.config.service
        if service is not None:
            return self.config._replace(service=service._replace(path=path))
        return self.config._replace(url=self.config.url.rstrip("/") + path)


class Described(NamedTuple):
    """What the server says of itself, as far as it was asked."""

    resources: Sequence[Mapping[str, Any]]  # of its APIResourceList
    openapi: str  # where its OpenAPI v3 document is, with its hash; "" if it has none
    size: int


class RemoteIndex:
    """Of one logical cluster. `documents` are those made of it; they go whenever anything changes."""

    __slots__ = ("apis", "documents")

    def __init__(self, apis: Mapping[tuple[str, str], RemoteApi]) -> None:
        self.apis = apis  # by group and version
        self.documents: dict[tuple[str, str, bytes], Document | None] = {}


_NONE = RemoteIndex(MappingProxyType({}))


class RemoteApis:
    """One shard's. Listens to the store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._described: OrderedDict[tuple[int, str], Described] = OrderedDict()
        self._bytes = 0
        store.on_commit(self._see)

    def find(self, cluster: LogicalCluster | None, group: str, version: str) -> RemoteApi | None:
        found = self.index(cluster)
        return found.apis.get((group, version)) if found is not None else None

    def index(self, cluster: LogicalCluster | None) -> RemoteIndex | None:
        """None if the logical cluster has none, by far the most common case."""
        if cluster is None:
            return None
        found = cluster.cached.get(_CACHED)
        if type(found) is not RemoteIndex:
            found = cluster.cached[_CACHED] = self._build(cluster)
        return found if found is not _NONE else None

    def describe(self, cluster: LogicalCluster, name: str, told: Described | None) -> None:
        """Remember what a server says, or with None that the APIService is gone."""
        old = self._described.pop((cluster.id, name), None)
        self._bytes -= old.size if old is not None else 0
        if told is not None:
            self._described[cluster.id, name] = told
            self._bytes += told.size
            while self._bytes > _DESCRIBED_BYTES:
                self._bytes -= self._described.popitem(last=False)[1].size
        if (old is None or told is None or told != old) and (index := self.index(cluster)) is not None:
            index.documents.clear()

    def described(self, cluster: LogicalCluster, name: str) -> Described | None:
        return self._described.get((cluster.id, name))

    def _build(self, cluster: LogicalCluster) -> RemoteIndex:
        found: dict[tuple[str, str], RemoteApi] = {}
        after = None
        while True:
            items = self._store.scan(cluster, API_SERVICES, "", self._store.durable_revision, after, _SCANNED)
            for item in items:
                if b'"service"' in item.value or URL.encode() in item.value:
                    api = remote_api(orjson.loads(envelope.body(item.value)))
                    if api is not None and api.group not in KUBERNETES_GROUPS:
                        found[api.group, api.version] = api
            if len(items) < _SCANNED:
                return RemoteIndex(found) if found else _NONE
            after = (items[-1].namespace, items[-1].name)

    def _see(self, commits: Sequence[Commit]) -> None:
        for commit in commits:
            if any(change.group_resource == API_SERVICES for change in commit.changes):
                cluster = self._store.cluster_by_id(commit.cluster_id)
                if cluster is not None:
                    cluster.cached.pop(_CACHED, None)


def remote_api(obj: Object) -> RemoteApi | None:
    """Of a stored APIService; None for a local one."""
    spec, meta = obj["spec"], obj["metadata"]
    config = client_config(obj)
    if config is None or not spec.get("group"):
        return None
    conditions = (obj.get("status") or {}).get("conditions") or ()
    available = any(c.get("type") == "Available" and c.get("status") == "True" for c in conditions)
    return RemoteApi(
        meta["name"],
        spec["group"],
        spec["version"],
        spec.get("groupPriorityMinimum", 0),
        spec.get("versionPriority", 0),
        config,
        available,
    )


def url_of(obj: Object) -> str:
    found = (obj["metadata"].get("annotations") or {}).get(URL, "")
    return found if isinstance(found, str) else ""


def names_server(obj: Object) -> bool:
    """Whether an APIService, valid or not, is meant to be another server's."""
    return obj["spec"].get("service") is not None or bool(url_of(obj))


def client_config(obj: Object) -> ClientConfig | None:
    """Where the server of a valid APIService is and what it is trusted by; None for a local one."""
    if not names_server(obj):
        return None
    spec = obj["spec"]
    service, url = spec.get("service"), url_of(obj)
    try:
        bundle = ca_bundle(spec.get("caBundle"))
    except InvalidTarget:
        bundle = b"-"  # refused when it is to be used
    insecure = bool(spec.get("insecureSkipTLSVerify"))
    if service is None:
        return ClientConfig(url, None, bundle, insecure, True)
    reference = ServiceReference(service["namespace"], service["name"], "", service.get("port") or 443)
    return ClientConfig("", reference, bundle, insecure, True)


def url_fault(url: str) -> str:
    """Why the annotation's value is no URL of an API server, "" if it is one."""
    try:
        target(ClientConfig(url))
    except InvalidTarget as error:
        return str(error)
    return ""
