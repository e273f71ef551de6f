# ruff: noqa: E501 - a table: one row per fact is worth long lines
"""The audit log of the same requests, a real kube-apiserver's and ours, record by record.

    python -m tests.differential.audit policy                  # write it to a file and start kube-apiserver with it
    python -m tests.differential.audit REAL-KUBECONFIG REAL-LOG  # --audit-log-path, --audit-log-mode=blocking

Ours is started here. Each request has an Audit-ID of its own, by which its records are found. Compared is everything but
times, uids, versions and the name of whoever is logged in. Exit code 1 if anything differs that is not known.
"""

import http.client
import json
import secrets
import ssl
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.clients.tier import Tier
from tests.differential.compare import masked

_LATENCY = "apiserver.latency.k8s.io/"  # of requests that took over half a second there
LEVELS = ("none", "meta", "request", "all", "lean")
# The end of a row's name → why it differs and stays so.
_FRONT = "the front answers this itself: nobody had to decide"
_MODE = "which mode of impersonation it was is told of some requests only there, of all here"
KNOWN: Mapping[str, str] = {
    "create, strict": "here what was sent is told also where it cannot be decoded",
    "create, warned": "here what was sent is told as it was, unknown fields too",
    "secret": "here what was sent is told as it was: stringData",
    "head": _FRONT, "apply, no manager": _FRONT, "patch of another type": _FRONT, "options": _FRONT,
    "nobody, open": _FRONT, "version": _FRONT, "ready": _FRONT, "nothing": _FRONT, "nothing, written": _FRONT,
    "no log of nothing": _FRONT,
    "as an account": _MODE, "who": _MODE, "own rules": _MODE, "forbidden path": _MODE,
    "as nobody, wrongly": "there the message shows a value of Go",
    "basic": "here a credential that is none is refused, there it makes an anonymous user",
}  # fmt: skip

POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [
        {"level": "None", "namespaces": ["audit-none"]},
        {"level": "None", "nonResourceURLs": ["/livez*", "/api"]},
        {"level": "Request", "namespaces": ["audit-request"], "omitStages": ["RequestReceived"]},
        {"level": "RequestResponse", "namespaces": ["audit-all"]},
        {"level": "RequestResponse", "omitManagedFields": True, "namespaces": ["audit-lean"]},
        {"level": "None", "users": ["audit-carol"], "verbs": ["get"]},
        {"level": "Request", "userGroups": ["audit-watched"], "resources": [{"group": "", "resources": ["nodes"]}]},
        {
            "level": "RequestResponse",
            "resources": [
                {"group": "authentication.k8s.io"},
                {"group": "authorization.k8s.io"},
                {"group": "rbac.authorization.k8s.io", "resources": ["clusterroles"], "resourceNames": ["audit-role"]},
            ],
        },
        {"level": "Metadata"},
    ],
}


class Row(NamedTuple):
    name: str
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = {}
    leaves_early: bool = False  # a watch that the client ends


MERGE, STRATEGIC, APPLY, PATCH = (
    f"application/{each}"
    for each in ("merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml", "json-patch+json")
)
POD = {"serviceAccountName": "s", "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]}


def cm(name: str = "", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name} if name else {}, **more}


