"""What others need to check tokens of service accounts by themselves: OpenID Connect's discovery document and keys.

Whoever may read them is decided by the logical cluster's RBAC (system:service-account-issuer-discovery).
"""

import re
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from kcpfront.authentication.service_account_tokens import ServiceAccountTokens
from kcpfront.exchange import Exchange, Reply
from kcpfront.responses import json_reply
from kcpshard.api.errors import MethodNotAllowed

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
PATHS = frozenset({CONFIGURATION, KEYS})
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")


def reply(exchange: Exchange, accounts: ServiceAccountTokens) -> Reply:
    """Raises MethodNotAllowed."""
    if exchange.method not in ("GET", "HEAD"):
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    if exchange.info.path == KEYS:
        document = json_reply(200, key_set(accounts.keys))
        return document._replace(content_type="application/jwk-set+json")
    return json_reply(200, configuration(exchange, accounts.issuer))


def configuration(exchange: Exchange, issuer: str) -> dict[str, Any]:
    """The keys are where the client has found us, in the same logical cluster."""
    host = exchange.headers.get("Host") or ""
    server = f"https://{host}" if _HOST.fullmatch(host) else issuer
    return {
        "issuer": issuer,
        "jwks_uri": f"{server}/clusters/{exchange.info.cluster}{KEYS}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }


def key_set(keys: Mapping[str, ec.EllipticCurvePublicKey]) -> dict[str, Any]:
    return {
        "keys": [
            {"use": "sig", "kid": id_, "alg": "ES256", **ECAlgorithm.to_jwk(key, as_dict=True)}
            for id_, key in keys.items()
        ]
    }
