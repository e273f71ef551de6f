"""Sequences of writes by several managers, put to a real kube-apiserver and to our verbs: who owns what afterwards.

    python -m tests.differential.managed_fields KUBECONFIG [SEQUENCES [SEED]]

Each sequence creates one object and then updates, patches and applies it. After every step code, message, causes,
object and managedFields (times only by their presence) are compared. `make differential-fields KUBECONFIG=…` runs it.
"""

import asyncio
import json
import random
import secrets
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.compare import RealServer, as_it_should_be, masked
from tests.differential.exchanges import JSON, JSON_PATCH, MERGE, STRATEGIC, Exchange

APPLY = "application/apply-patch+yaml"
MANAGERS = ("alpha", "beta", "kubectl")
AGENTS = ("kubectl/v1.36.3 (linux)", "operator/2", "")
LAST = "kubectl.kubernetes.io/last-applied-configuration"
Document = dict[str, Any]


class Kind(NamedTuple):
    name: str
    api_version: str
    url: str  # of the collection
    body: Callable[[random.Random], Document]  # everything but metadata
    status: Callable[[random.Random], Document] | None = None
    versioned: bool = False  # an update names its resourceVersion


class Step(NamedTuple):
    exchange: Exchange
    agent: str


def _some(rng: random.Random, pool: Document) -> Document:
    return {key: rng.choice(values) for key, values in pool.items() if rng.random() < 0.5}


def _maybe(rng: random.Random, document: Document, chance: float = 0.6) -> Document:
    return {key: value for key, value in document.items() if rng.random() < chance}


WORDS = {"a": ["1", "2"], "b": ["1", "2"], "c": ["1", ""], "d": ["3"]}
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]},
]


def _configmap(rng: random.Random) -> Document:
    return _maybe(rng, {"data": _some(rng, WORDS), "binaryData": _some(rng, {"x": ["YQ==", "Yg=="], "y": ["YQ=="]})})


def _secret(rng: random.Random) -> Document:
    pool = {"x": ["YQ==", "Yg=="], "y": ["YQ=="], "z": ["Yw=="]}
    found = _maybe(rng, {"data": _some(rng, pool), "stringData": _some(rng, {"x": ["a", "q"], "s": ["t"]})})
    return found | ({"type": "Opaque"} if rng.random() < 0.3 else {})


def _account(rng: random.Random) -> Document:
    names = [{"name": n} for n in rng.sample(["s1", "s2", "s3"], rng.randint(0, 3))]
    pulls = [{"name": n} for n in rng.sample(["p1", "p2"], rng.randint(0, 2))]
    flag = rng.choice([True, False])
    return _maybe(rng, {"secrets": names, "imagePullSecrets": pulls, "automountServiceAccountToken": flag})


def _lease(rng: random.Random) -> Document:
    spec = {
        "holderIdentity": ["x", "y"],
        "leaseDurationSeconds": [10, 20],
        "leaseTransitions": [1, 2],
        "renewTime": ["2024-01-01T00:00:00.000000Z", "2024-01-02T00:00:00.000000Z"],
    }
    return {"spec": _some(rng, spec)}


def _quota(rng: random.Random) -> Document:
    hard = _some(rng, {"pods": ["1", "2"], "cpu": ["1", "1000m", "500m"], "configmaps": ["5"]})
    return {"spec": {"hard": hard}}


def _quota_status(rng: random.Random) -> Document:
    return {"status": _maybe(rng, {"hard": _some(rng, {"pods": ["1", "2"]}), "used": _some(rng, {"pods": ["0", "1"]})})}


def _limits(rng: random.Random) -> Document:
    types = rng.sample(["Container", "Pod"], rng.randint(1, 2))
    return {"spec": {"limits": [{"type": t, "max": {"cpu": rng.choice(["1", "2"])}} for t in types]}}


def _role(rng: random.Random) -> Document:
    return _maybe(rng, {"rules": rng.sample(RULES, rng.randint(1, 2))})


def _cluster_role(rng: random.Random) -> Document:
    selectors = [{"matchLabels": {"a": rng.choice("xy")}}]
    return _role(rng) | ({"aggregationRule": {"clusterRoleSelectors": selectors}} if rng.random() < 0.3 else {})


def _binding(rng: random.Random) -> Document:
    users = rng.sample(["u", "v", "w"], rng.randint(0, 3))
    subjects = [{"kind": "User", "name": u, "apiGroup": "rbac.authorization.k8s.io"} for u in users]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    return _maybe(rng, {"subjects": subjects}) | {"roleRef": role}


def _event(rng: random.Random) -> Document:
    about = {"involvedObject": {"kind": "Pod", "namespace": "{ns}", "name": "p"}}
    pool = {"reason": ["R", "S"], "message": ["m", "n"], "count": [1, 2], "type": ["Normal", "Warning"]}
    return about | _some(rng, pool)


def _nothing(rng: random.Random) -> Document:
    return {}


