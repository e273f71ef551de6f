"""Generated roles, bindings and questions, put to a real kube-apiserver and to our verbs: may they, and why not.

    python -m tests.differential.rbac_matrix KUBECONFIG [--record]

Everything is created on both sides; then access reviews, rules reviews of impersonated users, real requests of
impersonated users (their 403 messages) and attempts to grant rights (escalation). Exit code 1 if anything differs.
`--record` writes the answers to a smaller matrix for the tests. `make differential-rbac KUBECONFIG=…` runs it.
"""

import asyncio
import gzip
import json
import random
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.compare import RealServer
from tests.differential.exchanges import JSON, Exchange

RECORD = Path(__file__).parents[1] / "golden" / "rbac.json.gz"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "use", "impersonate", "*")
GROUPS = ("", "apps", "batch", "example.com", "*")
RESOURCES = (
    "pods", "pods/log", "pods/exec", "configmaps", "secrets", "deployments", "deployments/scale", "jobs", "nodes",
    "widgets", "*/scale", "*/log", "*",
)  # fmt: skip
NAMES = ("a", "b", "c", "d")
URLS = ("/metrics", "/healthz", "/healthz/*", "/api*", "/logs/*", "/logs/", "*")
PATHS = ("/metrics", "/healthz", "/healthz/ping", "/api", "/apis/apps", "/logs", "/logs/x", "/logs/", "/", "/version")
USERS = tuple(f"mx-user-{n}" for n in range(24))
TEAMS = tuple(f"mx-team-{n}" for n in range(10))
NAMESPACES = tuple(f"mx-{n}" for n in range(5))
ACCOUNTS = ("builder", "deployer")
Document = dict[str, Any]


class Size(NamedTuple):
    roles: int  # of each kind
    bindings: int
    questions: int
    rules: int
    requests: int
    grants: int


WHOLE = Size(300, 300, 10_000, 200, 600, 600)
SMALL = Size(60, 60, 500, 20, 60, 80)


class Ask(NamedTuple):
    exchange: Exchange
    impersonation: Document | None = None


# --- what is generated


