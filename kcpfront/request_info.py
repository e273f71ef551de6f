"""Method, raw target and header → RequestInfo, once; nothing behind it looks at the path again.

Decides which logical cluster, verb and resource a request means (kube-apiserver's RequestInfo, with the cluster in
front of it). Leaves existence, permission and the values of query parameters to others.
"""

from functools import lru_cache
from urllib.parse import unquote

import orjson

from kcpshard.api.errors import BadRequest, NotFound, PageNotFound, resource_not_found
from kcpshard.api.names import ROOT, cluster_path, is_wildcard, wildcard

MAX_TARGET = 16_384  # bytes of path and query; longer ones are refused by the HTTP edge

# Without HEAD: kube-apiserver has no handler for it on a resource and says 405.
_PLAIN_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# What a third segment below a namespace may be without naming a resource in that namespace.
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
_FALSE = frozenset({"0", "false"})

EXPORT_VIEWS = "apiexport"  # /services/apiexport/PATH/NAME/clusters/…

Query = dict[str, list[str]]


class RequestInfo:
    """What a request is about. `resource` is empty for a path that names none; `path` is without the cluster prefix."""

    __slots__ = (
        "cluster", "group", "method", "name", "namespace", "path", "query", "resource", "subresource", "verb",
        "version", "view", "workspaces",
    )  # fmt: skip

    def __init__(self, method: str, cluster: str, path: str, query: Query) -> None:
        self.method, self.cluster, self.path, self.query = method, cluster, path, query
        self.verb = method.lower()
        self.workspaces = ""  # label selector: which of many logical clusters, by their Workspaces
        self.view = b""  # JSON [path, name] of the APIExport through whose view it is asked
        self.group = self.version = self.resource = self.namespace = self.name = self.subresource = ""

    def get(self, key: str) -> str:
        """The first value of a query parameter; "" if it is missing."""
        values = self.query.get(key)
        return values[0] if values else ""


def parse_request(method: str, target: str, cluster_header: str | None) -> RequestInfo:
    """Raises NotFound or BadRequest for a target that no request can have."""
    path, _, raw_query = target.partition("?")
    segments = _segments(path)
    cluster, view, workspaces = "", b"", ""
    if segments[1:3] == ["services", EXPORT_VIEWS]:
        view = _view(segments)
        path = "/".join(segments)
    if len(segments) > 1 and segments[1] == "clusters":
        if len(segments) < 3:
            raise resource_not_found()
        named, _, workspaces = segments[2].partition(";")
        cluster = _cluster(named)
        del segments[1:3]
        path = "/".join(segments) or "/"
    elif "%" in path:
        path = "/".join(segments)
    if cluster_header:
        named = _cluster(cluster_header)
        if cluster and cluster != named:
            raise BadRequest("the path and the header X-Kubernetes-Cluster name different logical clusters")
        cluster = named
    info = RequestInfo(method, cluster or ROOT, path or "/", parse_query(raw_query) if raw_query else {})
    info.view = view
    info.workspaces = _workspace_selector(info, workspaces)
    _read_resource(info, segments)
    return info


def _workspace_selector(info: RequestInfo, named: str) -> str:
    """`/clusters/*;env=prod/…`, which a client can have as its server's address, or ?workspaceSelector=env=prod."""
    asked = info.get("workspaceSelector") if info.query else ""
    if named and asked and named != asked:
        raise BadRequest("the path and the parameter workspaceSelector choose different workspaces")
    found = named or asked
    if found and not is_wildcard(info.cluster):
        raise BadRequest("a selector of workspaces is possible where many logical clusters are addressed: /clusters/*")
    return found


def _view(segments: list[str]) -> bytes:
    """Takes /services/apiexport/PATH/NAME off a path that names logical clusters behind it. Raises PageNotFound."""
    if len(segments) < 7 or segments[5] != "clusters":
        raise PageNotFound()
    exporter, name = segments[3], segments[4]
    if cluster_path(exporter) is None:
        raise PageNotFound()
    del segments[1:5]
    return orjson.dumps([exporter, name])