def _in_namespace(level: str) -> list[Row]:
    base = f"/api/v1/namespaces/audit-{level}"
    maps, typed = f"{base}/configmaps", {"Content-Type": MERGE}
    apps = f"/apis/apps/v1/namespaces/audit-{level}/deployments"
    labels = {"matchLabels": {"a": "b"}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
    deployment = {"metadata": {"name": "d"}, "spec": {"selector": labels, "template": template}}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    scale = {"metadata": {"name": "d", "namespace": f"audit-{level}"}, "spec": {"replicas": 2}}
    account = {"spec": {"audiences": ["x"], "expirationSeconds": 600}}
    found = [
        Row("create", "POST", maps, cm("a", data={"k": "v"})),
        Row("create again", "POST", maps, cm("a")),
        Row("create, name made", "POST", maps, {"metadata": {"generateName": "g-"}}),
        Row("create, invalid", "POST", maps, cm("A B")),
        Row("create, not JSON", "POST", maps, "{"),
        Row("create, dry run", "POST", f"{maps}?dryRun=All&fieldManager=x", cm("dry")),
        Row("create, strict", "POST", f"{maps}?fieldValidation=Strict", cm("s", wrong=1)),
        Row("create, warned", "POST", f"{maps}?fieldValidation=Warn", cm("w", wrong=1)),
        Row("get", "GET", f"{maps}/a"),
        Row("get as a table", "GET", f"{maps}/a", headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}),
        Row("get nothing", "GET", f"{maps}/none"),
        Row("head", "HEAD", f"{maps}/a"),
        Row("list", "GET", maps),
        Row("list, limited", "GET", f"{maps}?limit=1"),
        Row("list, by name", "GET", f"{maps}?fieldSelector=metadata.name%3Da"),
        Row("list, by label", "GET", f"{maps}?labelSelector=x%3Dy"),
        Row("list, wrongly", "GET", f"{maps}?labelSelector=%3D%3D"),
        Row("watch", "GET", f"{maps}?watch=1&timeoutSeconds=1"),
        Row("watch, by name", "GET", f"{maps}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Da"),
        Row("watch of old", "GET", f"/api/v1/watch/namespaces/audit-{level}/configmaps?timeoutSeconds=1"),
        Row("watch, left", "GET", f"{maps}?watch=1", leaves_early=True),
        Row("update", "PUT", f"{maps}/a", cm("a", data={"k": "w"})),
        Row("update, another name", "PUT", f"{maps}/a", cm("b")),
        Row("update, conflict", "PUT", f"{maps}/a", {**cm("a"), "metadata": {"name": "a", "resourceVersion": "1"}}),
        Row("update nothing", "PUT", f"{maps}/none", {**cm("none"), "metadata": {"name": "none", "uid": "1-2"}}),
        Row("merge patch", "PATCH", f"{maps}/a", {"data": {"x": "y"}}, typed),
        Row("strategic patch", "PATCH", f"{maps}/a", {"data": {"x": "z"}}, {"Content-Type": STRATEGIC}),
        Row("JSON patch", "PATCH", f"{maps}/a", [{"op": "remove", "path": "/data/x"}], {"Content-Type": PATCH}),
        Row(
            "JSON patch, failing",
            "PATCH",
            f"{maps}/a",
            [{"op": "test", "path": "/q", "value": 1}],
            {"Content-Type": PATCH},
        ),
        Row("apply", "PATCH", f"{maps}/b?fieldManager=m", cm("b", data={"q": "1"}), {"Content-Type": APPLY}),
        Row("apply, no manager", "PATCH", f"{maps}/b", cm("b"), {"Content-Type": APPLY}),
        Row("patch of another type", "PATCH", f"{maps}/a", {}, {"Content-Type": "text/plain"}),
        Row("account", "POST", f"{base}/serviceaccounts", {"metadata": {"name": "s"}}),
        Row("pod", "POST", f"{base}/pods", {"metadata": {"name": "p"}, "spec": POD}),
        Row("pod's status", "PATCH", f"{base}/pods/p/status", {"status": {"phase": "Running"}}, typed),
        Row("no log of nothing", "GET", f"{base}/pods/none/log"),
        Row(
            "binding",
            "POST",
            f"{base}/pods/p/binding",
            {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}},
        ),
        Row("eviction", "POST", f"{base}/pods/p/eviction?dryRun=All", eviction),
        Row("deployment", "POST", apps, deployment),
        Row("scale", "GET", f"{apps}/d/scale"),
        Row("scale up", "PUT", f"{apps}/d/scale", scale),
        Row("scale patch", "PATCH", f"{apps}/d/scale", {"spec": {"replicas": 3}}, typed),
        Row("no subresource", "GET", f"{apps}/d/nothing"),
        Row("secret", "POST", f"{base}/secrets", {"metadata": {"name": "s"}, "stringData": {"k": "v"}}),
        Row("token", "POST", f"{base}/serviceaccounts/s/token", account),
        Row("token of nobody", "POST", f"{base}/serviceaccounts/none/token", account),
        Row("delete", "DELETE", f"{maps}/b"),
        Row("delete, options", "DELETE", f"{maps}/a?gracePeriodSeconds=0", {"propagationPolicy": "Background"}),
        Row("delete, wrong uid", "DELETE", f"{maps}/w", {"preconditions": {"uid": "0-0"}}),
        Row("delete nothing", "DELETE", f"{maps}/none"),
        Row("delete all", "DELETE", f"{maps}?labelSelector=x%3Dy"),
        Row("no such resource", "GET", f"{base}/nothings"),
        Row("no such verb", "PUT", maps, cm("a")),
        Row(
            "local review",
            "POST",
            f"/apis/authorization.k8s.io/v1/namespaces/audit-{level}/localsubjectaccessreviews",
            _review(level),
        ),
    ]
    return [each._replace(name=f"{level}: {each.name}") for each in found]


