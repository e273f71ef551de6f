import base64
import hashlib
import hmac
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kcpfront.authentication.credential import InvalidToken
from kcpfront.authentication.key_set import MAX_KEYS, candidates, peek, read_key_set, verified_claims
from tests.kcpfront.issuer import ec_key, public_jwk, rsa_key, signed

EC, RSA = ec_key(), rsa_key()
KEYS = read_key_set({"keys": [public_jwk(EC, "e"), public_jwk(RSA, "r")]})
CLAIMS = {"iss": "https://idp", "exp": 1000, "sub": "ada"}


def verify(token: str, now_s: float = 0.0, keys: Any = KEYS) -> dict[str, Any]:
    header = peek(token)
    assert header is not None
    return verified_claims(token, candidates(keys, header), header, now_s)


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_rsa(algorithm: str) -> None:
    assert verify(signed(CLAIMS, RSA, "r", algorithm)) == CLAIMS


def test_elliptic_curves() -> None:
    assert verify(signed(CLAIMS, EC, "e")) == CLAIMS


def test_a_token_without_a_key_id_is_tried_with_all() -> None:
    assert verify(signed(CLAIMS, RSA, "", "RS256")) == CLAIMS


def _encoded(document: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()


def test_no_signature_is_none() -> None:
    token = f"{_encoded({'alg': 'none', 'kid': 'e'})}.{_encoded(CLAIMS)}."
    with pytest.raises(InvalidToken):
        verify(token)


def test_a_public_key_is_no_shared_secret() -> None:
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    start = f"{_encoded({'alg': 'HS256', 'kid': 'r'})}.{_encoded(CLAIMS)}"
    signature = base64.urlsafe_b64encode(hmac.digest(pem, start.encode(), hashlib.sha256)).rstrip(b"=").decode()
    with pytest.raises(InvalidToken):
        verify(f"{start}.{signature}")
    assert read_key_set({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "h"}]}) == ()


def test_a_key_of_another_kind_or_for_another_use_is_not_tried() -> None:
    assert not candidates(KEYS, peek(signed(CLAIMS, EC, "r")))  # type: ignore[arg-type]
    only = read_key_set({"keys": [public_jwk(RSA, "r", alg="RS512"), public_jwk(RSA, "x", use="enc")]})
    assert [key.id for key in only] == ["r"]
    with pytest.raises(InvalidToken):
        verify(signed(CLAIMS, RSA, "r", "RS256"), keys=only)


def test_a_wrong_signature() -> None:
    with pytest.raises(InvalidToken, match="signature"):
        verify(signed(CLAIMS, ec_key(), "e"))


@pytest.mark.parametrize(
    ("claims", "now_s", "text"),
    [
        ({"exp": 1000}, 1000.0, "expired"),
        ({"exp": "soon"}, 0.0, "no expiry"),
        ({"exp": True}, 0.0, "no expiry"),
        ({"exp": 9999, "nbf": 1000}, 699.0, "not valid yet"),
    ],
)
def test_times(claims: dict[str, Any], now_s: float, text: str) -> None:
    # Signed by hand: the library refuses to sign what is no time.
    payload = orjson.dumps({"iss": "i", **claims})
    token = jwt.PyJWS().encode(payload, EC, algorithm="ES256", headers={"kid": "e"})
    with pytest.raises(InvalidToken, match=text):
        verify(token, now_s)


def test_clocks_differ() -> None:
    assert verify(signed({"iss": "i", "exp": 2000, "nbf": 1000}, EC, "e"), 701.0)
    assert verify(signed({"iss": "i", "exp": 1000}, EC, "e"), 999.9)


@pytest.mark.parametrize("claims", [{"sub": 7}, {"sub": ["a"]}, {"iat": "now"}])
def test_claims_of_the_standard_have_their_types(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken, match="another type"):
        verify(signed({"iss": "i", "exp": 1000, **claims}, EC, "e"), 1)
    assert verify(signed({"iss": "i", "exp": 1000, "sub": None}, EC, "e"), 1)


def test_weak_keys_and_odd_curves_are_passed_over() -> None:
    weak = public_jwk(rsa_key(1024), "w")
    assert (
        read_key_set({"keys": [weak, {"kty": "EC", "crv": "secp256k1"}, "x", {"kty": "OKP", "crv": "Ed25519"}]}) == ()
    )


def test_no_set_and_a_long_one() -> None:
    for document in (None, [], {}, {"keys": 1}):
        with pytest.raises(ValueError, match="no JSON Web Key Set"):
            read_key_set(document)
    assert len(read_key_set({"keys": [public_jwk(EC, str(n)) for n in range(MAX_KEYS + 5)]})) == MAX_KEYS


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "x.y.z.w", f"{_encoded({'alg': 'ES256'})}.{_encoded({})}.x"])
def test_what_is_no_token(token: str) -> None:
    assert peek(token) is None
