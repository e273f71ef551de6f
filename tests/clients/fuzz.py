# ruff: noqa: E501 - tables of odd values
"""Requests that nobody means: good ones with path, query, headers or body bent, sent as raw bytes to a front.

Judged is what must hold for any request: an HTTP answer that is no server error, a Status where it is an error, and
nothing of a logical cluster that the request does not name. `make fuzz ARGS="SEED EXAMPLES"` runs many;
tests/robustness/test_fuzzed_requests.py a few.
"""

import copy
import json
import random
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from kcpfront.protobuf import facts
from kcpfront.protobuf.objects import encode_object
from tests.clients.tier import Tenant, Tier, running_tier, tenant
from tests.contracts.custom_types import CRDS, SCHEMA, WIDGETS, crd, version, widget
from tests.differential.exchanges import JSON_PATCH, MERGE, Exchange, exchanges
from tests.differential.kinds import kinds
from tests.differential.workload_kinds import workload_kinds
from tests.kcpfront.protobuf.filled import filled

SECRET = "whatthefuzzedmustnotsee"  # in every object of the other logical cluster
FUZZED, OTHER = "fuzzed", "unseen"
# 501 to what is not built is an answer; that a request was too slow is for other tests.
PERMITTED = {501, 504}
TYPES = (
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/json-patch+json", "application/apply-patch+yaml",
    "application/cbor", "text/plain", "application/json;charset=latin1", "application/*", ";;", "",
)  # fmt: skip
ACCEPTED = (
    "application/json", "application/vnd.kubernetes.protobuf", "application/yaml", "*/*", "", "text/html",
    "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "application/json;as=Table;v=v9;g=x",
    "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json", "application/cbor",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "a/b;q=x", "application/json;stream=watch",
)  # fmt: skip
PARAMETERS = (
    "labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch", "timeoutSeconds",
    "timeout", "watch", "allowWatchBookmarks", "sendInitialEvents", "dryRun", "fieldManager", "fieldValidation", "force",
    "pretty", "propagationPolicy", "gracePeriodSeconds", "orphanDependents", "includeObject", "follow", "x", "",
)  # fmt: skip
ODD_TEXTS = (
    "", "0", "-1", "1", "true", "9223372036854775808", "1e9", "a=b", "a in (b,,c)", "a=b,!c", "metadata.name=x", "spec.x!=y",
    "a" * 300, "☃", "\u0000", "%00", "%", "..", ".", "/", "Strict", "Warn", "All", "NotOlderThan", "Exact", "1s", "999h", "=",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiIn0", "\ud800", "metadata.namespace", "*", "-", "a.b/c", "A", "_",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 1.5, 1e308, "", "a", "é☃", "x" * 70_000, "2020-01-01T00:00:00Z", "10Gi", "1e",
    [], {}, [None], [{}], [[]], {"a": None}, {"": ""}, [{"name": "a"}, {"name": "a"}], "a/b/c", "-1", "٣", "\u0000", "100%", "9" * 40,
    "1E9999999", "-", "+", "0x1", {"f:a": {}}, "999999999999h", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59Z",
)  # fmt: skip


@dataclass(frozen=True)
class Raw:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def encoded(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: front", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace") + self.body


def corpus() -> list[Exchange]:
    """Requests with a meaning; what they saved for each other is left out, which bends some of them already."""
    found = [*exchanges(), *kinds(), *workload_kinds()]
    found += _custom()
    for api_version, kind, message in _kinds():
        found.append(Exchange(kind, "POST", _place(api_version, kind), (api_version, kind, message)))
    return found


def _custom() -> Iterator[Exchange]:
    """Of a type that the fuzzed logical cluster defines, in two versions: definitions, objects, scales, applies."""
    url, one = WIDGETS.replace("/default/", "/{ns}/"), widget("a", {"size": 3, "color": "red", "replicas": 1})
    crd_url = f"{CRDS}/widgets.example.com"
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 2}}
    apply = "application/apply-patch+yaml"
    yield Exchange("define", "POST", CRDS, definition())
    yield Exchange("define applied", "PATCH", f"{crd_url}?fieldManager=f", definition(), apply)
    yield Exchange("define merged", "PATCH", crd_url, {"spec": definition()["spec"]}, MERGE)
    yield Exchange("create", "POST", url, one)
    yield Exchange("update", "PUT", f"{url}/a", one)
    yield Exchange("status", "PUT", f"{url}/a/status", {**one, "status": {"ready": 1, "selector": "a=b"}})
    yield Exchange("apply", "PATCH", f"{url}/a?fieldManager=f&force=true", one, apply)
    yield Exchange("apply v2", "PATCH", f"{url.replace('v1', 'v2')}/a?fieldManager=f", _of_v2(one), apply)
    yield Exchange("merge", "PATCH", f"{url}/a", {"spec": {"color": None, "size": 1}}, MERGE)
    yield Exchange("json", "PATCH", f"{url}/a", [{"op": "replace", "path": "/spec/size", "value": 2}], JSON_PATCH)
    yield Exchange("scale", "PUT", f"{url}/a/scale", scale)
    yield Exchange("scale applied", "PATCH", f"{url}/a/scale?fieldManager=f", scale, apply)
    yield Exchange("list", "GET", f"{url}?fieldSelector=spec.color%3Dred&limit=1")
    yield Exchange("delete some", "DELETE", f"{url}?labelSelector=x")
    yield Exchange("documents", "GET", "/openapi/v3/apis/example.com/v1")