class Matrix:
    def __init__(self, seed: int, size: Size) -> None:
        self.rng, self.size = random.Random(seed), size
        self.objects = list(self._objects())
        self.asks = [*self._questions(), *self._rules_reviews(), *self._requests(), *self._grants()]

    def _some(self, pool: tuple[str, ...], most: int) -> list[str]:
        return self.rng.sample(pool, self.rng.randint(1, most))

    def _rule(self, clusterwide: bool) -> Document:
        rng = self.rng
        if clusterwide and rng.random() < 0.15:
            return {"verbs": self._some(VERBS, 2), "nonResourceURLs": self._some(URLS, 2)}
        rule: Document = {"verbs": self._some(VERBS, 4), "apiGroups": self._some(GROUPS, 2)}
        rule["resources"] = self._some(RESOURCES, 3)
        if rng.random() < 0.3:
            rule["resourceNames"] = self._some(NAMES, 2)
        return rule

    def _rules(self, clusterwide: bool) -> list[Document]:
        return [self._rule(clusterwide) for _ in range(self.rng.randint(0, 3))]

    def _subject(self) -> Document:
        rng = self.rng
        match rng.choice(("User", "User", "Group", "Group", "ServiceAccount")):
            case "User":
                return {"kind": "User", "apiGroup": GROUP, "name": rng.choice(USERS)}
            case "Group":
                return {"kind": "Group", "apiGroup": GROUP, "name": rng.choice(TEAMS)}
            case kind:
                return {"kind": kind, "name": rng.choice(ACCOUNTS), "namespace": rng.choice(NAMESPACES)}

    def _reference(self, kind: str) -> Document:
        names = ["system:discovery", "system:monitoring", "mx-gone"] if kind == "ClusterRole" else ["mx-gone"]
        number = self.rng.randrange(self.size.roles)
        name = self.rng.choice(names) if self.rng.random() < 0.06 else f"mx-{number}"
        return {"apiGroup": GROUP, "kind": kind, "name": name}

    def _objects(self) -> Iterator[Exchange]:
        rng, size = self.rng, self.size
        for name in NAMESPACES:
            yield _post("/api/v1/namespaces", {"metadata": {"name": name}})
        for n in range(size.roles):
            yield _post(f"{RBAC}/clusterroles", {"metadata": {"name": f"mx-{n}"}, "rules": self._rules(True)})
            place = f"{RBAC}/namespaces/{rng.choice(NAMESPACES)}/roles"
            yield _post(place, {"metadata": {"name": f"mx-{n}"}, "rules": self._rules(False)})
        for n in range(size.bindings):
            subjects = [self._subject() for _ in range(rng.randint(0, 2))]
            body = {"metadata": {"name": f"mx-{n}"}, "roleRef": self._reference("ClusterRole"), "subjects": subjects}
            yield _post(f"{RBAC}/clusterrolebindings", body)
            subjects = [self._subject() for _ in range(rng.randint(0, 3))]
            kind = rng.choice(("Role", "ClusterRole"))
            body = {"metadata": {"name": f"mx-{n}"}, "roleRef": self._reference(kind), "subjects": subjects}
            yield _post(f"{RBAC}/namespaces/{rng.choice(NAMESPACES)}/rolebindings", body)

    def _who(self) -> Document:
        rng = self.rng
        if rng.random() < 0.15:
            namespace = rng.choice(NAMESPACES)
            name = f"system:serviceaccount:{namespace}:{rng.choice(ACCOUNTS)}"
            return {"user": name, "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]}
        return {"user": rng.choice(USERS), "groups": rng.sample(TEAMS, rng.randint(0, 2))}

    def _questions(self) -> Iterator[Ask]:
        rng = self.rng
        for _ in range(self.size.questions):
            spec = self._who()
            if rng.random() < 0.12:
                spec["nonResourceAttributes"] = {"path": rng.choice(PATHS), "verb": rng.choice(VERBS[:-1])}
            else:
                spec["resourceAttributes"] = self._attributes()
            yield Ask(_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec}))

    def _attributes(self) -> Document:
        rng = self.rng
        resource, _, subresource = rng.choice([r for r in RESOURCES if "*" not in r] + ["replicasets/scale"]).partition(
            "/"
        )
        given = {
            "verb": rng.choice(VERBS),
            "group": rng.choice(GROUPS),
            "resource": rng.choice((resource, resource, resource, "*")),
            "subresource": subresource,
            "namespace": rng.choice((*NAMESPACES, "")),
            "name": rng.choice((*NAMES, "", "")),
        }
        return {key: value for key, value in given.items() if value}

    def _as(self) -> Document:
        who = self._who()
        return {"username": who["user"], "groups": who["groups"]}

    def _rules_reviews(self) -> Iterator[Ask]:
        for _ in range(self.size.rules):
            body = {"spec": {"namespace": self.rng.choice(NAMESPACES)}}
            yield Ask(_post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body), self._as())

    def _requests(self) -> Iterator[Ask]:
        rng = self.rng
        for _ in range(self.size.requests):
            collection = rng.choice(
                (
                    f"/api/v1/namespaces/{rng.choice(NAMESPACES)}/configmaps",
                    f"/api/v1/namespaces/{rng.choice(NAMESPACES)}/secrets",
                    "/api/v1/configmaps",
                    "/api/v1/namespaces",
                    f"{RBAC}/clusterroles",
                )
            )
            name = rng.choice(("", "/a", "/b"))
            if collection == "/api/v1/configmaps":
                name = ""
            method = rng.choice(("GET", "DELETE")) if name else "GET"
            query = rng.choice(("", "?fieldSelector=metadata.name%3Da")) if not name else "?dryRun=All"
            yield Ask(
                Exchange("", method, collection + name + (query if method == "DELETE" or not name else "")), self._as()
            )

    def _grants(self) -> Iterator[Ask]:
        rng = self.rng
        for n in range(self.size.grants):
            namespace, meta = rng.choice(NAMESPACES), {"name": f"mx-try-{n}"}
            match rng.choice(("clusterroles", "roles", "clusterrolebindings", "rolebindings", "update")):
                case "clusterroles":
                    url, body = f"{RBAC}/clusterroles", {"metadata": meta, "rules": self._rules(True)}
                    if rng.random() < 0.2:
                        body["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {"mx": "x"}}]}
                case "roles":
                    url = f"{RBAC}/namespaces/{namespace}/roles"
                    body = {"metadata": meta, "rules": self._rules(False)}
                case "clusterrolebindings":
                    url = f"{RBAC}/clusterrolebindings"
                    body = {"metadata": meta, "roleRef": self._reference("ClusterRole")}
                case "rolebindings":
                    url = f"{RBAC}/namespaces/{namespace}/rolebindings"
                    body = {"metadata": meta, "roleRef": self._reference(rng.choice(("Role", "ClusterRole")))}
                case _:
                    name = f"mx-{rng.randrange(self.size.roles)}"
                    body = {"metadata": {"name": name}, "rules": self._rules(True)}
                    yield Ask(Exchange("", "PUT", f"{RBAC}/clusterroles/{name}?dryRun=All", body), self._granter())
                    continue
            yield Ask(_post(f"{url}?dryRun=All", body), self._granter())

    def _granter(self) -> Document:
        """Somebody who may write roles and bindings; see `writers`."""
        who = self._as()
        return {"username": who["username"], "groups": [*who["groups"], "mx-writers"]}


def writers() -> list[Exchange]:
    """What lets everybody of the group mx-writers write roles and bindings."""
    rule = {"verbs": ["create", "update"], "apiGroups": [GROUP], "resources": ["*"]}
    subject = {"kind": "Group", "apiGroup": GROUP, "name": "mx-writers"}
    reference = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "mx-writers"}
    return [
        _post(f"{RBAC}/clusterroles", {"metadata": {"name": "mx-writers"}, "rules": [rule]}),
        _post(
            f"{RBAC}/clusterrolebindings",
            {"metadata": {"name": "mx-writers"}, "roleRef": reference, "subjects": [subject]},
        ),
    ]


