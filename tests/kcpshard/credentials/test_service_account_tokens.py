import jwt
import pytest

from kcpshard.api.errors import ServiceUnavailable
from kcpshard.api.service_accounts import DEFAULT_ISSUER
from kcpshard.credentials.keys import TOKENS, KeyRing, make_key
from kcpshard.credentials.service_account_tokens import Reference, Subject, TokenIssuer
from kcpshard.rpc import shard_pb2 as pb

SUBJECT = Subject("ns", Reference("sa", "u"), {"secret": Reference("s", "v")})


def issuer() -> TokenIssuer:
    made, ring = make_key(TOKENS, 0), KeyRing()
    ring.take([pb.SigningKey(id=made.id, purpose=TOKENS, private_key=made.private_key, signs=True)])
    return TokenIssuer(ring)


def test_claims_are_laid_out_as_in_kubernetes() -> None:
    token = issuer().issue(5, SUBJECT, ["vault"], 1_000, 600, warn_after_s=100)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.pop("jti")
    assert claims == {
        "aud": ["vault"],
        "exp": 1_600,
        "iat": 1_000,
        "nbf": 1_000,
        "iss": DEFAULT_ISSUER,
        "sub": "system:serviceaccount:ns:sa",
        "kubernetes.io": {
            "namespace": "ns",
            "serviceaccount": {"name": "sa", "uid": "u"},
            "secret": {"name": "s", "uid": "v"},
            "warnafter": 1_100,
        },
        "kcp.io": {"cluster": "5"},
    }
    assert jwt.get_unverified_header(token).keys() == {"alg", "kid"}


def test_a_token_for_a_secret_does_not_expire() -> None:
    claims = jwt.decode(issuer().issue_legacy(5, SUBJECT, "sa-token"), options={"verify_signature": False})
    assert "exp" not in claims
    assert claims["kubernetes.io/serviceaccount/secret.name"] == "sa-token"
    assert claims["iss"] == "kubernetes/serviceaccount"


def test_without_a_key_there_is_no_token() -> None:
    with pytest.raises(ServiceUnavailable):
        TokenIssuer(KeyRing()).issue(5, SUBJECT, [], 0, 600)