def _of_v2(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "apiVersion": "example.com/v2"}


def definition() -> dict[str, Any]:
    paths = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.ready",
        "labelSelectorPath": ".status.selector",
    }
    members: dict[str, Any] = {
        "subresources": {"status": {}, "scale": paths},
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }
    schema = copy.deepcopy(SCHEMA)
    schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": "!has(self.size) || self.size >= 0"}]
    return crd(version(schema=schema, **members), version("v2", storage=False, schema=schema, **members))


def _kinds() -> Iterator[tuple[str, str, str]]:
    for key, message in sorted(facts.kinds().items()):
        version, _, kind = key.partition(" ")
        if not kind.endswith(("List", "Options")):
            yield version, kind, message


def _place(api_version: str, kind: str) -> str:
    prefix = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    plural = kind.lower() + ("es" if kind.endswith(("s", "x")) else "s")
    plural = plural[:-2] + "ies" if plural.endswith(("cys", "tys")) else plural
    return f"{prefix}/namespaces/{{ns}}/{plural}"


def bent_request(row: Exchange, bends: int, choice: int) -> Raw:
    """A good request with that many things changed; `choice` decides which and how."""
    rng = random.Random(choice)
    method, target, body, content_type = row.method, row.url, row.body, row.content_type
    if isinstance(body, tuple):
        body = {"apiVersion": body[0], "kind": body[1], **filled(body[2], rng)}
        if rng.random() < 0.7:
            body["metadata"] = {"name": f"n{rng.randrange(1000)}"}
            target = target if rng.random() < 0.6 else target.replace("/namespaces/{ns}", "")
    accept = ""
    for _ in range(bends):
        match rng.randrange(8):
            case 0:
                target = bent_path(target, rng)
            case 1 | 2:
                target += ("&" if "?" in target else "?") + bent_query(rng)
            case 3:
                accept = rng.choice(ACCEPTED)
            case 4:
                method = rng.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "FOO", "CONNECT"))
            case 5:
                content_type = rng.choice(TYPES)
            case _:
                body = bent_body(body, rng)
    target = f"/clusters/{FUZZED}{target}".replace("{ns}", rng.choice(("default", "fuzz", "nowhere")))
    if rng.random() < 0.05:
        target = escaping(target, rng)
    if ("watch" in target or "follow" in target) and "timeoutSeconds" not in target:
        target += ("&" if "?" in target else "?") + "timeoutSeconds=1"
    target = "".join(c for c in target if c > " " and c != "\x7f") or "/"
    headers = [("Content-Type", content_type)] if content_type else []
    headers += [("Accept", accept)] if accept else []
    return Raw(method, target, tuple(headers), encoded(body, content_type, rng))


def bent_path(target: str, rng: random.Random) -> str:
    path, mark, query = target.partition("?")
    segments = path.split("/")
    at = rng.randrange(len(segments))
    match rng.randrange(5):
        case 0:
            segments[at] = rng.choice(ODD_TEXTS)
        case 1:
            segments.insert(
                at, rng.choice((*ODD_TEXTS, "watch", "namespaces", "status", "scale", "proxy", "log", "default"))
            )
        case 2:
            del segments[at]
        case 3:
            segments[at] += rng.choice(("%2F", "%2e%2e", "%00", "%ff", ";", "#", "?", "é", ":", "*"))
        case _:
            segments.append(
                rng.choice(("status", "scale", "a", "eviction", "binding", "token", "finalize", "approval", "x/y"))
            )
    return "/".join(segments) + mark + query


def bent_query(rng: random.Random) -> str:
    return f"{rng.choice(PARAMETERS)}{rng.choice(('=', '=', '=', '', '=='))}{rng.choice(ODD_TEXTS)}"


def escaping(target: str, rng: random.Random) -> str:
    """The same, trying to reach the logical cluster next door without naming it properly."""
    rest = target.removeprefix(f"/clusters/{FUZZED}")
    tricks = ("/clusters/{0}/../{1}", "/clusters/{0}%2F..%2F{1}", "/clusters/{0}/clusters/{1}", "//clusters//{1}",
              "/clusters/{0}:..:{1}", "/clusters/{1}%00", "/clusters/{1}%20", "/clusters/.%2f{1}", "/CLUSTERS/{1}",
              "/clusters/{0}/api/../../{1}", "/clusters/{0};/clusters/{1}", "/clusters/{0}\\..\\{1}")  # fmt: skip
    return rng.choice(tricks).format(FUZZED, OTHER) + rest