def _review(namespace: str = "") -> dict[str, Any]:
    wanted = {"verb": "get", "resource": "pods", **({"namespace": f"audit-{namespace}"} if namespace else {})}
    return {"spec": {"user": "ann", "resourceAttributes": wanted}}


def _outside() -> list[Row]:
    access, role = "/apis/authorization.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    ann, bob, carol = ({"Impersonate-User": f"audit-{name}"} for name in ("ann", "bob", "carol"))
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "audit-role"}
    subjects = [
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": f"audit-{n}"} for n in ("ann", "carol")
    ]
    rule = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps", "nodes"]}
    maps = "/api/v1/namespaces/audit-all/configmaps"
    return [
        Row("role", "POST", role, {"metadata": {"name": "audit-role"}, "rules": [rule]}),
        Row("another role", "POST", role, {"metadata": {"name": "audit-other"}, "rules": [rule]}),
        Row("binding", "POST", bindings, {"metadata": {"name": "audit"}, "roleRef": reference, "subjects": subjects}),
        Row("role again", "GET", f"{role}/audit-role"),
        Row("as ann, allowed", "GET", f"{maps}/kube-root-ca.crt-none", headers=ann),
        Row("as ann, forbidden", "GET", "/api/v1/namespaces/audit-all/secrets", headers=ann),
        Row("as ann, forbidden to write", "POST", maps, cm("secret", data={"not": "told"}), ann),
        Row("as ann, forbidden to patch", "PATCH", f"{maps}/a", {"data": {"not": "told"}}, {**ann, "Content-Type": MERGE}),
        Row("as bob, forbidden", "GET", maps, headers=bob),
        Row("as carol", "GET", f"{maps}/x", headers=carol),
        Row("as carol, list", "GET", "/api/v1/nodes", headers=carol),
        Row("as a group", "GET", "/api/v1/nodes", headers={**ann, "Impersonate-Group": "audit-watched"}),
        Row("as with extra", "GET", "/api/v1/nodes", headers={**ann, "Impersonate-Extra-Scopes": "a", "Impersonate-Uid": "7"}),
        Row("as nobody, wrongly", "GET", "/api/v1/nodes", headers={"Impersonate-Group": "x"}),
        Row("as an account", "GET", "/api/v1/nodes", headers={"Impersonate-User": "system:serviceaccount:default:default"}),
        Row("unknown token", "GET", "/api/v1/nodes", headers={"Authorization": "Bearer nonsense"}),
        Row("basic", "GET", "/api/v1/nodes", headers={"Authorization": "Basic YTpi"}),
        Row("nobody", "GET", "/api/v1/nodes", headers={"Authorization": ""}),
        Row("nobody, open", "GET", "/version", headers={"Authorization": ""}),
        Row("review", "POST", f"{access}/subjectaccessreviews", _review()),
        Row("own review", "POST", f"{access}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}),
        Row("own rules", "POST", f"{access}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}, ann),
        Row("who", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, ann),
        Row("token review", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "nonsense"}}),
        Row("version", "GET", "/version"),
        Row("health", "GET", "/livez"),
        Row("ready", "GET", "/readyz?verbose"),
        Row("api", "GET", "/api"),
        Row("apis", "GET", "/apis"),
        Row("a group", "GET", "/apis/apps"),
        Row("resources", "GET", "/apis/apps/v1"),
        Row("openapi", "GET", "/openapi/v3"),
        Row("nothing", "GET", "/nothing/here"),
        Row("nothing, written", "POST", "/nothing/here", {"a": 1}),
        Row("forbidden path", "GET", "/metrics", headers=ann),
        Row("namespace", "GET", "/api/v1/namespaces/audit-meta"),
        Row("namespace patched", "PATCH", "/api/v1/namespaces/audit-all", {"metadata": {"labels": {"x": "y"}}}, {"Content-Type": MERGE}),
        Row("namespaces", "GET", "/api/v1/namespaces?limit=1"),
        Row("all namespaces", "GET", "/api/v1/configmaps?limit=1"),
        Row("deprecated", "GET", "/api/v1/namespaces/audit-meta/endpoints"),
        Row("component statuses", "GET", "/api/v1/componentstatuses?labelSelector=a%3Db"),
        Row("user agent", "GET", "/api/v1/nodes/none", headers={"User-Agent": "x" * 1100}),
        Row("forwarded", "GET", "/api/v1/nodes/none", headers={"X-Forwarded-For": "10.1.2.3, 10.9.9.9", "X-Real-Ip": "10.1.2.4"}),
        Row("options", "OPTIONS", "/api/v1/nodes"),
        Row("namespace deleted", "DELETE", "/api/v1/namespaces/audit-meta"),
    ]  # fmt: skip


