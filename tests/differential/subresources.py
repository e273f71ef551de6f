# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""Requests on subresources that are no objects of their kind: scale, binding, eviction, connections to nodes, and the
two parts of a pod that change after it runs.
"""

from collections.abc import Iterator
from typing import Any

from tests.differential.exchanges import JSON, JSON_PATCH, MERGE, STRATEGIC, Exchange

APPLY = "application/apply-patch+yaml"
NS = "/api/v1/namespaces/{ns}"
PODS = f"{NS}/pods"
APPS = "/apis/apps/v1/namespaces/{ns}"
BUDGETS = "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}
SELECTOR = {"matchLabels": {"app": "a"}}


def subresources() -> list[Exchange]:
    parts = {
        "scale": _scale(),
        "binding": _binding(),
        "eviction": _eviction(),
        "connection": _connections(),
        "pod": _pods(),
        "status": _statuses(),
    }
    return [
        row._replace(id=row.id and f"{part} {place}: {row.id}")
        for part, rows in parts.items()
        for place, row in enumerate(rows)
    ]


def _made(url: str, name: str, **members: Any) -> Exchange:
    meta = {"name": name, **members.pop("metadata", {})}
    return Exchange("", "POST", url, {"metadata": meta, **members}, save=name.replace("-", ""))


def _scale() -> Iterator[Exchange]:
    spec = {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}
    odd = {
        "matchLabels": {"app": "a"},
        "matchExpressions": [
            {"key": "z", "operator": "NotIn", "values": ["y", "x"]},
            {"key": "app", "operator": "Exists"},
        ],
    }
    yield _made(f"{APPS}/deployments", "d", spec={**spec, "selector": odd})
    yield _made(f"{APPS}/replicasets", "rs", spec=spec)
    yield _made(f"{APPS}/statefulsets", "sts", spec={**spec, "serviceName": "x", "replicas": 0})
    yield _made(f"{NS}/replicationcontrollers", "rc", spec={"replicas": 2, "template": TEMPLATE})
    for place in (
        f"{APPS}/deployments/d",
        f"{APPS}/replicasets/rs",
        f"{APPS}/statefulsets/sts",
        f"{NS}/replicationcontrollers/rc",
        f"{APPS}/deployments/nope",
    ):
        yield from _scale_of(place)
    yield Exchange("of a daemon set", "GET", f"{APPS}/daemonsets/x/scale")


def _scale_of(place: str) -> Iterator[Exchange]:
    name = place.rpartition("/")[2]

    def scale(replicas: Any, **meta: Any) -> dict[str, Any]:
        spec = {} if replicas is None else {"replicas": replicas}
        return {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": name, "namespace": "{ns}", **meta},
            "spec": spec,
        }

    def ask(id_: str, method: str, body: Any = None, query: str = "", content_type: str = JSON) -> Exchange:
        return Exchange(f"{name} {id_}", method, f"{place}/scale{query}", body, content_type)

    yield ask("get", "GET")
    yield ask("put", "PUT", scale(5))
    yield Exchange(f"{name} after put", "GET", place)
    yield ask("put by another", "PUT", scale(6), "?fieldManager=other")
    yield ask("put the same", "PUT", scale(6), "?fieldManager=third")
    yield ask("negative", "PUT", scale(-1))
    yield ask("a word", "PUT", scale("x"))
    yield ask("unknown field", "PUT", {**scale(6), "x": 1}, "?fieldValidation=Strict")
    yield ask("unknown field is warned of", "PUT", {**scale(6), "x": 1}, "?fieldValidation=Warn")
    yield ask("other version", "PUT", scale(4, resourceVersion="1"))
    yield ask("other uid", "PUT", scale(4, uid="zz"))
    yield ask("other name", "PUT", scale(4) | {"metadata": {"name": "other"}})
    yield ask("no name", "PUT", scale(4) | {"metadata": {}})
    yield ask("other namespace", "PUT", scale(4, namespace="x"))
    yield ask("dry run", "PUT", scale(9), "?dryRun=All")
    yield ask("after dry run", "GET")
    yield ask("another kind", "PUT", {"apiVersion": "apps/v1", "kind": "Scale", "metadata": {"name": name}})
    yield ask("merge", "PATCH", {"spec": {"replicas": 7}}, content_type=MERGE)
    yield ask("strategic", "PATCH", {"spec": {"replicas": 8}}, content_type=STRATEGIC)
    yield ask("json patch", "PATCH", [{"op": "replace", "path": "/spec/replicas", "value": 6}], content_type=JSON_PATCH)
    yield ask(
        "json patch of nothing", "PATCH", [{"op": "replace", "path": "/spec/x/y", "value": 6}], content_type=JSON_PATCH
    )
    yield ask("merge with force", "PATCH", {"spec": {"replicas": 7}}, "?force=true", MERGE)
    applied = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}, "spec": {"replicas": 5}}
    yield ask("apply", "PATCH", applied, "?fieldManager=m1", APPLY)
    yield ask("apply the same value", "PATCH", applied | {"spec": {"replicas": 6}}, "?fieldManager=m1", APPLY)
    yield ask("apply by force", "PATCH", applied, "?fieldManager=m2&force=true", APPLY)
    yield Exchange(f"{name} after apply", "GET", place)
    yield ask("apply again", "PATCH", applied | {"spec": {"replicas": 4}}, "?fieldManager=m2", APPLY)
    yield ask("apply without manager", "PATCH", applied, "", APPLY)
    yield ask("apply by another", "PATCH", applied, "?fieldManager=m3", APPLY)
    yield ask("no replicas", "PUT", scale(None))
    yield Exchange(f"{name} after no replicas", "GET", place)
    yield ask("delete", "DELETE")
    yield ask("post", "POST", scale(1))


def _pod(name: str, **spec: Any) -> Exchange:
    found = {"containers": [{"name": "a", "image": "x"}], "automountServiceAccountToken": False, **spec}
    return _made(PODS, name, metadata={"labels": {"a": "b"}}, spec=found)


def _binding() -> Iterator[Exchange]:
    for name in ("ba", "bb", "bd", "be"):
        yield _pod(name)
    yield _pod("bc", schedulingGates=[{"name": "g"}])
    labels = {"topology.kubernetes.io/zone": "z1", "topology.kubernetes.io/region": "r1", "other": "x"}
    yield Exchange("", "POST", "/api/v1/nodes", {"metadata": {"name": "{ns}-n", "labels": labels}})

    def binding(name: str, target: Any = None, **meta: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, **meta},
            "target": target or {"kind": "Node", "name": "n1"},
        }

    def bind(id_: str, name: str, body: Any, query: str = "") -> Exchange:
        return Exchange(id_, "POST", f"{PODS}/{name}/binding{query}", body)

    yield bind("dry run", "ba", binding("ba"), "?dryRun=All")
    yield bind("with labels and annotations", "ba", binding("ba", annotations={"x": "y"}, labels={"l": "m"}))
    yield Exchange("bound", "GET", f"{PODS}/ba")
    yield bind("twice", "ba", binding("ba"))
    yield bind("another name", "bb", binding("bc"))
    yield bind("to something else", "bb", binding("bb", {"kind": "Foo", "name": "n"}))
    yield bind("to nothing", "bb", binding("bb", {"kind": "", "name": ""}))
    yield bind("of another uid", "bb", binding("bb", uid="xx"))
    yield bind("of another version", "bb", binding("bb", resourceVersion="1"))
    yield bind("gated", "bc", binding("bc"))
    yield bind("of no pod", "nope", binding("nope"))
    yield bind("without name", "bb", {"target": {"name": "n2"}})
    yield bind("another kind", "bb", {"kind": "Pod", "apiVersion": "v1", "target": {"name": "n2"}})
    yield bind("unknown field", "bb", {**binding("bb"), "x": 1}, "?fieldValidation=Strict")
    yield bind("other namespace", "bb", binding("bb", namespace="x"))
    yield bind("to a node with a place", "be", binding("be", {"kind": "Node", "name": "{ns}-n"}))
    yield Exchange("with the node's place", "GET", f"{PODS}/be")
    yield Exchange("older form", "POST", f"{NS}/bindings", binding("bd"))
    yield Exchange("bound by the older form", "GET", f"{PODS}/bd")
    yield Exchange("older form without name", "POST", f"{NS}/bindings", {**binding(""), "metadata": {}})
    yield Exchange("list", "GET", f"{NS}/bindings")
    yield Exchange("get", "GET", f"{PODS}/ba/binding")
    yield Exchange("put", "PUT", f"{PODS}/ba/binding", binding("ba"))


def _eviction() -> Iterator[Exchange]:
    for name in ("ea", "eb", "ec"):
        yield _pod(name)
    for name in ("er1", "er2", "er3", "er4"):
        yield _pod(name, nodeName="n1")

    def evict(id_: str, name: str, query: str = "", **members: Any) -> Exchange:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **members}
        return Exchange(id_, "POST", f"{PODS}/{name}/eviction{query}", body)

    yield evict("of no pod", "nope")
    yield Exchange(
        "another name",
        "POST",
        f"{PODS}/ea/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "x"}},
    )
    yield Exchange("empty", "POST", f"{PODS}/ea/eviction", {})
    yield evict("dry run", "ea", "?dryRun=All")
    yield evict("dry run in its options", "ea", deleteOptions={"dryRun": ["All"]})
    yield evict("of another uid", "ea", deleteOptions={"preconditions": {"uid": "x"}})
    yield evict("of another version", "ea", deleteOptions={"preconditions": {"resourceVersion": "1"}})
    yield evict("wrong options", "ea", deleteOptions={"propagationPolicy": "x"})
    yield Exchange("another kind", "POST", f"{PODS}/ea/eviction", {"apiVersion": "v1", "kind": "Pod"})
    yield evict("pending", "ea")
    yield Exchange("gone", "GET", f"{PODS}/ea")
    yield evict("old version", "eb", apiVersion="policy/v1beta1")
    yield Exchange("get", "GET", f"{PODS}/ec/eviction")
    running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    for name in ("er1", "er2", "er3", "er4"):
        yield _status(PODS, name, running)
    yield evict("running without budget", "er1", deleteOptions={"gracePeriodSeconds": 5})
    yield Exchange("going", "GET", f"{PODS}/er1")
    yield evict("going already", "er1")
    yield Exchange(
        "",
        "POST",
        BUDGETS,
        {"metadata": {"name": "d1"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}},
    )
    yield evict("budget not looked at", "er2")
    told = {"observedGeneration": 1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
    condition = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "SyncFailed",
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    yield _status(BUDGETS, "d1", {**told, "disruptionsAllowed": 0})
    yield evict("none allowed", "er2")
    yield _status(BUDGETS, "d1", {**told, "disruptionsAllowed": 0, "conditions": [condition]})
    yield evict("sync failed", "er2")
    yield _status(
        BUDGETS,
        "d1",
        {**told, "currentHealthy": 5, "disruptionsAllowed": 0, "conditions": [{**condition, "reason": "Else"}]},
    )
    yield evict("says why", "er2")
    yield _status(BUDGETS, "d1", {**told, "currentHealthy": 5, "disruptionsAllowed": 0})
    yield evict("does not say why", "er2")
    yield _status(BUDGETS, "d1", {**told, "disruptionsAllowed": 1})
    yield evict("allowed, dry run", "er2", "?dryRun=All")
    yield evict("allowed", "er2")
    yield Exchange("the budget after it", "GET", f"{BUDGETS}/d1")
    yield Exchange("the pod after it", "GET", f"{PODS}/er2")
    yield evict("no more allowed", "er3")
    yield _status(PODS, "er3", {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]})
    yield evict("unready under a healthy budget", "er3", "?dryRun=All")
    yield _status(BUDGETS, "d1", {**told, "currentHealthy": 0, "disruptionsAllowed": 0})
    yield evict("unready under an unhealthy budget", "er3")
    yield Exchange("", "PATCH", f"{BUDGETS}/d1", {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}, MERGE)
    yield evict("unready, always allowed", "er3")
    yield Exchange(
        "",
        "POST",
        BUDGETS,
        {"metadata": {"name": "d2"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}},
    )
    yield evict("two budgets", "er4")
    yield _status(PODS, "er4", {"phase": "Succeeded"})
    yield evict("done", "er4")


def _status(url: str, name: str, status: Any) -> Exchange:
    return Exchange(
        "",
        "PATCH",
        f"{url}/{name}/status",
        {"status": {**_CLEARED, **status} if url == PODS else {"conditions": None, **status}},
        MERGE,
    )


_CLEARED = {"conditions": None}


def _connections() -> Iterator[Exchange]:
    yield _pod(
        "two",
        containers=[{"name": "a", "image": "x"}, {"name": "b", "image": "x"}],
        initContainers=[{"name": "i", "image": "x"}],
    )
    yield _pod("one")
    yield _pod("lost", nodeName="ghost")
    yield _pod("placed", nodeName="{ns}-n")
    for name in ("nope", "two", "one", "lost", "placed"):
        place = f"{PODS}/{name}"
        for part in (
            "log",
            "log?container=a",
            "log?container=zz",
            "log?tailLines=-1&container=a",
            "log?tailLines=x",
            "log?limitBytes=0&container=a",
            "log?sinceSeconds=0&container=a",
        ):
            yield Exchange(f"{name} {part}", "GET", f"{place}/{part}")
        for part in (
            "exec?command=ls&stdout=1",
            "exec?command=ls&container=a&stdout=1",
            "exec?command=ls&container=zz&stdout=1",
            "attach?stdout=1&container=a",
            "attach",
            "portforward",
            "proxy",
        ):
            yield Exchange(f"{name} {part}", "POST", f"{place}/{part}")
            yield Exchange(f"{name} get {part}", "GET", f"{place}/{part}")
        for method, part in (
            ("PUT", "log"),
            ("POST", "log"),
            ("DELETE", "exec"),
            ("PUT", "portforward"),
            ("PATCH", "exec"),
        ):
            yield Exchange(
                f"{name} {method} {part}", method, f"{place}/{part}", content_type=MERGE if method == "PATCH" else JSON
            )
    for name in ("two:99", "https:one:99", "ftp:one:99"):
        yield Exchange(f"{name} proxy", "GET", f"{PODS}/{name}/proxy")
    for name in ("ghost", "{ns}-n", "ghost:10250", "https:{ns}-n:10250"):
        yield Exchange(f"node {name}", "GET", f"/api/v1/nodes/{name}/proxy")
    yield _made(f"{NS}/services", "sv", spec={"ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "o"}]})
    yield _made(f"{NS}/services", "sw", spec={"ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "o"}]})
    yield Exchange("", "POST", f"{NS}/endpoints", {"metadata": {"name": "sw"}})
    for name in (
        "nope",
        "sv",
        "sv:80",
        "sv:http",
        "sv:99",
        "http:sv:80",
        "sw",
        "sw:80",
        "sw:http",
        "ftp:sv:80",
        "a:b:c:d",
    ):
        yield Exchange(f"service {name}", "GET", f"{NS}/services/{name}/proxy")


def _pods() -> Iterator[Exchange]:
    yield _pod("pa", initContainers=[{"name": "i", "image": "x"}])
    yield _pod(
        "pb",
        containers=[
            {
                "name": "a",
                "image": "x",
                "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}},
            }
        ],
    )
    yield _pod("pg", containers=[{"name": "a", "image": "x", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}])

    def changed(
        id_: str, name: str, part: str, patch: Any, content_type: str = STRATEGIC, query: str = "?dryRun=All"
    ) -> Exchange:
        return Exchange(f"{part} {id_}", "PATCH", f"{PODS}/{name}/{part}{query}", patch, content_type)

    part = "ephemeralcontainers"
    added = {"name": "e", "image": "x"}
    for id_, containers in {
        "one": [added], "two": [added, {**added, "name": "f"}], "of a container": [{**added, "targetContainerName": "a"}], "of none": [{**added, "targetContainerName": "zz"}], "of a used name": [{**added, "name": "a"}],
        "of no name": [{"image": "x"}], "without image": [{"name": "e"}], "with ports": [{**added, "ports": [{"containerPort": 80}]}], "with resources": [{**added, "resources": {"limits": {"cpu": "1"}}}], "with probe": [{**added, "livenessProbe": {"exec": {"command": ["x"]}}}],
        "with lifecycle": [{**added, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}], "with a terminal": [{**added, "stdin": True, "tty": True}], "with a volume": [{**added, "volumeMounts": [{"name": "v", "mountPath": "/x"}]}], "with restart policy": [{**added, "restartPolicy": "Always"}],
        "with a privilege": [{**added, "securityContext": {"privileged": True}}],
    }.items():  # fmt: skip
        yield changed(id_, "pa", part, {"spec": {"ephemeralContainers": containers}})
    yield changed(
        "kept",
        "pa",
        part,
        {"spec": {"ephemeralContainers": [added], "activeDeadlineSeconds": 5}, "metadata": {"labels": {"x": "y"}}},
        query="",
    )
    yield changed("removed", "pa", part, {"spec": {"ephemeralContainers": None}}, MERGE)
    yield changed("changed", "pa", part, {"spec": {"ephemeralContainers": [{**added, "image": "y"}]}}, MERGE)
    yield changed("another added", "pa", part, {"spec": {"ephemeralContainers": [{"name": "g", "image": "z"}]}})
    yield Exchange(f"{part} get", "GET", f"{PODS}/pa/{part}")
    yield Exchange(f"{part} of none", "GET", f"{PODS}/nope/{part}")
    yield Exchange(
        "a pod's own update may not add one",
        "PATCH",
        f"{PODS}/pb",
        {"spec": {"ephemeralContainers": [added]}},
        STRATEGIC,
    )

    def resources(**lists: Any) -> Any:
        return {"spec": {"containers": [{"name": "a", "resources": lists}]}}

    for name in ("pa", "pb", "pg"):
        for id_, patch in {
            "more": resources(requests={"cpu": "1500m"}), "limits": resources(limits={"cpu": "3"}), "both": resources(limits={"cpu": "3", "memory": "2Gi"}, requests={"cpu": "3", "memory": "2Gi"}), "less than asked": resources(limits={"cpu": "1m"}), "storage": resources(requests={"ephemeral-storage": "1Gi"}),
            "none": {"spec": {"containers": [{"name": "a", "resources": None}]}}, "other fields": {"spec": {"containers": [{"name": "a", "image": "y"}]}, "metadata": {"labels": {"x": "y"}}}, "policy": {"spec": {"containers": [{"name": "a", "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}]}}, "negative": resources(requests={"cpu": "-1"}),
            "memory down": resources(limits={"memory": "1Mi"}), "unknown container": {"spec": {"containers": [{"name": "zz", "image": "x", "resources": {"limits": {"cpu": "1"}}}]}},
        }.items():  # fmt: skip
            yield changed(f"{name} {id_}", name, "resize", patch)
    yield changed("kept", "pb", "resize", resources(requests={"cpu": "1200m"}), query="")
    yield Exchange("after resize", "GET", f"{PODS}/pb")


def _statuses() -> Iterator[Exchange]:
    """Of kinds whose status anybody with the right may write."""
    yield _made(
        "/api/v1/namespaces/{ns}/persistentvolumeclaims",
        "pvc",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    )
    for id_, status in {"phase": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}, "conditions": {"conditions": [{"type": "Resizing", "status": "True"}]}, "resize": {"allocatedResources": {"storage": "2Gi"}}}.items():  # fmt: skip
        yield Exchange(
            f"claim {id_}",
            "PATCH",
            f"{NS}/persistentvolumeclaims/pvc/status",
            {"status": status, "spec": {"volumeName": "x"}},
            MERGE,
        )
    yield Exchange("get", "GET", f"{NS}/persistentvolumeclaims/pvc/status")
    for id_, status in {"replicas": {"replicas": 2, "readyReplicas": 1}, "negative": {"replicas": -1}, "conditions": {"conditions": [{"type": "Progressing", "status": "True"}]}}.items():  # fmt: skip
        yield Exchange(
            f"deployment {id_}",
            "PATCH",
            f"{APPS}/deployments/d/status",
            {"status": status, "spec": {"replicas": 99}, "metadata": {"labels": {"x": "y"}}},
            MERGE,
        )
    yield Exchange(
        "apply to status",
        "PATCH",
        f"{APPS}/deployments/d/status?fieldManager=s",
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "status": {"replicas": 5}},
        APPLY,
    )
    yield Exchange("after status", "GET", f"{APPS}/deployments/d")
