"""Requests at the edge of HTTP, for `compare_http`: methods, paths, media types, broken bodies, options."""

import json
from typing import NamedTuple

JSON = "application/json"
HERE = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MERGE = "application/merge-patch+json"


class HttpRequest(NamedTuple):
    id: str
    method: str
    path: str
    body: bytes = b""
    content_type: str = ""
    accept: str = "application/json"


def configmap(**fields: object) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "http-x"}, **fields}).encode()


def requests() -> list[HttpRequest]:
    """In this order: `http-one` is created first and deleted last."""
    first = HttpRequest("create", "POST", HERE, configmap(metadata={"name": "http-one"}, data={"a": "b"}), JSON)
    last = HttpRequest("delete", "DELETE", HERE + "/http-one")
    return [first, *_methods(), *_paths(), *_media(), *_bodies(), *_options(), last]


def _methods() -> list[HttpRequest]:
    one = HERE + "/http-one"
    rows = [
        *((f"{m} on a collection", m, HERE) for m in ("PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "BREW")),
        *((f"{m} on an object", m, one) for m in ("POST", "HEAD", "OPTIONS", "TRACE", "BREW")),
        *((f"{m} on {p}", m, p) for m in ("POST", "PUT", "DELETE", "HEAD", "BREW") for p in ("/version", "/healthz")),
        *((f"{m} on {p}", m, p) for m in ("POST", "PATCH", "DELETE", "HEAD") for p in ("/api", "/api/v1", "/apis")),
        *((f"{m} on a review", m, "/apis/authorization.k8s.io/v1/subjectaccessreviews") for m in ("GET", "PUT")),
        ("POST on openapi", "POST", "/openapi/v2"),
        ("POST on openapi v3", "POST", "/openapi/v3"),
        ("POST on /", "POST", "/"),
        ("PUT on namespaces", "PUT", "/api/v1/namespaces"),
        ("DELETE on namespaces", "DELETE", "/api/v1/namespaces"),
        ("POST over all namespaces", "POST", "/api/v1/configmaps"),
        ("PATCH over all namespaces", "PATCH", "/api/v1/configmaps"),
        ("DELETE over all namespaces", "DELETE", "/api/v1/configmaps"),
    ]
    return [HttpRequest(*row) for row in rows]


def _paths() -> list[HttpRequest]:
    paths = [
        "/nowhere", "/apis/nowhere.example.com", "/apis/nowhere.example.com/v1", "/apis/nowhere.example.com/v1/things",
        "/apis/nowhere.example.com/v1/namespaces/default/things/a", "/apis/coordination.k8s.io",
        "/apis/coordination.k8s.io/v7", "/apis/coordination.k8s.io/v7/leases", "/api/v2", "/api/v2/configmaps",
        "/api/v1/nothings", "/api/v1/namespaces/default/nothings", "/api/v1/namespaces/default/nothings/a",
        HERE + "/http-one/status", HERE + "/http-one/nothing", HERE + "/http-one/a/b", HERE + "/", HERE + "/none",
        "/api/v1/", "/api/", "/apis/", "//api/v1/namespaces", "/api/v1//namespaces", "/api/v1/namespaces/",
        "/api/v1/namespaces/default/", "/api/v1/namespaces/none", "/api/v1/namespaces/none/configmaps/a",
        "/api/v1/namespaces/default/namespaces/default", "/api/v1/configmaps/http-one", "/apis/apps", "/apis/v1",
        HERE + "/http%2Done", HERE + "/http-one?pretty=true", "/api/v1/namespaces/default/configmaps/UPPER",
        HERE + "/a%2Fb", "/openapi", "/openapi/v3/apis/nowhere/v1", "/openapi/v4", "/healthz/nothing", "/livez/ping",
        "/metrics/nothing", "/version/", "/logs", "/apis/coordination.k8s.io/v1/", "/.well-known/openid-configuration",
        "/api/v1/watch/namespaces/default/nothings", "/api/v1/proxy/namespaces/default",
    ]  # fmt: skip
    return [HttpRequest(f"path {path}", "GET", path) for path in paths]


def _media() -> list[HttpRequest]:
    body, there = configmap(), HERE + "?fieldSelector=metadata.name%3Dhttp-one"
    patch = b'{"data":{"c":"d"}}'
    types = ["text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense",
             "application/json; charset=utf-8", "application/cbor", "application/merge-patch+json"]  # fmt: skip
    accepts = ["text/html", "application/xml", "text/plain", "*/*", "application/*", "application/json;q=0.1,text/html",
               "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=Nothing;v=v1;g=meta.k8s.io",
               "application/json;as=Table;v=v7;g=meta.k8s.io", "application/cbor", "nonsense", ""]  # fmt: skip
    return [
        *(HttpRequest(f"create as {t}", "POST", HERE + "?dryRun=All", body, t) for t in types),
        HttpRequest("create without a type", "POST", HERE + "?dryRun=All", body),
        *(HttpRequest(f"update as {t}", "PUT", HERE + "/http-one?dryRun=All", body, t) for t in types[:2]),
        *(
            HttpRequest(f"patch as {t or 'nothing'}", "PATCH", HERE + "/http-one?dryRun=All", patch, t)
            for t in ("", "application/json", "text/plain", "application/yaml", MERGE + "; charset=utf-8")
        ),
        *(HttpRequest(f"get as {t}", "GET", HERE + "/http-one", accept=t) for t in accepts),
        *(HttpRequest(f"list as {t}", "GET", there, accept=t) for t in accepts),
        *(HttpRequest(f"discovery as {t}", "GET", "/apis/coordination.k8s.io/v1", accept=t) for t in accepts[:4]),
        HttpRequest("delete as xml", "DELETE", HERE + "/http-one?dryRun=All", b"<a/>", "application/xml"),
        HttpRequest("watch as html", "GET", HERE + "?watch=1&timeoutSeconds=1", accept="text/html"),
    ]  # fmt: skip


def _bodies() -> list[HttpRequest]:
    there = HERE + "?dryRun=All"
    deep = (
        b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"http-x"},"x":'
        + b"[" * 12_000
        + b"]" * 12_000
        + b"}"
    )
    rows = {
        "empty": b"",
        "broken": b'{"apiVersion":',
        "broken later": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},}',
        "two documents": configmap() + configmap(),
        "an array": b"[]",
        "a string": b'"x"',
        "a number": b"1",
        "null": b"null",
        "no kind": b'{"apiVersion":"v1","metadata":{"name":"http-x"}}',
        "no apiVersion": b'{"kind":"ConfigMap","metadata":{"name":"http-x"}}',
        "neither": b'{"metadata":{"name":"http-x"}}',
        "another kind": configmap(kind="Secret"),
        "an unknown kind": configmap(kind="Nothing"),
        "another version": configmap(apiVersion="v2"),
        "another group": configmap(apiVersion="apps/v1"),
        "a list": configmap(kind="ConfigMapList"),
        "no name": configmap(metadata={}),
        "another namespace": configmap(metadata={"name": "http-x", "namespace": "other"}),
        "a bad name": configmap(metadata={"name": "Not_OK"}),
        "a number for a string": configmap(data={"a": 1}),
        "a string for a map": configmap(data="x"),
        "metadata a list": configmap(metadata=[]),
        "not UTF-8": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"http-x"},"data":{"a":"\xff"}}',
        "a duplicate key": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"http-x","name":"http-x"}}',
        "too deep": deep,
        "an unknown field": configmap(nothing=1),
        "exists": configmap(metadata={"name": "http-one"}),
        "too long by one": b" " * (3 * 1024 * 1024 + 1),
        "3 MB of blanks": b" " * (3 * 1024 * 1024),
    }
    named = [
        ("update with another name", configmap()),
        ("update with a wrong kind", configmap(kind="Secret", metadata={"name": "http-one"})),
        ("update with a stale version", configmap(metadata={"name": "http-one", "resourceVersion": "1"})),
        ("update with a nonsense version", configmap(metadata={"name": "http-one", "resourceVersion": "x"})),
        ("update with another uid", configmap(metadata={"name": "http-one", "uid": "x"})),
    ]
    patches = {
        "broken": b"{", "an array": b"[]", "empty": b"", "null": b"null", "a name": b'{"metadata":{"name":"z"}}',
        "a kind": b'{"kind":"Secret"}', "a wrong type": b'{"data":1}',
    }  # fmt: skip
    return [
        *(HttpRequest(f"create: {name}", "POST", there, body, JSON) for name, body in rows.items()),
        HttpRequest("create: fields strict", "POST", there + "&fieldValidation=Strict", configmap(nothing=1), JSON),
        HttpRequest("create: validation unknown", "POST", there + "&fieldValidation=Perhaps", configmap(), JSON),
        *(HttpRequest(name, "PUT", HERE + "/http-one?dryRun=All", body, JSON) for name, body in named),
        HttpRequest("update: missing", "PUT", HERE + "/none", configmap(metadata={"name": "none", "uid": "x"}), JSON),
        *(HttpRequest(f"merge: {n}", "PATCH", HERE + "/http-one?dryRun=All", b, MERGE) for n, b in patches.items()),
        HttpRequest("merge: missing", "PATCH", HERE + "/none", b"{}", MERGE),
        HttpRequest("json patch: no array", "PATCH", HERE + "/http-one", b"{}", "application/json-patch+json"),
        HttpRequest("yaml: broken", "POST", there, b"a: [", "application/yaml"),
        HttpRequest("yaml: a tab", "POST", there, b"a:\n\t- b", "application/yaml"),
        HttpRequest("protobuf: broken", "POST", there, b"k8s\x00\xff", "application/vnd.kubernetes.protobuf"),
        HttpRequest("protobuf: no magic", "POST", there, b"{}", "application/vnd.kubernetes.protobuf"),
        HttpRequest("delete: broken", "DELETE", HERE + "/http-one?dryRun=All", b"{", JSON),
        HttpRequest("delete: wrong kind", "DELETE", HERE + "/http-one?dryRun=All", configmap(), JSON),
        HttpRequest("delete: too long", "DELETE", HERE + "/http-one?dryRun=All", b" " * (3 * 1024 * 1024 + 1), JSON),
    ]


