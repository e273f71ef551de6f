"""Structured authentication beside a kube-apiserver: the same AuthenticationConfiguration and the same issuers on both
sides, generated tokens in TokenReviews, and who may be anonymous where. Afterwards the file is changed while both run.

    python -m tests.differential.authentication [--seed N] [--tokens N]

What is compared: whether a token is good, whose it is, for which audiences; that an error is told, not its words.
"""

import argparse
import asyncio
import http.client
import json
import random
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import yaml

from kcpshard.api.service_accounts import DEFAULT_ISSUER
from tests.clients.tier import Tenant, Tier, tenant
from tests.contracts.webhook_server import Asked, Reply, WebhookServer, json_reply, webhook_server
from tests.differential.api_server import api_server
from tests.differential.compare import RealServer
from tests.differential.exchanges import Exchange
from tests.kcpfront.issuer import ec_key, public_jwk, rsa_key, signed

REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
Document = dict[str, Any]
PREFIXED = {"username": {"claim": "sub", "prefix": "p:"}, "groups": {"claim": "groups", "prefix": "g:"}}
# By name: claimMappings and rules.
ISSUERS: Mapping[str, Document] = {
    "plain": {"claimMappings": PREFIXED},
    "bare": {"claimMappings": {"username": {"claim": "sub", "prefix": ""}, "uid": {"claim": "id"}}},
    "mail": {"claimMappings": {"username": {"claim": "email", "prefix": ""}}},
    "expressed": {
        "claimMappings": {
            "username": {"expression": "'x:' + claims.sub"},
            "groups": {"expression": "claims.roles.split(',').filter(r, r != 'no')"},
            "uid": {"expression": "claims.?id.orValue('')"},
            "extra": [
                {"key": "example.com/tenant", "valueExpression": "claims.?tenant.orValue([])"},
                {"key": "example.com/level", "valueExpression": "has(claims.level) ? string(claims.level) : ''"},
            ],
        },
    },
    "ruled": {
        "claimMappings": PREFIXED,
        "claimValidationRules": [
            {"claim": "hd", "requiredValue": "example.com"},
            {"expression": "claims.exp - claims.nbf <= 86400", "message": "too long"},
        ],
        "userValidationRules": [
            {"expression": "!user.username.startsWith('p:system:')", "message": "reserved"},
            {"expression": "user.groups.all(g, !g.startsWith('g:system:'))", "message": "reserved"},
        ],
    },
    "several": {"claimMappings": PREFIXED, "audiences": ["kcp", "other"]},
    "elsewhere": {"claimMappings": PREFIXED},  # found under another URL
    "verified": {
        "claimMappings": {"username": {"expression": "claims.email"}},
        "claimValidationRules": [{"expression": "claims.?email_verified.orValue(true) == true"}],
    },
    "nested": {
        "claimMappings": {
            "username": {"expression": "claims.user.name"},
            "groups": {"expression": "claims.user.?groups.orValue([])"},
        },
    },
}
ALGORITHMS = {"e1": "ES256", "r1": "RS256", "p1": "PS512"}
# Not those of probes that the conditions leave out: a front answers them to anybody, whatever it is told. Nor with a
# slash at the end, which makes no other path for it.
ANONYMOUS = ("/livez", "/healthz", "/version", "/api", "/apis", "/openapi/v2", "/api/v1/namespaces", "/x")


class Issuers:
    """All of them, on one server."""

    def __init__(self) -> None:
        self.keys = {"e1": ec_key(), "r1": rsa_key(), "p1": rsa_key(), "unknown": ec_key()}
        self.server: WebhookServer

    def url(self, name: str) -> str:
        return self.server.url(f"/{name}")

    def answer(self, asked: Asked) -> Reply:
        name, _, rest = asked.path.removeprefix("/").partition("/")
        if asked.path == "/keys":
            served = {id_: key for id_, key in self.keys.items() if id_ != "unknown"}
            return json_reply({"keys": [public_jwk(key, id_, use="sig") for id_, key in served.items()]})
        if name == "found" and rest == "elsewhere":
            return json_reply(self._discovery("elsewhere"))
        if rest != ".well-known/openid-configuration" or name == "elsewhere":
            return json_reply({}, 404)
        return json_reply(self._discovery(name))

    def _discovery(self, name: str) -> Document:
        return {
            "issuer": self.url(name), "jwks_uri": self.server.url("/keys"), "authorization_endpoint": self.url("x"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "PS512"],
        }  # fmt: skip

    def configuration(self, *names: str) -> Document:
        found = []
        for name in names:
            given = dict(ISSUERS[name])
            audiences = given.pop("audiences", ["kcp"])
            issuer: Document = {
                "url": self.url(name), "audiences": audiences, "certificateAuthority": self.server.bundle.decode(),
            }  # fmt: skip
            if len(audiences) > 1:
                issuer["audienceMatchPolicy"] = "MatchAny"
            if name == "elsewhere":
                issuer["discoveryURL"] = self.server.url("/found/elsewhere")
            found.append({"issuer": issuer, **given})
        conditions = [{"path": path} for path in ("/livez", "/healthz", "/version", "/apis")]
        return {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": found,
            "anonymous": {"enabled": True, "conditions": conditions},
        }


