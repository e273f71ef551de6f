# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""The requests that a real kube-apiserver and our verbs are asked alike: one row, one fact.

`{ns}` is a namespace of this run's own. In bodies and URLs `$rv:x`, `$uid:x` and `$continue:x` stand for what the answer
saved as `x` had. Rows run in order; a later one may need what an earlier one left.
"""

from typing import Any, NamedTuple

JSON, MERGE, STRATEGIC, JSON_PATCH = (
    "application/json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
)


class Exchange(NamedTuple):
    id: str
    method: str
    url: str
    body: Any = None  # str: as it is; anything else: as JSON
    content_type: str = JSON
    save: str = ""


A = "/api/v1/namespaces/{ns}/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
NAMESPACES = "/api/v1/namespaces"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
REVIEWS = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"


def cm(name: Any = None, data: Any = None, **meta: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(meta)}
    if name is not None:
        found["metadata"]["name"] = name
    if data is not None:
        found["data"] = data
    return found


def post(id_: str, body: Any, url: str = A, save: str = "") -> Exchange:
    return Exchange(f"create: {id_}", "POST", url, body, save=save)


def put(id_: str, name: str, body: Any, url: str = A, save: str = "") -> Exchange:
    return Exchange(f"update: {id_}", "PUT", f"{url}/{name}", body, save=save)


def patch(id_: str, body: Any, content_type: str = MERGE, name: str = "u", url: str = A, query: str = "") -> Exchange:
    return Exchange(f"patch: {id_}", "PATCH", f"{url}/{name}{query}", body, content_type)


def delete(id_: str, name: str, body: Any = None, url: str = A, query: str = "") -> Exchange:
    return Exchange(f"delete: {id_}", "DELETE", f"{url}/{name}{query}", body)


def get(id_: str, url: str, save: str = "") -> Exchange:
    return Exchange(f"get: {id_}", "GET", url, save=save)


_BROKEN = {
    "nothing": "", "open": "{", "array": "[]", "string": '"x"', "no value": '{"a":}', "no key": '{"a":1,}',
    "bare key": "{a:1}", "cut array": "[1", "too much closed": '{"a":1}}', "half a literal": '{"a":tru}', "cut literal": "nul",
    "newline in a string": '{"a":"x\ny"}', "leading zero": '{"a":01}', "escape": '"\\q"', "no colon": '{"a" 1}',
    "no comma": '{"a":1 "b"}', "no comma in an array": '{"a":[1 2]}', "blank": "  ", "text behind": '{"metadata":{}} x',
}  # fmt: skip

_WRONG_TYPES = {
    "metadata array": {"metadata": []}, "name number": {"metadata": {"name": 1}},
    "generation text": {"metadata": {"name": "t", "generation": "x"}},
    "time text": {"metadata": {"name": "t", "creationTimestamp": "x"}},
    "label number": {"metadata": {"name": "t", "labels": {"a": 1}}},
    "labels array": {"metadata": {"name": "t", "labels": []}},
    "labels text": {"metadata": {"name": "t", "labels": "s"}},
    "finalizers text": {"metadata": {"name": "t", "finalizers": "s"}},
    "finalizer number": {"metadata": {"name": "t", "finalizers": [1]}},
    "owners object": {"metadata": {"name": "t", "ownerReferences": {}}},
    "owner text": {"metadata": {"name": "t", "ownerReferences": ["x"]}},
    "owner version number": {"metadata": {"name": "t", "ownerReferences": [{"apiVersion": 1}]}},
    "uid number": {"metadata": {"name": "t", "uid": 5}},
    "data array": {"metadata": {"name": "t"}, "data": []},
    "datum number": {"metadata": {"name": "t"}, "data": {"a": 1}},
    "apiVersion number": {"apiVersion": 1, "kind": "ConfigMap", "metadata": {"name": "t"}},
}  # fmt: skip

_BAD_METADATA: dict[str, dict[str, Any]] = {
    "finalizer unqualified": {"finalizers": ["a"]},
    "finalizers mixed": {"finalizers": ["a/b/c", "UPPER/x", "kubernetes", "a_b/c", "a/", "/b"]},
    "orphan and foreground": {"finalizers": ["orphan", "foregroundDeletion"]},
    "label key blank": {"labels": {"a b": "c"}}, "label value": {"labels": {"x": "-y"}},
    "label value long": {"labels": {"z": "q" * 64}}, "label key slashes": {"labels": {"p/q/r": ""}},
    "label key empty": {"labels": {"": "x"}}, "label name long": {"labels": {"x/" + "y" * 64: ""}},
    "label prefix empty": {"labels": {"/x": ""}}, "label prefix upper": {"labels": {"UP/x": ""}},
    "label prefix long": {"labels": {"a" * 254 + "/b": ""}},
    "annotation key": {"annotations": {"a b": "c"}}, "annotation prefix upper is fine": {"annotations": {"UP/x": "y"}},
    "annotations large": {"annotations": {"a": "c" * 262145}},
    "owner empty": {"ownerReferences": [{}]},
    "owner version": {"ownerReferences": [{"apiVersion": "a/b/c", "kind": "x", "name": "e", "uid": "u"}]},
    "owner version cut": {"ownerReferences": [{"apiVersion": "apps/", "kind": "x", "name": "e", "uid": "u"}]},
    "owner event": {"ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]},
    "two controllers": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "x", "name": "e", "uid": "u", "controller": True},
        {"apiVersion": "v1", "kind": "x", "name": "f", "uid": "v", "controller": True}]},
    "owner twice": {"ownerReferences": [{"apiVersion": "v1", "kind": "x", "name": "e", "uid": "u"}] * 2},
    "null annotation": {"annotations": {"a": None}}, "null label": {"labels": {"a": None}}, "null labels": {"labels": None},
    "generation negative": {"generation": -1},
    "own resourceVersion": {"resourceVersion": "5"}, "resourceVersion no number": {"resourceVersion": "x"},
    "what only the server sets": {
        "uid": "u", "creationTimestamp": "2020-01-01T00:00:00Z", "generation": 7, "selfLink": "x",
        "deletionTimestamp": "2020-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5},
}  # fmt: skip

_LABEL_SELECTORS = (
    "a in", "a in (", "a in (b", "a=b,", "!", "a b", "a>x", "=b", "a==", "a=b=c", "a!b", "in", "a,,b", "a in ()",
    "a notin (x,,y)", "a=" + "x" * 70, "A_/b=c", "a/b/c=d", "a>1,b<2", "-a=b", "a=-b", "a in (b) c", ", a", "a in (b)(c)",
    "a > 1", "x!=", "x in (a b)", "!a=b", "!a in (b)", "a===b", "a in (-x, -y)", "a>1,a>", "a<b", "a=b)", "n in (one,two)",
    "n notin (one)", "n!=one", "!n", "n", "v>1", "v<5", "n=one,v=2",
)  # fmt: skip
_FIELD_SELECTORS = (
    "a=b", "metadata.name", "metadata.name=a,", "metadata.name in (a)", "metadata.name!=s1", "metadata.name==s1",
    "status=1,metadata.name=b", "=", "metadata.name=a\\,b", "metadata.name=a\\x", "metadata.namespace=default", "a",
    "metadata.name=a=b", "metadata.name=a\\", " metadata.name = x", "foo= bar,metadata.name!==x",
)  # fmt: skip


def exchanges() -> list[Exchange]:
    return [*_creates(), *_updates(), *_patches(), *_deletes(), *_namespaces(), *_lists(), *_reviews()]


def _creates() -> list[Exchange]:
    return [
        *(post(f"broken JSON, {id_}", body) for id_, body in _BROKEN.items()),
        *(post(f"wrong type, {id_}", body) for id_, body in _WRONG_TYPES.items()),
        *(post(f"metadata, {id_}", cm(f"m{at}", **meta)) for at, (id_, meta) in enumerate(_BAD_METADATA.items())),
        post("null", "null"), post("empty object", {}), post("unknown field only", {"a": 1}),
        post("kind only", {"kind": "ConfigMap"}), post("version only", {"apiVersion": "v1"}),
        post("another kind", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}),
        post("another version", {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "x"}}),
        post("another group", {"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "x"}}),
        post("impossible group", {"apiVersion": "a/b/c", "kind": "ConfigMap", "metadata": {"name": "x"}}),
        post("another kind of another group", {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role"}),
        post("an event of the other group", {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "x"}},
             "/api/v1/namespaces/{ns}/events"),
        post("a config map as a lease", cm("x"), LEASES), post("a config map as a role", cm("x"), ROLES),
        post("no name", cm("")), post("null metadata", {"metadata": None}), post("bad name", cm("A_b")),
        post("long name", cm("x" * 254)), post("another namespace", cm("a", namespace="other")),
        post("unknown namespace", cm("a"), "/api/v1/namespaces/nope-at-all/configmaps"),
        post("no namespace", cm("a"), "/api/v1/configmaps"),
        post("plain", cm("plain", {"a": "b"}), save="plain"), post("exists", cm("plain")),
        post("generateName bad", cm(generateName="Gen-")),
        post("empty members vanish", cm("empties", {}, labels={}, annotations={}, finalizers=[], ownerReferences=[])),
        post("dry run", cm("dry"), A + "?dryRun=All"),
        post("bad fieldValidation", cm("dry"), A + "?fieldValidation=foo"),
        post("long fieldManager", cm("dry"), A + "?fieldManager=" + "x" * 129),
        post("control character in fieldManager", cm("dry"), A + "?fieldManager=a%00b"),
        post("strict", {**cm("dry", bar=2), "foo": 1}, A + "?fieldValidation=Strict"),
        post("warn", {**cm("dry", bar=2), "foo": 1}, A + "?fieldValidation=Warn&dryRun=All"),
        post("ignore", {**cm("dry", bar=2), "foo": 1}, A + "?fieldValidation=Ignore&dryRun=All"),
        Exchange("create: on an object", "POST", A + "/plain", cm("plain")),
        Exchange("create: on a subresource that is not", "POST", A + "/plain/status", cm("plain")),
        Exchange("create: unknown resource", "POST", "/api/v1/nonsense", {}),
        post("role name", {"metadata": {"name": "a/b%"}, "rules": []}, ROLES),
        post("role name of dots", {"metadata": {"name": ".."}, "rules": []}, ROLES),
    ]  # fmt: skip


def _updates() -> list[Exchange]:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l1"}, "spec": {}}
    held = {**lease, "spec": {"holderIdentity": "x"}}
    return [
        post("for updates", cm("u", {"a": "b"}), save="u"),
        put("no change", "u", cm("u", {"a": "b"}, resourceVersion="$rv:u"), save="same"),
        put("name mismatch", "u", cm("u2")), put("no name", "u", cm("")),
        put("namespace mismatch", "u", cm("u", namespace="x")), put("old version", "u", cm("u", resourceVersion="1")),
        put("version no number", "u", cm("u", resourceVersion="abc")), put("another uid", "u", cm("u", uid="abc")),
        put("another uid and version", "u", cm("u", uid="abc", resourceVersion="1")),
        put("deletionTimestamp", "u", cm("u", deletionTimestamp="2020-01-01T00:00:00Z", deletionGracePeriodSeconds=3)),
        put("grace period", "u", cm("u", {"a": "b"}, deletionGracePeriodSeconds=3)),
        put("what only the server sets", "u", cm("u", {"a": "b"}, creationTimestamp="2020-01-01T00:00:00Z", generation=9)),
        put("generateName", "u", cm("u", {"a": "b"}, generateName="foo")),
        put("missing", "nope", cm("nope")), put("missing with uid", "nope", cm("nope", uid="x")),
        put("missing with version", "nope", cm("nope", resourceVersion="1")),
        put("creates a lease", "l1", lease, LEASES), put("lease without version", "l1", held, LEASES),
        put("lease with another uid", "l1", {**lease, "metadata": {"name": "l1", "uid": "5"}}, LEASES),
        put("creates a lease despite its version", "l2", {"metadata": {"name": "l2", "resourceVersion": "5"}, "spec": {}},
            LEASES),
        put("creates in an unknown namespace", "l1", lease, LEASES.replace("{ns}", "nope-at-all")),
        put("unknown namespace", "a", cm("a"), "/api/v1/namespaces/nope-at-all/configmaps"),
        put("subresource that is not", "u/status", cm("u")), put("empty object", "u", {}), put("empty body", "u", ""),
        put("another kind", "u", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "u"}}),
        put("bad label", "u", cm("u", labels={"a b": "c"})), put("bad options", "u?fieldValidation=x", cm("u")),
        put("finalizer and data", "u", cm("u", {"x": "y"}, finalizers=["x.com/a"])),
        put("dry run", "u?dryRun=All", cm("u", {"x": "z"}, finalizers=["x.com/a"])),
        Exchange("update: a collection", "PUT", A, cm("u")),
    ]  # fmt: skip


def _patches() -> list[Exchange]:
    def steps(id_: str, *found: Any, query: str = "") -> Exchange:
        return patch(f"JSON, {id_}", list(found), JSON_PATCH, query=query)

    def op(op_: str, path: str, **more: Any) -> dict[str, Any]:
        return {"op": op_, "path": path, **more}

    def strategic(id_: str, body: Any) -> Exchange:
        return patch(f"strategic, {id_}", body, STRATEGIC)

    return [
        patch("merge", {"data": {"k": "v"}}), patch("merge, broken", "{"), patch("merge, array", "[]"),
        patch("merge, empty", ""), patch("merge, null", "null"), patch("merge, string", '"x"'),
        patch("merge, no value", '{"a":}'), patch("merge, wrong type", {"data": {"k": 1}}),
        patch("merge, wrong type of all", {"data": []}), patch("merge, name", {"metadata": {"name": "zzz"}}),
        patch("merge, namespace", {"metadata": {"namespace": "zzz"}}), patch("merge, uid", {"metadata": {"uid": "zzz"}}),
        patch("merge, old version", {"metadata": {"resourceVersion": "1"}}),
        patch("merge, version no number", {"metadata": {"resourceVersion": "x"}}),
        patch("merge, no version", {"metadata": {"resourceVersion": None}}), patch("merge, kind", {"kind": "ServiceAccount"}),
        patch("merge, apiVersion", {"apiVersion": "v2"}), patch("merge, no kind", {"kind": None}),
        patch("merge, no metadata", {"metadata": None}), patch("merge, no name", {"metadata": {"name": None}}),
        patch("merge, empty name", {"metadata": {"name": ""}}),
        patch("merge, what only the server sets", {"metadata": {"creationTimestamp": None, "uid": None, "generation": 5}}),
        patch("merge, no namespace", {"metadata": {"namespace": None}}),
        patch("merge, version 0", {"metadata": {"resourceVersion": "0"}}), patch("merge, unknown field", {"foo": 1}),
        patch("merge, strict", {"foo": 1}, query="?fieldValidation=Strict"), patch("merge, nothing", {}),
        patch("merge, missing", {}, name="nope"), patch("merge, missing and broken", "{", name="nope"),
        patch("merge, force", {}, query="?force=true"), patch("merge, dry run", {"data": {"d": "e"}}, query="?dryRun=All"),
        patch("lease without version", {"spec": {"holderIdentity": "y"}}, name="l1", url=LEASES),
        steps("test fails", op("test", "/data/x", value="q")), steps("remove absent", op("remove", "/data/zz")),
        steps("unknown operation", op("foo", "/data/zz")), patch("JSON, object", "{}", JSON_PATCH),
        patch("JSON, broken", "[", JSON_PATCH), steps("nothing"), steps("no parent", op("add", "/q/zz", value=1)),
        steps("no slash", op("add", "data/zz", value=1)), steps("no value", op("add", "/data/zz")), steps("no path", {"op": "add"}),
        steps("replace absent", op("replace", "/data/nn", value="x")), steps("move", op("move", "/data/x", **{"from": "/data/nn"})),
        steps("copy absent", op("copy", "/data/x", **{"from": "/data/nn"})),
        steps("copy and test", op("copy", "/data/k2", **{"from": "/data/k"}), op("test", "/data/k2", value="v")),
        steps("index beyond", op("add", "/metadata/finalizers/9", value="x")),
        steps("no index", op("add", "/metadata/finalizers/x", value="x")),
        steps("test absent is null", op("test", "/data/none", value=None)),
        steps("whole document", op("replace", "", value={})), steps("remove all", op("remove", "")), steps("number", 1),
        steps("null", None), steps("op number", {"op": 1}), steps("path number", {"op": "add", "path": 1}),
        steps("too many", *[op("test", "/data/k", value="v")] * 10001),
        steps("append", op("add", "/metadata/finalizers/-", value="y.com/b"), op("remove", "/metadata/finalizers/-1")),
        steps("unknown field", op("add", "/foo", value=1), query="?fieldValidation=Strict"),
        steps("nested copy", op("add", "/data", value={"x": "y"}), op("copy", "/data/a", **{"from": "/data"})),
        strategic("labels and finalizer", {"metadata": {"labels": {"a": "b"}, "finalizers": ["y.com/z"]}}),
        strategic("delete from list", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["y.com/z"]}}),
        strategic("order", {"metadata": {"$setElementOrder/finalizers": ["z.com/z", "x.com/a"], "finalizers": ["z.com/z"]}}),
        strategic("order broken", {"metadata": {"$setElementOrder/finalizers": ["x.com/a"], "finalizers": ["q.com/z"]}}),
        strategic("replace map", {"data": {"$patch": "replace", "q": "r"}}), strategic("unknown directive", {"$patch": "bogus"}),
        strategic("delete map", {"data": {"$patch": "delete"}}), strategic("array", "[]"), strategic("empty", ""),
        strategic("broken", '{"a":}'), strategic("owner incomplete", {"metadata": {"ownerReferences": [{"name": "x"}]}}),
        strategic("wrong type", {"data": {"k": 1}}),
        *(strategic(f"wrong type, {id_}", {"metadata": meta}) for id_, meta in {
            "slice from string": {"finalizers": "x"}, "slice from map": {"finalizers": {}}, "map from slice": {"labels": []},
            "map from string": {"labels": "x"}, "struct from string": {"ownerReferences": ["x"]}}.items()),
 strategic("unknown field", {"foo": 1}), strategic("nothing", {}),
        strategic("old version", {"metadata": {"resourceVersion": "1"}}), strategic("no metadata", {"metadata": None}),
        strategic("add owner", {"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}]}}),
        strategic("merge owner", {"metadata": {"ownerReferences": [{"uid": "1", "name": "b"}, {
            "apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "2"}]}}),
        strategic("delete owner", {"metadata": {"ownerReferences": [{"uid": "1", "$patch": "delete"}]}}),
        strategic("replace owners", {"metadata": {"ownerReferences": [
            {"$patch": "replace"}, {"apiVersion": "v1", "kind": "ConfigMap", "name": "d", "uid": "3"}]}}),
        get("after patches", A + "/u"), Exchange("patch: a collection", "PATCH", A, {}, MERGE),
    ]  # fmt: skip


def _deletes() -> list[Exchange]:
    marked = {"metadata": {"finalizers": ["a.com/b"]}}
    return [
        delete("missing", "nope"),
        *(post(f"for deletion {n}", cm(f"d{n}", labels={"d": str(n)}), save=f"d{n}") for n in range(9)),
        delete("plain", "d0"), delete("another uid", "d1", {"preconditions": {"uid": "x"}}),
        delete("another version", "d1", {"preconditions": {"resourceVersion": "1"}}), delete("broken", "d1", "{"),
        delete("array", "d1", "[]"), delete("policy unknown", "d1", {"propagationPolicy": "Foo"}),
        delete("both policies", "d1", {"propagationPolicy": "Orphan", "orphanDependents": True}),
        delete("grace text", "d1", {"gracePeriodSeconds": "x"}), delete("dry run unknown", "d1", {"dryRun": ["foo"]}),
        delete("dry run text", "d1", {"dryRun": "All"}), delete("dry run", "d1", {"dryRun": ["All"]}),
        delete("another kind", "d1", {"kind": "Foo", "apiVersion": "v1"}),
        delete("uid number", "d1", {"preconditions": {"uid": 1}}), delete("orphan text", "d1", {"orphanDependents": "x"}),
        delete("right uid", "d1", {"preconditions": {"uid": "$uid:d1"}}), delete("negative grace", "d2", {"gracePeriodSeconds": -1}),
        delete("foreground", "d3", {"propagationPolicy": "Foreground"}), get("foreground", A + "/d3"),
        delete("foreground then background", "d3", {"propagationPolicy": "Background"}), delete("again", "d3"),
        delete("orphan", "d4", {"propagationPolicy": "Orphan"}),
        delete("orphan then background", "d4", {"propagationPolicy": "Background"}),
        patch("a finalizer", marked, name="d5"), delete("with finalizer", "d5"), delete("with finalizer, again", "d5"),
        patch("one more while going", {"metadata": {"finalizers": ["a.com/b", "c.com/d"]}}, name="d5"),
        patch("a label while going", {"metadata": {"labels": {"z": "y"}}}, name="d5"),
        patch("the last finalizer goes", {"metadata": {"finalizers": None}}, name="d5"), get("gone", A + "/d5"),
        patch("a finalizer for d6", marked, name="d6"), delete("grace", "d6", {"gracePeriodSeconds": 7}),
        delete("orphan while going", "d6", {"propagationPolicy": "Orphan"}),
        put("the last finalizer goes", "d6", cm("d6")), delete("dry run by query", "d7", query="?dryRun=All"),
        delete("of the collection with uid", "", {"preconditions": {"uid": "zz"}}, query="?labelSelector=d").
        _replace(url=A + "?labelSelector=d"),
        Exchange("delete: a collection, broken", "DELETE", A + "?labelSelector=d", "{"),
        Exchange("delete: a collection, selector", "DELETE", A + "?fieldSelector=foo=bar"),
        Exchange("delete: a collection, dry run", "DELETE", A + "?labelSelector=d&dryRun=All"),
        Exchange("delete: a collection", "DELETE", A + "?labelSelector=d"),
        Exchange("delete: an empty collection", "DELETE", A + "?labelSelector=d"),
        Exchange("delete: all namespaces' collection", "DELETE", "/api/v1/configmaps"),
    ]  # fmt: skip


def _namespaces() -> list[Exchange]:
    one = NAMESPACES + "/{ns}-one"
    named = {"metadata": {"name": "{ns}-one"}}
    return [
        post("namespace name", {"metadata": {"name": "A.b"}}, NAMESPACES),
        post("namespace name long", {"metadata": {"name": "a" * 64}}, NAMESPACES),
        post("namespace finalizer", {"metadata": {"name": "{ns}-x"}, "spec": {"finalizers": ["x"]}}, NAMESPACES),
        post("namespace dry run", {"metadata": {"name": "{ns}-dry"}}, NAMESPACES + "?dryRun=All"),
        post("namespace", {"metadata": {"name": "{ns}-one", "namespace": "foo"}}, NAMESPACES, save="one"),
        get("namespace status", one + "/status"), get("namespace finalize", one + "/finalize"),
        put("namespace spec is kept", "{ns}-one", {**named, "spec": {"finalizers": []}}, NAMESPACES),
        put("namespace label is set", "{ns}-one", {"metadata": {"name": "{ns}-one", "labels": {
            "kubernetes.io/metadata.name": "foo"}}}, NAMESPACES),
        patch("namespace phase", {"status": {"phase": "Terminating"}}, name="{ns}-one/status", url=NAMESPACES),
        patch("namespace status and more", {"status": {"phase": "Active"}, "spec": {"finalizers": []}, "metadata": {
            "labels": {"x": "y"}}}, name="{ns}-one/status", url=NAMESPACES),
        patch("namespace finalize", {}, name="{ns}-one/finalize", url=NAMESPACES),
        post("in the namespace", cm("a"), one + "/configmaps"), delete("namespace uid", "{ns}-one", {
            "preconditions": {"uid": "x"}}, NAMESPACES),
        delete("namespace version", "{ns}-one", {"preconditions": {"resourceVersion": "1"}}, NAMESPACES),
        delete("namespace", "{ns}-one", None, NAMESPACES), delete("namespace again", "{ns}-one", None, NAMESPACES),
        post("in a terminating namespace", cm("b"), one + "/configmaps"),
        put("in a terminating namespace", "a", cm("a", {"a": "b"}), one + "/configmaps"),
        put("creates in a terminating namespace", "l1", {"metadata": {"name": "l1"}, "spec": {}},
            LEASES.replace("{ns}", "{ns}-one")),
        delete("in a terminating namespace", "a", None, one + "/configmaps"),
        put("namespace finalizer unknown", "{ns}-one/finalize", {**named, "spec": {"finalizers": ["bogus"]}}, NAMESPACES),
        put("namespace finalize", "{ns}-one/finalize", {**named, "spec": {}}, NAMESPACES), get("namespace gone", one),
        delete("namespace default", "default", None, NAMESPACES), delete("kube-system", "kube-system", None, NAMESPACES),
        delete("namespace missing", "nope-at-all", None, NAMESPACES),
        Exchange("delete: all namespaces", "DELETE", NAMESPACES),
    ]  # fmt: skip


def _lists() -> list[Exchange]:
    here = LEASES  # nothing else makes or deletes leases from here on
    rows = [("s1", "one", "1"), ("s2", "two", "2"), ("s3", "one", "7")]
    return [
        *(post(f"for lists {n}", {"metadata": {"name": n, "labels": {"n": label, "v": v}}, "spec": {}}, here)
          for n, label, v in rows),
        post("for lists s4", {"metadata": {"name": "s4"}, "spec": {}}, here),
        *(get(f"label selector {s}", f"{here}?labelSelector={quoted(s)}") for s in _LABEL_SELECTORS),
        *(get(f"field selector {s}", f"{here}?fieldSelector={quoted(s)}") for s in _FIELD_SELECTORS),
        get("field of namespaces", NAMESPACES + "?fieldSelector=foo%3Dbar"),
        get("field of secrets", "/api/v1/namespaces/{ns}/secrets?fieldSelector=foo%3Dbar"),
        get("page 1", here + "?limit=2", save="page"), get("page 2", here + "?limit=2&continue=$continue:page", save="page2"),
        get("page 3", here + "?limit=2&continue=$continue:page2"),
        get("continue with version", here + "?continue=$continue:page&resourceVersion=5"),
        get("continue with match", here + "?continue=$continue:page&resourceVersionMatch=Exact"),
        get("page with selector", here + "?limit=1&labelSelector=n=one"),
        get("exact 0", here + "?resourceVersion=0&resourceVersionMatch=Exact"),
        get("match alone", here + "?resourceVersionMatch=Exact"), get("no number", here + "?resourceVersion=x"),
        get("unknown match", here + "?resourceVersion=5&resourceVersionMatch=Foo"), get("negative", here + "?resourceVersion=-1"),
        get("too many digits", here + "?resourceVersion=99999999999999999999999"), get("any", here + "?resourceVersion=0"),
        get("one, no number", here + "/s1?resourceVersion=x"), get("one, old", here + "/s1?resourceVersion=1"),
        get("too large", here + "?resourceVersion=9223372036854775806"),
        get("one, too large", here + "/s1?resourceVersion=9223372036854775806"),
        get("nothing there", "/api/v1/namespaces/nope-at-all/configmaps"), get("missing", here + "/nope"),
        get("namespaced without namespace", "/api/v1/configmaps/foo"),
        get("a namespace in a namespace", "/api/v1/namespaces/{ns}/namespaces"),
    ]  # fmt: skip


def quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _reviews() -> list[Exchange]:
    both = {"resourceAttributes": {}, "nonResourceAttributes": {}}
    local = REVIEWS + "/namespaces/{ns}/localsubjectaccessreviews"
    attributes = {"verb": "get", "resource": "pods", "namespace": "{ns}"}
    mine, any_ = REVIEWS + "/selfsubjectaccessreviews", REVIEWS + "/subjectaccessreviews"
    return [
        post("review, myself", {"spec": {"resourceAttributes": attributes}}, mine), post("review, nothing", {"spec": {}}, mine),
        post("review, both", {"spec": both}, mine), post("review, no subject", {"spec": {"resourceAttributes": attributes}}, any_),
        post("review, local of another", {"spec": {"resourceAttributes": {"namespace": "other"}, "user": "jane"}}, local),
        post("review, local without resource", {"spec": {"nonResourceAttributes": {"verb": "get"}, "user": "jane"}}, local),
        post("rules, no namespace", {"spec": {}}, REVIEWS + "/selfsubjectrulesreviews"),
        post("review, who am I", {}, AUTHENTICATION + "/selfsubjectreviews"),
        post("token review", {"spec": {"token": "x"}}, AUTHENTICATION + "/tokenreviews"),
        post("token review, no token", {"spec": {}}, AUTHENTICATION + "/tokenreviews"),
        get("reviews", AUTHENTICATION + "/tokenreviews"),
    ]  # fmt: skip