def _namespace_status(rng: random.Random) -> Document:
    conditions = [{"type": "NamespaceContentRemaining", "status": rng.choice(["True", "False"])}]
    return {"status": {"conditions": rng.choice([conditions, []]), "phase": "Active"}}


_CORE, _RBAC = "/api/v1/namespaces/{ns}", "/apis/rbac.authorization.k8s.io/v1"
_V1, _RBAC_V1 = "v1", "rbac.authorization.k8s.io/v1"
KINDS = (
    Kind("ConfigMap", _V1, _CORE + "/configmaps", _configmap),
    Kind("Secret", _V1, _CORE + "/secrets", _secret),
    Kind("ServiceAccount", _V1, _CORE + "/serviceaccounts", _account),
    Kind("Lease", "coordination.k8s.io/v1", "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases", _lease, None, True),
    Kind("ResourceQuota", _V1, _CORE + "/resourcequotas", _quota, _quota_status),
    Kind("LimitRange", _V1, _CORE + "/limitranges", _limits),
    Kind("Role", _RBAC_V1, _RBAC + "/namespaces/{ns}/roles", _role),
    Kind("ClusterRole", _RBAC_V1, _RBAC + "/clusterroles", _cluster_role),
    Kind("RoleBinding", _RBAC_V1, _RBAC + "/namespaces/{ns}/rolebindings", _binding),
    Kind("Event", _V1, _CORE + "/events", _event),
    Kind("Namespace", _V1, "/api/v1/namespaces", _nothing, _namespace_status),
)


def _metadata(rng: random.Random, name: str, owned: bool = True) -> Document:
    found: Document = {"name": name}
    if owned:
        found |= _maybe(
            rng, {"labels": _some(rng, WORDS), "annotations": _some(rng, {"n/a": ["1", "2"], "m": ["x"]})}, 0.4
        )
        if rng.random() < 0.15:
            found["finalizers"] = rng.sample(["e.io/a", "e.io/b", "e.io/c"], rng.randint(0, 3))
    return found


def _whole(rng: random.Random, kind: Kind, name: str, with_status: bool = False) -> Document:
    document = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": _metadata(rng, name), **kind.body(rng)}
    if kind.status is not None and (with_status or rng.random() < 0.2):
        document |= kind.status(rng)
    return document


def sequence(seed: int, prefix: str) -> list[Step]:
    """One object's life."""
    rng = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    name = f"{prefix}{seed}"
    return [_step(rng, kind, name, at == 0) for at in range(rng.randint(4, 9))]


def _step(rng: random.Random, kind: Kind, name: str, first: bool) -> Step:
    agent = rng.choice(AGENTS)
    manager = rng.choice(["", "", "alpha", "gamma"])
    query = f"?fieldManager={manager}" if manager else ""
    place = f"{kind.url}/{name}"
    choice = rng.choice(["create", "apply"] if first else _CHOICES)
    if choice == "create":
        return Step(Exchange("create", "POST", kind.url + query, _creation(rng, kind, name)), agent)
    if choice == "apply":
        return Step(_apply(rng, kind, name, place), agent)
    if choice == "status" and kind.status is None:
        choice = "update"
    if choice == "update":
        document = _whole(rng, kind, name)
        document["metadata"] |= {"resourceVersion": "$rv"} if kind.versioned else {}
        if rng.random() < 0.15:
            document["metadata"]["managedFields"] = rng.choice([[], [{}], "$entries", "$first"])
        return Step(Exchange("update", "PUT", place + query, document), agent)
    if choice == "status":
        return Step(_status(rng, kind, name, place, query), agent)
    return Step(_patch(rng, kind, place, query, choice), agent)


_CHOICES = ["apply", "apply", "apply", "update", "update", "merge", "strategic", "json", "status"]


def _creation(rng: random.Random, kind: Kind, name: str) -> Document:
    document = _whole(rng, kind, name)
    if rng.random() < 0.3:
        # As `kubectl apply` without --server-side would have left it.
        note = json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"
        document["metadata"].setdefault("annotations", {})[LAST] = note
    return document


def _apply(rng: random.Random, kind: Kind, name: str, place: str) -> Exchange:
    document = _whole(rng, kind, name)
    manager, force = rng.choice(MANAGERS), rng.choice(["", "", "&force=true"])
    if rng.random() < 0.05:
        document["bogus"] = 1
    if rng.random() < 0.05:
        document["metadata"]["resourceVersion"] = "1"
    elif rng.random() < 0.1:
        force += "&dryRun=All"
    return Exchange("apply", "PATCH", f"{place}?fieldManager={manager}{force}", document, APPLY)


def _status(rng: random.Random, kind: Kind, name: str, place: str, query: str) -> Exchange:
    document = _whole(rng, kind, name, True)
    if rng.random() < 0.5:
        manager = rng.choice(MANAGERS)
        return Exchange("apply status", "PATCH", f"{place}/status?fieldManager={manager}", document, APPLY)
    return Exchange("update status", "PUT", f"{place}/status{query}", document)