def tokens(issuers: Issuers, seed: int, count: int) -> Iterator[str]:
    rng = random.Random(seed)
    now = int(time.time())
    for _ in range(count):
        name = rng.choice((*ISSUERS, "nobody"))
        claims = _claims(rng, issuers.url(name), now)
        key_id = rng.choice(("e1", "r1", "p1"))
        form = rng.random()
        if form < 0.8:
            yield signed(claims, issuers.keys[key_id], key_id, ALGORITHMS[key_id])
        elif form < 0.84:
            yield signed(claims, issuers.keys["unknown"], "e1", "ES256")
        elif form < 0.88:
            yield signed(claims, issuers.keys[key_id], "", ALGORITHMS[key_id])
        elif form < 0.91:
            yield jwt.encode(claims, "", algorithm="none", headers={"kid": key_id})
        elif form < 0.94:
            yield jwt.encode(claims, "s" * 32, algorithm="HS256", headers={"kid": key_id})
        elif form < 0.97:
            token = signed(claims, issuers.keys[key_id], key_id, ALGORITHMS[key_id])
            yield token[: rng.randrange(len(token))] + rng.choice(("", "A", ".x"))
        else:
            yield signed(claims, issuers.keys["r1"], "r1", "RS384")


def _claims(rng: random.Random, issuer: str, now: int) -> Document:
    claims: Document = {"iss": issuer, "aud": "kcp", "sub": rng.choice(("ada", "bob", "system:x"))}
    claims["exp"], claims["nbf"] = now + 3600, now - 60
    if rng.random() < 0.7:
        claims.update(hd="example.com", email="a@example.com", roles="a,no,b", user={"name": "nia", "groups": ["n"]})
    changes: list[Document] = [
        {"aud": ["x", "kcp"]}, {"aud": "other"}, {"aud": "x"}, {"aud": []}, {"sub": ""}, {"sub": 7}, {"sub": None},
        {"exp": now - 3600}, {"exp": now - 5}, {"nbf": now + 3600}, {"exp": "soon"}, {"nbf": now - 90000},
        {"groups": "one"}, {"groups": ["one", "two", "one"]}, {"groups": ["one", 2]}, {"groups": None},
        {"groups": {"a": "b"}}, {"groups": ["system:masters"]}, {"groups": [""]}, {"groups": []},
        {"email_verified": True}, {"email_verified": False}, {"email_verified": "true"}, {"email": ""}, {"email": None},
        {"hd": "other"}, {"hd": ["example.com"]}, {"roles": ""}, {"roles": 5}, {"id": "u-1"}, {"id": 5}, {"id": ""},
        {"tenant": "t"}, {"tenant": ["t", "", "u"]}, {"tenant": 7}, {"tenant": {"a": "b"}}, {"level": 3},
        {"level": 2.5},
        {"level": True}, {"jti": "j-1"}, {"user": {"name": ""}}, {"user": {"name": 3}}, {"user": "x"},
        {"user": {"name": "nia", "groups": [1]}}, {"user": {"name": "nia", "groups": "solo"}}, {"iat": now + 9999},
    ]  # fmt: skip
    for change in rng.sample(changes, rng.choice((0, 1, 1, 1, 2))):
        claims.update(change)
    return {member: value for member, value in claims.items() if value is not None or rng.random() < 0.5}


def asked(token: str, rng: random.Random) -> Document:
    spec: Document = {"token": token}
    if rng.random() < 0.2:
        spec["audiences"] = rng.choice(([DEFAULT_ISSUER], ["nobody"], ["kcp"]))
    return {"spec": spec}


def essence(code: int, document: Any) -> Any:
    if code >= 400:
        return [code, document["message"]]
    status = document["status"]
    user = status.get("user") or {}
    return [
        code, status.get("authenticated", False), user, status.get("audiences"), bool(status.get("error")),
    ]  # fmt: skip


def anonymous_codes(address: str, authority: str | None, prefix: str = "") -> list[int]:
    context = ssl.create_default_context(cafile=authority) if authority else ssl._create_unverified_context()
    connection, found = http.client.HTTPSConnection(address, context=context), []
    for path in ANONYMOUS:
        connection.request("GET", prefix + path)
        response = connection.getresponse()
        response.read()
        found.append(response.status)
    connection.close()
    return found