def bent_body(body: Any, rng: random.Random) -> Any:
    if not isinstance(body, dict | list):
        return rng.choice((*ODD_VALUES, {"metadata": {"name": "x"}}, [{"op": "add", "path": "/a", "value": 1}]))
    bent = copy.deepcopy(body)
    places = list(_places(bent))
    if not places:
        return rng.choice(ODD_VALUES)
    holder, key = rng.choice(places)
    if rng.random() < 0.2 and isinstance(holder, dict):
        holder[rng.choice(("x", "name", "namespace", "uid", "status", "spec", "$patch", "finalizers"))] = rng.choice(
            ODD_VALUES
        )
    elif rng.random() < 0.15:
        del holder[key]
    else:
        holder[key] = rng.choice(ODD_VALUES)
    return bent


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield value, key
        yield from _places(member)


def encoded(body: Any, content_type: str, rng: random.Random) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        raw = body.encode("utf-8", "replace")
    elif "yaml" in content_type:
        raw = yaml.safe_dump(body).encode("utf-8", "replace")
    else:
        raw = json.dumps(body).encode()
    if "protobuf" in content_type and isinstance(body, dict):
        try:
            raw = encode_object(body)
        except Exception:  # noqa: BLE001 - what has no protobuf form is sent as something that is none
            raw = b"k8s\x00" + raw
    if rng.random() < 0.05 and raw:
        at = rng.randrange(len(raw))
        raw = raw[:at] + rng.randbytes(rng.randrange(4)) + raw[at + rng.randrange(3) :]
    return raw


class Fuzzer:
    """Asks a front over one connection as long as that lasts; says what is wrong with an answer."""

    def __init__(self, of: Tenant) -> None:
        at = urlsplit(of.server)
        self._address = (at.hostname or "", at.port or 443)
        self._trust = ssl.create_default_context(cafile=str(of.authority))
        self._token = of.token
        self._connection: ssl.SSLSocket | None = None
        self.codes: dict[int, int] = {}

    def fault(self, request: Raw) -> str:
        """Empty if the answer is one that may be given."""
        signed = Raw(request.method, request.target, (*request.headers, self._identity()), request.body)
        kept = self._connection is not None
        try:
            answer, body = self._exchange(signed)
        except (OSError, HTTPException) as error:
            self.close()
            # A server may close a connection while the next request is on its way.
            return self.fault(request) if kept else f"no answer: {error!r}"
        self.codes[answer.status] = self.codes.get(answer.status, 0) + 1
        if answer.status >= 500 and answer.status not in PERMITTED:
            return f"{answer.status} {body[:500]!r}"
        if SECRET.encode() in body:
            return f"shows what another logical cluster holds: {body[:500]!r}"
        return ""

    def _exchange(self, request: Raw) -> tuple[HTTPResponse, bytes]:
        if self._connection is None:
            plain = socket.create_connection(self._address, 30)
            self._connection = self._trust.wrap_socket(plain, server_hostname=self._address[0])
        self._connection.sendall(request.encoded())
        answer = HTTPResponse(self._connection, method=request.method)
        answer.begin()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer, body

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _identity(self) -> tuple[str, str]:
        return "Authorization", f"Bearer {self._token}"


def fuzz(tier: Tier, seed_number: int, examples: int) -> dict[int, int]:
    """Send that many; AssertionError with the least request that fails. Gives how often each code was answered."""
    fuzzed, other = tenant(tier, FUZZED), tenant(tier, OTHER)
    fuzzed.ask("/api/v1/namespaces", {"metadata": {"name": "fuzz"}})
    fuzzed.ask(CRDS, definition())
    for plural in ("configmaps", "secrets"):
        body = {"metadata": {"name": SECRET, "labels": {"a": SECRET}}}
        other.ask(f"/api/v1/namespaces/default/{plural}", body)
    before = _everything(other)
    fuzzer, good = Fuzzer(fuzzed), corpus()

    @seed(seed_number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(good) - 1), st.integers(0, 4), st.integers(0, 2**48))
    def send(row: int, bends: int, choice: int) -> None:
        request = bent_request(good[row], bends, choice)
        fault = fuzzer.fault(request)
        assert not fault, f"{request}\n{fault}"

    try:
        send()
    finally:
        fuzzer.close()
    assert _everything(other) == before, "another logical cluster has changed"
    return fuzzer.codes


def _everything(of: Tenant) -> Any:
    return [of.ask(f"/api/v1/{plural}")["items"] for plural in ("namespaces", "configmaps", "secrets", "events")]


def main() -> int:
    seed_number, examples = (int(given) for given in [*sys.argv[1:], "1", "5000"][:2])
    with running_tier() as tier:
        print("answers by code:", dict(sorted(fuzz(tier, seed_number, examples).items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