def _post(url: str, body: Document) -> Exchange:
    return Exchange("", "POST", url, body, JSON)


# --- what is compared

_FAULT = r'(?:cluster)?role(?:binding)?s?\.rbac\.authorization\.k8s\.io "[^"]+" not found'
_FAULTS = re.compile(rf"\[?(?:{_FAULT}(?:, )?)+\]?")


def essence(code: int, document: Any) -> Any:
    """Code and what was decided. Which of several bindings allowed something, and the order in which missing roles are
    named, kube-apiserver leaves to chance."""
    if code >= 400:
        return [code, _sorted_faults(document["message"]), document.get("reason"), document.get("details")]
    status = document.get("status") if isinstance(document, dict) else None
    if document.get("kind") == "SubjectAccessReview":
        reason = "" if status["allowed"] else status.get("reason", "")
        return [code, status["allowed"], _sorted_faults(reason)]
    if document.get("kind") == "SelfSubjectRulesReview":
        rules = [json.dumps(rule, sort_keys=True) for rule in status["resourceRules"] + status["nonResourceRules"]]
        return [code, sorted(rules), status["incomplete"], _sorted_faults(status.get("evaluationError", ""))]
    return [code]


def _sorted_faults(text: str) -> str:
    def in_order(found: re.Match[str]) -> str:
        return ", ".join(sorted(re.findall(_FAULT, found[0])))

    return _FAULTS.sub(in_order, text)


class Ours:
    def __init__(self) -> None:
        self.client = ApiClient(memory_shard(api_set="full"))

    async def ask(self, ask: Ask) -> Any:
        exchange = ask.exchange
        request = self.client.request(exchange.method, exchange.url, exchange.body, exchange.content_type)
        if ask.impersonation is not None:
            request.impersonation = orjson.dumps(ask.impersonation)
        reply = await self.client.send(request)
        return essence(reply.code, reply.json)


class Real:
    def __init__(self, kubeconfig: str) -> None:
        self._server = RealServer(kubeconfig)

    async def ask(self, ask: Ask) -> Any:
        headers: dict[str, str] = {}
        exchange = ask.exchange
        if ask.impersonation is not None:
            headers["Impersonate-User"] = ask.impersonation["username"]
            # One header line for each group: http.client joins none.
            headers.update({_spelled("Impersonate-Group", n): g for n, g in enumerate(ask.impersonation["groups"])})
        code, document, _ = self._server.ask(exchange, headers)
        return essence(code, document)


def _spelled(name: str, number: int) -> str:
    """The same header under another key of a dictionary: HTTP does not mind case."""
    return "".join(c.upper() if number >> i & 1 else c.lower() for i, c in enumerate(name))


async def settled(real: Callable[[Ask], Awaitable[Any]]) -> None:
    """The real server's caches follow its writes a little later."""
    review = {
        "spec": {"groups": ["mx-writers"], "resourceAttributes": {"verb": "create", "group": GROUP, "resource": "x"}}
    }
    for _ in range(100):
        if (await real(Ask(_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review))))[1]:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)


async def compare(kubeconfig: str, size: Size, seed: int, record: bool) -> int:
    matrix = Matrix(seed, size)
    real, ours = Real(kubeconfig), Ours()
    for exchange in (*matrix.objects, *writers()):
        answers = [await side.ask(Ask(exchange)) for side in (real, ours)]
        if answers[0] != answers[1] and answers[0][0] != 409:
            print("differs at creation:", exchange, *answers)
    await settled(real.ask)
    differ, recorded = 0, []
    for ask in matrix.asks:
        wanted, found = await real.ask(ask), json.loads(json.dumps(await ours.ask(ask)))
        recorded.append(wanted)
        if found != wanted:
            differ += 1
            if differ <= 20:
                print(f"{ask}\n  real {wanted}\n  ours {found}")
    allowed = sum(a[:2] == [201, True] for a in recorded)
    print(f"{len(matrix.objects)} objects, {len(matrix.asks)} questions ({allowed} reviews allowed): {differ} differ")
    if record:
        RECORD.write_bytes(gzip.compress(json.dumps({"seed": seed, "answers": recorded}).encode(), mtime=0))
    await clean(real)
    return 1 if differ else 0


async def clean(real: Real) -> None:
    for name in NAMESPACES:
        for kind in ("roles", "rolebindings"):
            await real.ask(Ask(Exchange("", "DELETE", f"{RBAC}/namespaces/{name}/{kind}")))
    for kind in ("clusterroles", "clusterrolebindings"):
        for number in (*range(max(WHOLE.roles, SMALL.roles)), "writers"):
            await real.ask(Ask(Exchange("", "DELETE", f"{RBAC}/{kind}/mx-{number}")))


def main() -> int:
    record = "--record" in sys.argv
    size, seed = (SMALL, 7) if record else (WHOLE, 1)
    return asyncio.run(compare(sys.argv[1], size, seed, record))


if __name__ == "__main__":
    sys.exit(main())