@contextmanager
def serving(issuers: Issuers) -> Iterator[None]:
    """In a thread with a loop of its own: both servers fetch keys while this one asks and waits."""
    ready, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with webhook_server(issuers.answer) as issuers.server:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join(10)


class Sides:
    """Both servers at work with one file, and how they are asked."""

    def __init__(self, kubeconfig: Path, ours: Tenant) -> None:
        self.real, self.ours = RealServer(str(kubeconfig)), ours
        self.real_address = urlsplit(_server_of(kubeconfig)).netloc

    def ask(self, body: Document) -> tuple[Any, Any]:
        code, document, _ = self.real.ask(Exchange("", "POST", REVIEWS, body))
        return essence(code, document), essence(201, self.ours.ask(REVIEWS, body))

    def wait_for(self, token: str, is_good: bool) -> None:
        """Until both say so of a token: keys are fetched and files are read in the background."""
        ends = time.monotonic() + 240
        while any(found[1] is not is_good for found in self.ask({"spec": {"token": token}})):
            if time.monotonic() > ends:
                raise SystemExit(f"not as expected in time: {self.ask({'spec': {'token': token}})}")
            time.sleep(2)


def _server_of(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


def _is_nobody(real: Any, ours: Any) -> bool:
    """A user without a name is refused here."""
    return real[1] is True and not real[2].get("username") and ours[1] is False and ours[4]


def judged(sides: Sides, issuers: Issuers, seed: int, count: int) -> int:
    rng, differ, good = random.Random(seed + 1), 0, 0
    for token in tokens(issuers, seed, count):
        body = asked(token, rng)
        real, ours = sides.ask(body)
        good += real[1] is True
        if real != ours and not _is_nobody(real, ours):
            differ += 1
            if differ <= 20:
                claims = jwt.decode(token, options={"verify_signature": False}) if token.count(".") == 2 else {}
                print(f"{json.dumps(claims)} {body['spec'].get('audiences')}\n  real {real}\n  ours {ours}")
    print(f"{count} tokens ({good} good): {differ} differ")
    return differ


def compare(seed: int, count: int) -> int:
    issuers = Issuers()
    with tempfile.TemporaryDirectory() as name, serving(issuers):
        directory = Path(name)
        config = directory / "authentication.yaml"
        config.write_text(json.dumps(issuers.configuration(*ISSUERS)))
        flag = f"--authentication-config={config}"
        (directory / "real").mkdir()
        tier = Tier(directory / "kcp", "--api-set", "full", flag)
        tier.start()
        try:
            flags = [flag, "--authorization-mode=RBAC", f"--api-audiences={DEFAULT_ISSUER}"]
            with api_server(directory / "real", flags) as kubeconfig:
                sides = Sides(kubeconfig, tenant(tier, "judged"))
                for each in ISSUERS:
                    if each not in ("nested", "expressed", "mail", "verified", "ruled"):
                        sides.wait_for(signed(_plain(issuers, each), issuers.keys["e1"], "e1"), True)
                differ = judged(sides, issuers, seed, count) + _anonymous(sides)
                return 1 if differ + _changed(sides, issuers, config) else 0
        finally:
            tier.stop()
            tier.kill()


def _plain(issuers: Issuers, name: str) -> Document:
    return {"iss": issuers.url(name), "aud": "kcp", "sub": "ada", "id": "1", "exp": int(time.time()) + 3600}


def _anonymous(sides: Sides) -> int:
    """One path after another; ours lie below that of a logical cluster."""
    real = anonymous_codes(sides.real_address, None)
    authority = str(sides.ours.authority)
    ours = anonymous_codes(urlsplit(sides.ours.server).netloc, authority, urlsplit(sides.ours.server).path)
    unlike = [(path, one, other) for path, one, other in zip(ANONYMOUS, real, ours, strict=True) if one != other]
    print(f"anonymous: {len(ANONYMOUS)} paths, differ: {unlike}")
    return len(unlike)


def _changed(sides: Sides, issuers: Issuers, config: Path) -> int:
    """An issuer goes, and comes back, while the servers run; a broken file is not used."""
    token = signed(_plain(issuers, "plain"), issuers.keys["e1"], "e1")
    config.write_text(json.dumps(issuers.configuration("bare")))
    sides.wait_for(token, False)
    other = signed(_plain(issuers, "bare"), issuers.keys["e1"], "e1")
    sides.wait_for(other, True)
    config.write_text("not: [yaml")
    config.write_text(json.dumps(issuers.configuration("plain")))
    sides.wait_for(token, True)
    real, ours = sides.ask({"spec": {"token": other}})
    print(f"the file changed while they ran: real {real[1]}, ours {ours[1]} of an issuer that is gone")
    return int(real[1] is not False or ours[1] is not False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.authentication")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=1500)
    arguments = parser.parse_args()
    return compare(arguments.seed, arguments.tokens)


if __name__ == "__main__":
    sys.exit(main())