def _patch(rng: random.Random, kind: Kind, place: str, query: str, choice: str) -> Exchange:
    change: Document = {"metadata": _metadata(rng, "x"), **kind.body(rng)}
    del change["metadata"]["name"]
    if choice == "json":
        steps: list[Document] = [
            {"op": "add", "path": f"/{key}", "value": value} for key, value in kind.body(rng).items()
        ]
        if rng.random() < 0.3:
            entries: Any = rng.choice([[], [{}]])
            steps.append({"op": "replace", "path": "/metadata/managedFields", "value": entries})
        return Exchange("json patch", "PATCH", place + query, steps, JSON_PATCH)
    if rng.random() < 0.3:
        change[rng.choice(["data", "spec", "rules", "secrets", "reason"])] = None
    if rng.random() < 0.1:
        change["metadata"]["managedFields"] = rng.choice([[], [{}], None])
    return Exchange(choice, "PATCH", place + query, change, MERGE if choice == "merge" else STRATEGIC)


# --- asking both


def shown(code: int, document: Any) -> Any:
    """What is compared: entries without times, in an order that times do not decide."""
    entries = (document.get("metadata") or {}).get("managedFields")
    found = [code, masked(document, code)]
    if entries:
        plain = [{k: "TIME" if k == "time" else v for k, v in entry.items()} for entry in entries]
        found.append(sorted(plain, key=lambda e: json.dumps(e, sort_keys=True)))
    return found


def concrete(body: Any, namespace: str, current: Document) -> Any:
    """`{ns}`, and what the object has now."""
    text = json.dumps(body).replace("{ns}", namespace)
    meta = current.get("metadata") or {}
    entries = meta.get("managedFields") or []
    text = text.replace('"$entries"', json.dumps(entries)).replace('"$first"', json.dumps(entries[:1]))
    return json.loads(text.replace("$rv", meta.get("resourceVersion", "1")))


class Real:
    def __init__(self, kubeconfig: str) -> None:
        self._server = RealServer(kubeconfig)

    async def ask(self, step: Step) -> tuple[int, Any]:
        answer = self._server.ask(step.exchange, {"User-Agent": step.agent})
        code, document, _ = as_it_should_be(*answer)
        return code, document


class Ours:
    def __init__(self) -> None:
        self.client = ApiClient(memory_shard())

    async def ask(self, step: Step) -> tuple[int, Any]:
        exchange = step.exchange
        request = self.client.request(exchange.method, exchange.url, exchange.body, exchange.content_type)
        request.user_agent = step.agent
        reply = await self.client.send(request)
        return reply.code, reply.json


async def play(server: Real | Ours, steps: list[Step], namespace: str) -> list[Any]:
    """The answers to a sequence, as compared."""
    current: Document = {}
    found = []
    for exchange, agent in steps:
        asked = exchange._replace(
            url=exchange.url.replace("{ns}", namespace), body=concrete(exchange.body, namespace, current)
        )
        code, document = await server.ask(Step(asked, agent))
        if code < 300 and "dryRun" not in asked.url:
            current = document
        found.append(shown(code, document))
    return found


async def run(kubeconfig: str, count: int, seed: int) -> int:
    prefix = "mf-" + secrets.token_hex(3) + "-"
    namespace = prefix + "ns"
    real, ours = Real(kubeconfig), Ours()
    made = Step(Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}, JSON), "x")
    await real.ask(made)
    await ours.ask(made)
    equal = differing = 0
    for number in range(seed, seed + count):
        steps = sequence(number, prefix)
        theirs, mine = await play(real, steps, namespace), await play(ours, steps, namespace)
        if theirs == mine:
            equal += 1
            continue
        differing += 1
        at = next(i for i, (a, b) in enumerate(zip(theirs, mine, strict=True)) if a != b)
        _print(number, steps, at, theirs, mine)
    print(f"{equal} of {equal + differing} sequences equal")
    await ours.client.shard.store.close()
    return 1 if differing else 0


def _print(number: int, steps: list[Step], at: int, theirs: list[Any], mine: list[Any]) -> None:
    print(f"--- sequence {number}, step {at}")
    for step, answer in zip(steps[: at + 1], theirs, strict=False):
        print(f"  {step.agent!r} {step.exchange.id} {step.exchange.url} {json.dumps(step.exchange.body)} → {answer[0]}")
    for part, (wanted, found) in enumerate(zip(theirs[at], mine[at], strict=False)):
        if wanted != found:
            print(f"  [{part}] real {json.dumps(wanted, sort_keys=True)[:1500]}")
            print(f"  [{part}] ours {json.dumps(found, sort_keys=True)[:1500]}")
    if len(theirs[at]) != len(mine[at]):
        print(f"  real {json.dumps(theirs[at][2:])[:1000]}\n  ours {json.dumps(mine[at][2:])[:1000]}")


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[2:]]
    sys.exit(asyncio.run(run(sys.argv[1], *(arguments or (330, 0)))))
