"""Ask a real kube-apiserver and our verbs the same, and print where the answers differ.

    python -m tests.differential.compare KUBECONFIG      (a cluster with static token, controllers off)

Code, reason, message, causes and the object are compared; what must differ (uids, times, resourceVersions, generated
names, managedFields) is masked. Exit code 1 if anything differs. `make differential KUBECONFIG=…` runs it.
"""

import asyncio
import http.client
import json
import os
import re
import secrets
import ssl
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import yaml

from tests.contracts.api_client import ApiClient, memory_shard
from tests.differential.exchanges import Exchange, exchanges
from tests.differential.kinds import kinds

# Of the sentences with which kube-apiserver answers 500 to what only the client can mend.
MISTAKES = (
    "strconv.ParseUint", "resourceVersion should not be set", "failed to create typed patch object",
    "failed to convert new object", "unknown patch type", "does not contain declared merge key",
    "list element types are not identical", "merging lists cannot yet be specified", "doesn't match $setElementOrder",
    "unsupported role reference kind", "target.name: Required value", "target.kind: Unsupported value",
)  # fmt: skip
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z")
_MANAGED = re.compile(r',\\*"managedFields\\*":\[.*?\}\]')
_VERSIONS = (
    (re.compile(r'(current: |record \(|object meta: |resourceVersion\\*":\\*")[0-9]+'), r"\1N"),
    (re.compile(r"Gen-[a-z0-9]{5}"), "Gen-NNNNN"),
)


class RealServer:
    def __init__(self, kubeconfig: str) -> None:
        with open(kubeconfig) as file:
            config = yaml.safe_load(file)
        address = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
        # The peer is a throw-away process on loopback.
        self._connection = http.client.HTTPSConnection(address, context=ssl._create_unverified_context())
        self._token = config["users"][0]["user"]["token"]

    def ask(self, exchange: Exchange, headers: Mapping[str, str] = MappingProxyType({})) -> tuple[int, Any, list[str]]:
        body = encoded(exchange.body)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": exchange.content_type, **headers}
        self._connection.request(exchange.method, exchange.url, body, headers)
        response = self._connection.getresponse()
        raw = response.read()
        warnings = [w.removeprefix("299 - ") for w in response.headers.get_all("Warning") or []]
        return response.status, json.loads(raw) if raw else None, [json.loads(w) for w in warnings]


def encoded(body: Any) -> str | None:
    return body if body is None or isinstance(body, str) else json.dumps(body)


async def ask_ours(client: ApiClient, exchange: Exchange) -> tuple[int, Any, list[str]]:
    reply = await client.do(exchange.method, exchange.url, encoded(exchange.body), exchange.content_type)
    has_document = reply.answer.info is not None or reply.answer.body[:1] in (b"{", b"[")
    return reply.code, reply.json if has_document else None, list(reply.answer.warnings)


def filled(value: Any, namespace: str, saved: dict[str, Any]) -> Any:
    """`{ns}` and `$rv:x` and the like replaced."""
    if isinstance(value, dict):
        return {filled(k, namespace, saved): filled(v, namespace, saved) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, namespace, saved) for v in value]
    if not isinstance(value, str):
        return value
    value = value.replace("{ns}", namespace)

    def member(found: re.Match[str]) -> str:
        names = {"rv": "resourceVersion", "uid": "uid", "continue": "continue"}
        return str(saved[found[2]]["metadata"].get(names[found[1]], ""))

    return re.sub(r"\$(rv|uid|continue):([a-z0-9]+)", member, value)


def masked(document: Any, code: int) -> Any:
    """Only what should be equal is left."""
    if isinstance(document, dict) and document.get("kind") == "Status":
        document = dict(document)
        details = {k: v for k, v in (document.get("details") or {}).items() if v}
        if "causes" in details:
            details["causes"] = sorted({json.dumps(c, sort_keys=True) for c in details["causes"]})
        document["details"] = details
        document.pop("code", None)
    elif isinstance(document, dict):
        document = _without(document)
    text = json.dumps(document, sort_keys=True)
    text = _TIME.sub("TIME", _UID.sub("UID", _MANAGED.sub("", text)))
    for pattern, shown in _VERSIONS:
        text = pattern.sub(shown, text)
    return json.loads(text)


def _without(document: dict[str, Any]) -> dict[str, Any]:
    found = dict(document)
    if "items" in found:
        found["items"] = [
            {k: v for k, v in _without(i).items() if k not in ("apiVersion", "kind")} for i in found["items"]
        ]
    meta = {k: v for k, v in (found.get("metadata") or {}).items() if k not in ("managedFields", "creationTimestamp")}
    for name in ("resourceVersion", "continue"):
        if name in meta:
            meta[name] = name
    found["metadata"] = meta
    return found


async def run(kubeconfig: str, only: str) -> int:
    namespace = "diff-" + secrets.token_hex(3)
    real, ours = RealServer(kubeconfig), ApiClient(memory_shard())
    made = Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    real.ask(made)
    await ask_ours(ours, made)
    theirs_saved: dict[str, Any] = {}
    ours_saved: dict[str, Any] = {}
    equal = differing = 0
    for exchange in [*exchanges(), *kinds()]:
        theirs = real.ask(concrete(exchange, namespace, theirs_saved))
        mine = await ask_ours(ours, concrete(exchange, namespace, ours_saved))
        if exchange.save:
            theirs_saved[exchange.save], ours_saved[exchange.save] = theirs[1], mine[1]
        theirs = as_it_should_be(*theirs)
        wanted, found = (
            (theirs[0], masked(theirs[1], theirs[0]), theirs[2]),
            (mine[0], masked(mine[1], mine[0]), mine[2]),
        )
        if wanted == found:
            equal += 1
        else:
            differing += 1
            if only in exchange.id:
                _print(exchange, wanted, found)
    print(f"{equal} of {equal + differing} answers equal")
    await ours.shard.store.close()
    return 1 if differing else 0


def as_it_should_be(code: int, document: Any, warnings: list[str]) -> tuple[int, Any, list[str]]:
    """kube-apiserver answers 500 to some mistakes of clients; we say the same with 400."""
    if code == 500 and any(sentence in str(document.get("message")) for sentence in MISTAKES):
        return 400, {**document, "reason": "BadRequest"}, warnings
    return code, document, warnings


def concrete(exchange: Exchange, namespace: str, saved: dict[str, Any]) -> Exchange:
    return exchange._replace(
        url=filled(exchange.url, namespace, saved).replace(" ", "%20"), body=filled(exchange.body, namespace, saved)
    )


def _print(exchange: Exchange, wanted: tuple[int, Any, list[str]], found: tuple[int, Any, list[str]]) -> None:
    print(f"--- {exchange.id}: {exchange.method} {exchange.url}")
    for name, (code, document, warnings) in (("real", wanted), ("ours", found)):
        if code >= 400:
            rest = {k: v for k, v in document.items() if k in ("reason", "details") and v}
            print(f"  {name} {code} {str(document.get('message'))[:600]}")
            print(f"        {json.dumps(rest)[:500]} {warnings or ''}")
        else:
            print(f"  {name} {code} {json.dumps(document, sort_keys=True)[:900]} {warnings or ''}")


if __name__ == "__main__":
    os.environ.setdefault("KCP_VERIFY", "1")
    sys.exit(asyncio.run(run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")))