def _segments(path: str) -> list[str]:
    """The segments, each decoded once; the first is the empty one before the leading slash.

    A trailing slash is dropped, as kube-apiserver's multiplexer does; other empty segments, dots and hidden slashes
    are refused, so that no two spellings mean the same object.
    """
    if not path.startswith("/"):
        raise BadRequest("the request target is not a path")
    segments = path.split("/")
    if segments[-1] == "":
        segments.pop()
    if "%" in path:
        segments = [_decode(s, segments[at - 1] == "clusters") if "%" in s else s for at, s in enumerate(segments)]
    if segments[1:2] == [""] or (segments[1:2] == ["clusters"] and segments[3:4] == [""]):
        raise PageNotFound()
    for segment in segments[1:]:
        if segment in ("", ".", ".."):
            raise resource_not_found()
    return segments


def _decode(segment: str, is_cluster: bool) -> str:
    try:
        decoded = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("the path is not valid UTF-8") from None
    # Keys of labels have slashes: `*;example.com/env=prod`.
    if "/" in (decoded.partition(";")[0] if is_cluster else decoded) or "\0" in decoded:
        raise resource_not_found()
    return decoded


@lru_cache(8192)  # of tenants asked for lately; a miss costs 2 µs
def _cluster(text: str) -> str:
    found = cluster_path(text) or wildcard(text)
    if found is None:
        raise NotFound(f'logical cluster "{text}" not found', name=text, group="core.kcp.io", kind="logicalclusters")
    return found


def parse_query(raw: str) -> Query:
    """Values by key, in order, as Go's url.ParseQuery reads them; a pair with a semicolon or bad escape is dropped."""
    query: Query = {}
    for pair in raw.split("&"):
        if not pair or ";" in pair:
            continue
        key, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            key, value = unquote(key.replace("+", " ")), unquote(value.replace("+", " "))
        query.setdefault(key, []).append(value)
    return query


def _read_resource(info: RequestInfo, segments: list[str]) -> None:
    match segments:
        case ["", "api", version, *rest] if rest:
            pass
        case ["", "apis", group, version, *rest] if rest:
            info.group = group
        case _:
            return
    info.version = version
    info.verb = _PLAIN_VERBS.get(info.method, "")
    watching = rest[0] == "watch"
    if watching:  # the deprecated /watch/ paths
        info.verb, rest = "watch", rest[1:]
        if not rest:
            return
    elif rest[0] == "proxy":  # deprecated and never served here; without a resource it is an unknown path
        info.verb = "proxy"
        return
    _read_parts(info, rest)
    if info.verb == "get" and not info.name:
        info.verb = "watch" if boolean(info.get("watch"), "watch" in info.query) else "list"
    elif info.verb == "delete" and not info.name:
        info.verb = "deletecollection"
    if info.verb in ("list", "watch", "deletecollection") and not info.name:
        info.name = _named_by_field_selector(info)


def _read_parts(info: RequestInfo, parts: list[str]) -> None:
    match parts:
        case ["namespaces", name]:
            info.resource, info.name, info.namespace = "namespaces", name, name
        case ["namespaces", name, subresource] if subresource in _NAMESPACE_SUBRESOURCES:
            info.resource, info.name, info.namespace, info.subresource = "namespaces", name, name, subresource
        case ["namespaces", _, "namespaces", *_]:  # no namespace is in a namespace
            raise resource_not_found()
        case ["namespaces", namespace, resource, *rest]:
            info.namespace, info.resource = namespace, resource
            _read_name(info, rest)
        case [resource, *rest]:
            info.resource = resource
            _read_name(info, rest)


def _read_name(info: RequestInfo, rest: list[str]) -> None:
    if rest:
        info.name = rest[0]
        # What follows a subresource (a proxied path) is its business; ours have none, so it must not be lost.
        info.subresource = "/".join(rest[1:])


def _named_by_field_selector(info: RequestInfo) -> str:
    """metadata.name=x as the only demand on the name makes it a request about that object, for authorisation too."""
    selector = info.get("fieldSelector")
    if "metadata.name" not in selector:
        return ""
    for term in selector.split(","):
        key, found, value = term.partition("=")
        if found and key == "metadata.name":
            name = value.removeprefix("=")
            return name if name and "/" not in name and "%" not in name and "\\" not in name else ""
    return ""


def boolean(value: str, present: bool) -> bool:
    """A query parameter read as apimachinery reads booleans: anything but "0" and "false" is true, the empty too."""
    return present and value not in _FALSE
