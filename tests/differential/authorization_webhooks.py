"""Authorisation webhooks beside a kube-apiserver with the same AuthorizationConfiguration: generated questions, to
both the same webhooks. What is decided, for which reason, and what each webhook is asked must be the same.

    python -m tests.differential.authorization_webhooks [--seed N] [--questions N]
"""

import argparse
import asyncio
import base64
import hashlib
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from kcpshard.authorization.configuration import read_configuration
from kcpshard.authorization.webhook import CLUSTER_EXTRA, Webhook
from kcpshard.callouts.addresses import AddressPolicy, parse_networks
from kcpshard.callouts.calls import Callouts
from tests.contracts.api_client import ApiClient, memory_shard
from tests.contracts.webhook_server import Asked, Reply, WebhookServer, json_reply, webhook_server
from tests.differential.api_server import api_server
from tests.differential.compare import RealServer
from tests.differential.exchanges import Exchange

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
Document = dict[str, Any]
# By name: failurePolicy, version of the reviews, and the conditions.
HOOKS: Mapping[str, tuple[str, str, list[str]]] = {
    "first": ("NoOpinion", "v1", []),
    "pods": ("NoOpinion", "v1", ["has(request.resourceAttributes)", "request.resourceAttributes.resource == 'pods'"]),
    "careful": ("Deny", "v1", ["request.resourceAttributes.namespace == 'a'", "!('exempt' in request.groups)"]),
    "old": ("NoOpinion", "v1beta1", ["request.user.startsWith('u') && request.extra['team'][0] == 'x'"]),
    "selected": (
        "NoOpinion", "v1",
        ["request.?resourceAttributes.fieldSelector.requirements.orValue([]).exists(r, r.key == 'spec.nodeName')"],
    ),
    "paths": ("Deny", "v1", ["has(request.nonResourceAttributes) && request.nonResourceAttributes.path != '/free'"]),
    "last": ("Deny", "v1", ["request.uid != ''"]),
}  # fmt: skip


class Hooks:
    """The webhooks of both sides: what each says depends on the question alone."""

    def __init__(self) -> None:
        self.asked: dict[str, list[tuple[str, str]]] = {"real": [], "ours": []}  # hook and question
        self.server: WebhookServer

    def answer(self, asked: Asked) -> Reply:
        _, side, hook = asked.path.partition("?")[0].split("/")
        review = asked.json
        spec = review["spec"]
        extra = {key: value for key, value in (spec.pop("extra", None) or {}).items() if key != CLUSTER_EXTRA}
        if extra:
            spec["extra"] = extra
        shown = json.dumps([review["apiVersion"], spec], sort_keys=True)
        self.asked[side].append((hook, shown))
        number = hashlib.sha256((hook + shown).encode()).digest()[0]
        if number < 16:
            return json_reply({}, 403)
        if number < 24:
            return 200, {"Content-Type": "application/json"}, b"{not json"
        status: Document = {"allowed": number < 90}
        if number >= 200:
            status = {"allowed": False, "denied": True}
        if number % 2:
            status["reason"] = f"{hook} says {number}"
        return json_reply({"apiVersion": review["apiVersion"], "kind": "SubjectAccessReview", "status": status})


def configuration(hooks: Hooks, side: str, directory: Path) -> Path:
    authorizers: list[Document] = []
    for name, (policy, version, conditions) in HOOKS.items():
        webhook = {
            "timeout": "5s", "authorizedTTL": "1m", "unauthorizedTTL": "1m", "failurePolicy": policy,
            "subjectAccessReviewVersion": version, "matchConditionSubjectAccessReviewVersion": "v1",
            "matchConditions": [{"expression": text} for text in conditions],
            "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(_access(hooks, side, name, directory))},
        }  # fmt: skip
        authorizers.append({"type": "Webhook", "name": name, "webhook": webhook})
        if name == "careful":
            authorizers += [{"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"}]
    document = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    path = directory / f"{side}.yaml"
    path.write_text(yaml.safe_dump({**document, "authorizers": authorizers}))
    return path