def rows() -> Sequence[Row]:
    namespaces = [
        Row(f"namespace {each}", "POST", "/api/v1/namespaces", {"metadata": {"name": f"audit-{each}"}})
        for each in LEVELS
    ]
    return [*namespaces, *(row for level in LEVELS for row in _in_namespace(level)), *_outside()]


class Server:
    """One of the two; `log` grows as it answers."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        found = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
        self._address, _, prefix = found.partition("/")
        self.prefix = f"/{prefix}" if prefix else ""
        self._token, self._log = config["users"][0]["user"]["token"], log
        self.run = secrets.token_hex(4)

    def ask(self, number: int, row: Row) -> int:
        connection = http.client.HTTPSConnection(self._address, context=ssl._create_unverified_context(), timeout=20)
        text = row.body if isinstance(row.body, str) else json.dumps(row.body)
        body = text.encode() if row.body is not None else b""
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": "audit", "Audit-ID": self._id(number)}
        headers |= {"Content-Type": "application/json"} if body else {}
        headers = {name: value for name, value in {**headers, **row.headers}.items() if value}
        try:
            connection.request(row.method, self.prefix + row.path, body or None, headers)
            response = connection.getresponse()
            if not row.leaves_early:
                response.read()
            return response.status
        finally:
            connection.close()

    def _id(self, number: int) -> str:
        return f"{self.run}-{number}"

    def records(self, asked: Sequence[Row]) -> dict[int, list[Any]]:
        """By row, in the order of the log."""
        found: dict[int, list[Any]] = {number: [] for number in range(len(asked))}
        for line in self._log.read_text().splitlines():
            event = json.loads(line)
            run, _, number = event["auditID"].partition("-")
            if run == self.run and number.isdigit():
                found[int(number)].append(self._comparable(event, asked[int(number)]))
        return found

    def _comparable(self, event: dict[str, Any], row: Row) -> Any:
        del event["auditID"]
        for member in ("requestReceivedTimestamp", "stageTimestamp"):
            event[member] = bool(event.get(member))
        event["requestURI"] = event["requestURI"].removeprefix(self.prefix)
        if "system:masters" in event.get("user", {}).get("groups", ()):
            event["user"] = {"who": "administrator"}
        annotations = {
            k: v for k, v in (event.get("annotations") or {}).items() if k != "kcp.io/cluster" and _LATENCY not in k
        }
        annotations = {k: v if "credential-id" not in k else "ID" for k, v in annotations.items()}
        event["annotations"] = annotations
        for member in ("requestObject", "responseObject", "responseStatus"):
            if member in event:
                event[member] = masked(event[member], 200)
        if isinstance(sent := event.get("requestObject"), dict) and row.method != "PATCH":
            event["requestObject"] = _as_sent(sent, row.body)
        if "details" in (status := event.get("responseStatus", {})) and not status["details"]:
            del status["details"]
        response = event.get("responseObject")
        if isinstance(response, dict) and "generateName" in response.get("metadata", {}):
            response["metadata"]["name"] = "made"
        if isinstance(response, dict) and response.get("kind") == "Table":
            response["rows"] = [each["cells"][0] for each in response["rows"]]
            del response["columnDefinitions"]
        if isinstance(response, dict) and response.get("kind") == "ConfigMapList":
            response["items"] = [e for e in response["items"] if e["metadata"]["name"] in ("a", "b", "s", "w")]
            response["metadata"].pop("remainingItemCount", None)
        if isinstance(response, dict) and response.get("kind") == "SelfSubjectRulesReview":
            rules = response["status"]["resourceRules"]
            response["status"]["resourceRules"] = sorted(rules, key=json.dumps)
        if isinstance(response, dict) and response.get("kind") == "TokenRequest":
            response["status"] = sorted(response.get("status", {}))
        return event


def _as_sent(found: Any, sent: Any) -> Any:
    """Without what kube-apiserver has filled in before it makes the record."""
    if isinstance(found, dict) and isinstance(sent, dict):
        return {key: _as_sent(value, sent[key]) for key, value in found.items() if key in sent}
    if isinstance(found, list) and isinstance(sent, list) and len(found) == len(sent):
        return [_as_sent(*pair) for pair in zip(found, sent, strict=True)]
    return found


def compare(real: Server, ours: Server) -> int:
    asked = rows()
    codes = [(real.ask(number, row), ours.ask(number, row)) for number, row in enumerate(asked)]
    time.sleep(2)  # what was left early, and what is gathered
    theirs, mine = real.records(asked), ours.records(asked)
    differing = known = 0
    for number, row in enumerate(asked):
        if theirs[number] == mine[number]:
            continue
        if row.name.rpartition(": ")[2] in KNOWN:
            known += 1
            continue
        differing += 1
        print(f"{row.name}: {row.method} {row.path} {codes[number]}")
        for line in _differences(theirs[number], mine[number]):
            print(f"    {line}")
    events = sum(map(len, theirs.values()))
    print(
        f"{len(asked) - differing - known} of {len(asked)} requests are recorded alike ({events} records there), "
        f"{known} differ as known, {differing} otherwise"
    )
    return 1 if differing else 0


def _differences(theirs: Any, mine: Any, path: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        return [
            line
            for key in sorted({*theirs, *mine})
            for line in _differences(theirs.get(key, "—"), mine.get(key, "—"), f"{path}.{key}")
        ]
    if isinstance(theirs, list) and isinstance(mine, list) and len(theirs) == len(mine):
        return [
            line
            for n, pair in enumerate(zip(theirs, mine, strict=True))
            for line in _differences(*pair, f"{path}[{n}]")
        ]
    if theirs == mine:
        return []
    return [f"{path}: there {json.dumps(theirs)[:300]}", f"{path}: here  {json.dumps(mine)[:300]}"]


def main() -> int:
    if sys.argv[1:] == ["policy"]:
        print(yaml.safe_dump(dict(POLICY)))
        return 0
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    real = Server(Path(sys.argv[1]), Path(sys.argv[2]))
    with tempfile.TemporaryDirectory(prefix="kcp-audit-") as directory:
        policy, log = Path(directory) / "policy.yaml", Path(directory) / "audit.log"
        policy.write_text(yaml.safe_dump(dict(POLICY)))
        options = ["--shards", "1", "--fronts", "1", "--api-set", "full", "--audit-policy-file", str(policy)]
        tier = Tier(Path(directory) / "kcp", *options, "--audit-log-path", str(log))
        tier.start()
        try:
            return compare(real, Server(tier.kubeconfig, log.with_name("audit-front-1.log")))
        finally:
            tier.kill()


if __name__ == "__main__":
    sys.exit(main())