def _options() -> list[HttpRequest]:
    queries = [
        "limit=x", "limit=-1", "continue=x", "labelSelector=a%3D%3D%3Db", "labelSelector=!", "fieldSelector=a%3Db",
        "fieldSelector=a", "resourceVersion=x", "resourceVersionMatch=Exact", "watch=perhaps", "timeoutSeconds=x",
        "watch=1&resourceVersion=x", "watch=1&labelSelector=!", "watch=1&sendInitialEvents=true",
        "watch=1&resourceVersionMatch=Exact&resourceVersion=1", "sendInitialEvents=true", "timeout=x", "%zz=1", "a;b=c",
        "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact", "watch=1&fieldSelector=a%3Db",
    ]  # fmt: skip
    return [
        *(HttpRequest(f"list ?{q}", "GET", f"{LEASES}?{q}") for q in queries),
        HttpRequest("create ?dryRun=x", "POST", HERE + "?dryRun=x", configmap(), JSON),
        HttpRequest("create ?dryRun=", "POST", HERE + "?dryRun=", configmap(metadata={}), JSON),
        HttpRequest("create ?fieldManager", "POST", HERE + "?dryRun=All&fieldManager=" + "m" * 129, configmap(), JSON),
        HttpRequest("delete ?grace", "DELETE", HERE + "/http-one?dryRun=All&gracePeriodSeconds=x"),
        HttpRequest("delete ?propagation", "DELETE", HERE + "/http-one?dryRun=All&propagationPolicy=x"),
        HttpRequest("delete ?orphan", "DELETE", HERE + "/http-one?dryRun=All&orphanDependents=x"),
        HttpRequest("create ?name", "POST", HERE + "?dryRun=All&name=x", configmap(), JSON),
    ]