def _access(hooks: Hooks, side: str, name: str, directory: Path) -> Path:
    cluster = {
        "server": hooks.server.url(f"/{side}/{name}"),
        "certificate-authority-data": base64.b64encode(hooks.server.bundle).decode(),
    }
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = directory / f"{side}-{name}.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def questions(seed: int, count: int) -> Iterator[Document]:
    rng = random.Random(seed)
    for number in range(count):
        spec: Document = {"user": rng.choice(("u1", "u2", "v", "system:node:n"))}
        spec["groups"] = rng.sample(("exempt", "system:nodes", "viewers", "g"), rng.randint(0, 2))
        if rng.random() < 0.5:
            spec["extra"] = {rng.choice(("team", "other")): [rng.choice("xy")]}
        if rng.random() < 0.5:
            spec["uid"] = f"id{number}"
        if rng.random() < 0.2:
            spec["nonResourceAttributes"] = {"path": rng.choice(("/free", "/metrics", "/x")), "verb": "get"}
        else:
            given = {
                "verb": rng.choice(("get", "list", "watch", "create", "delete")),
                "group": rng.choice(("", "", "apps")), "version": rng.choice(("", "v1")),
                "resource": rng.choice(("pods", "secrets", "deployments")),
                "subresource": rng.choice(("", "", "status")), "namespace": rng.choice(("a", "b", "")),
                "name": rng.choice(("", f"n{number % 7}")),
            }  # fmt: skip
            attributes: Document = {key: value for key, value in given.items() if value}
            if rng.random() < 0.4:
                attributes["fieldSelector"] = rng.choice(
                    (
                        {"rawSelector": "spec.nodeName=n,metadata.name!=x"},
                        {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n"]}]},
                        {"requirements": [{"key": "spec.nodeName", "operator": "Exists"}]},
                    )
                )
            if rng.random() < 0.4:
                attributes["labelSelector"] = rng.choice(
                    (
                        {"rawSelector": "a in (b,c),!d,e!=f,g,h=i"},
                        {"requirements": [{"key": "a", "operator": "NotIn", "values": ["b"]}]},
                    )
                )
            spec["resourceAttributes"] = attributes
        yield {"spec": spec}


def rights() -> Iterator[Exchange]:
    group = "rbac.authorization.k8s.io"
    rule = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "secrets"]}
    yield Exchange("", "POST", f"{RBAC}/clusterroles", {"metadata": {"name": "viewers"}, "rules": [rule]})
    subjects = [{"kind": "Group", "apiGroup": group, "name": "viewers"}]
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": "viewers"}
    body = {"metadata": {"name": "viewers"}, "roleRef": reference, "subjects": subjects}
    yield Exchange("", "POST", f"{RBAC}/clusterrolebindings", body)


def essence(code: int, document: Any) -> Any:
    """Without why a webhook could not be asked: kube-apiserver tells it as an error of the evaluation."""
    status = document.get("status") or {}
    return [code, status.get("allowed"), status.get("reason", "")] if code < 400 else [code, document["message"]]


async def ours(hooks: Hooks, directory: Path, asks: list[Document]) -> list[Any]:
    client = ApiClient(memory_shard(api_set="full"))
    callouts = Callouts(AddressPolicy(parse_networks(("0.0.0.0/0", "::/0"))))
    found = []
    async with asyncio.TaskGroup() as tasks:
        steps = read_configuration(str(configuration(hooks, "ours", directory)))
        for exchange in rights():
            await client.create(exchange.url, exchange.body)
        client.shard.authorizer.ask_also(
            [step if isinstance(step, str) else Webhook(step, callouts, tasks) for step in steps]
        )
        for body in asks:
            request = client.request("POST", REVIEWS, body)
            reply = await client.send(request)
            found.append(essence(reply.code, orjson.loads(reply.answer.body)))
    await callouts.close()
    return found


def real(kubeconfig: Path, asks: list[Document]) -> list[Any]:
    server = RealServer(str(kubeconfig))
    for exchange in rights():
        assert server.ask(exchange)[0] == 201
    found = []
    for body in asks:
        code, document, _ = server.ask(Exchange("", "POST", REVIEWS, body))
        found.append(essence(code, document))
    return found


async def compare(seed: int, count: int) -> int:
    hooks, asks, differ = Hooks(), list(questions(seed, count)), 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with webhook_server(hooks.answer) as hooks.server:
            flag = f"--authorization-config={configuration(hooks, 'real', directory)}"
            loop = asyncio.get_running_loop()
            wanted = await loop.run_in_executor(None, _beside, directory, flag, hooks, asks)
            found = await ours(hooks, directory, asks)
    for body, one, other in zip(asks, wanted, found, strict=True):
        if one != other:
            differ += 1
            if differ <= 20:
                print(f"{json.dumps(body)}\n  real {one}\n  ours {other}")
    sides = [sorted(set(hooks.asked[side])) for side in ("real", "ours")]
    unlike = set(sides[0]) ^ set(sides[1])
    for hook, shown in sorted(unlike)[:10]:
        print(f"asked by one side only: {hook} {shown}")
    allowed = sum(one[1] is True for one in wanted)
    print(
        f"{count} questions ({allowed} allowed): {differ} differ; webhooks were asked {len(sides[0])} and "
        f"{len(sides[1])} different things, {len(unlike)} by one side only"
    )
    return 1 if differ or unlike else 0


def _beside(directory: Path, flag: str, hooks: Hooks, asks: list[Document]) -> list[Any]:
    (directory / "server").mkdir()
    with api_server(directory / "server", [flag]) as kubeconfig:
        for asked in hooks.asked.values():
            asked.clear()  # what the server asked about itself at its start
        found = real(kubeconfig, asks)
        mine = {json.dumps(["spec", body["spec"].get("user")]) for body in asks}
        hooks.asked["real"] = [
            (hook, shown)
            for hook, shown in hooks.asked["real"]
            if json.dumps(["spec", json.loads(shown)[1].get("user")]) in mine
        ]
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.authorization_webhooks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--questions", type=int, default=1500)
    arguments = parser.parse_args()
    return asyncio.run(compare(arguments.seed, arguments.questions))


if __name__ == "__main__":
    sys.exit(main())
