"""An OpenID Connect provider on 127.0.0.1 with TLS and a CA of its own, and the tokens it signs."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.contracts.webhook_server import Asked, Reply, WebhookServer, json_reply, webhook_server


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def public_jwk(key: Any, key_id: str, **more: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**orjson.loads(algorithm.to_jwk(key.public_key())), "kid": key_id, **more}


def signed(claims: Mapping[str, Any], key: Any, key_id: str = "k1", algorithm: str = "ES256") -> str:
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers={"kid": key_id} if key_id else None)


class LocalIssuer:
    """`keys` are served; `token` signs with the first."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"k1": ec_key()}
        self.server: WebhookServer
        self.is_down = False
        self.named = ""  # as which issuer the discovery document presents itself; "" for the true one

    @property
    def url(self) -> str:
        return self.server.url("/idp")

    def answer(self, asked: Asked) -> Reply:
        if self.is_down:
            return json_reply({}, 503)
        if asked.path == "/idp/.well-known/openid-configuration":
            return json_reply({"issuer": self.named or self.url, "jwks_uri": self.server.url("/keys")})
        if asked.path == "/keys":
            return json_reply({"keys": [public_jwk(key, id_) for id_, key in self.keys.items()]})
        return json_reply({}, 404)

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.server.asked)

    def claims(self, **more: Any) -> dict[str, Any]:
        return {"iss": self.url, "aud": "kcp", "sub": "ada", "exp": int(time.time()) + 600, **more}

    def token(self, key_id: str = "k1", **more: Any) -> str:
        return signed(self.claims(**more), self.keys[key_id], key_id)

    def configuration(self, **more: Any) -> dict[str, Any]:
        """One entry of `jwt`."""
        issuer = {"url": self.url, "audiences": ["kcp"], "certificateAuthority": self.server.bundle.decode()}
        return {
            "issuer": issuer,
            "claimMappings": {
                "username": {"claim": "sub", "prefix": "oidc:"},
                "groups": {"claim": "groups", "prefix": "oidc:"},
            },
            **more,
        }

    def document(self, **more: Any) -> dict[str, Any]:
        return {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [self.configuration(**more)],
        }


@asynccontextmanager
async def local_issuer() -> AsyncIterator[LocalIssuer]:
    made = LocalIssuer()
    async with webhook_server(made.answer) as made.server:
        yield made
