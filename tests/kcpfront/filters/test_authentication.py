import datetime
import math
from collections.abc import Sequence

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kcpfront.authentication.credential import Credential, InvalidToken, credential
from kcpfront.authentication.static_tokens import read_token_lines
from kcpfront.exchange import Exchange
from kcpfront.filters.authentication import Authenticator, is_open
from kcpshard.api.errors import Unauthorized
from kcpshard.api.requests import Identity
from kcpshard.credentials.keys import make_key
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpfront.exchanges import exchange

LINES = ['s3cret,ada,u1,"system:masters,devs"\n', "other,bob,u2\n"]


def certificate(*names: tuple[x509.ObjectIdentifier, str]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def authenticate(authenticator: Authenticator, asked: Exchange) -> None:
    waiting = authenticator.authenticate(asked)
    if waiting is not None:
        await waiting


CERTIFICATE = certificate((NameOID.COMMON_NAME, "eve"), (NameOID.ORGANIZATION_NAME, "ops"))


def test_a_token_proves_an_identity() -> None:
    asked = exchange(headers={"Authorization": "Bearer s3cret"})
    Authenticator(read_token_lines(LINES)).authenticate(asked)
    assert orjson.loads(asked.identity) == {
        "username": "ada",
        "uid": "u1",
        "groups": ["system:masters", "devs", "system:authenticated"],
        "extra": {},
        "scope": 0,
    }


def test_one_identity_object_per_credential() -> None:
    made = Authenticator(read_token_lines(LINES))
    first, second = (exchange(headers={"Authorization": f"{word} s3cret"}) for word in ("Bearer", "bearer"))
    made.authenticate(first)
    made.authenticate(second)
    assert first.identity is second.identity


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Bearer wrong", id="wrong token"),
        pytest.param("Bearer ", id="no token"),
        pytest.param("Bearer s3cret,x", id="more than the token"),
        pytest.param("Basic s3cret", id="other scheme"),
        pytest.param("s3cret", id="no scheme"),
        pytest.param("", id="empty header"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/namespaces", "/healthz"])
async def test_a_wrong_credential_is_refused_even_where_none_is_needed(header: str, path: str) -> None:
    with pytest.raises(Unauthorized):
        await authenticate(Authenticator(read_token_lines(LINES)), exchange(path, headers={"Authorization": header}))


@pytest.mark.parametrize("path", ["/healthz", "/livez/ping", "/readyz", "/version"])
def test_strangers_may_probe(path: str) -> None:
    asked = exchange(path)
    Authenticator({}).authenticate(asked)
    assert asked.identity == b"" and is_open(path)


@pytest.mark.parametrize("path", ["/", "/api", "/metrics", "/healthzz", "/versions", "/api/v1/namespaces/healthz"])
def test_strangers_may_do_nothing_else(path: str) -> None:
    with pytest.raises(Unauthorized):
        Authenticator({}).authenticate(exchange(path))


def test_strangers_are_anonymous_where_that_is_allowed() -> None:
    asked = exchange()
    Authenticator({}, anonymous=True).authenticate(asked)
    found = orjson.loads(asked.identity)
    assert (found["username"], found["groups"]) == ("system:anonymous", ["system:unauthenticated"])


async def test_a_wrong_token_is_not_anonymous() -> None:
    with pytest.raises(Unauthorized):
        await authenticate(Authenticator({}, anonymous=True), exchange(headers={"Authorization": "Bearer x"}))


def with_authority(der: bytes) -> Authenticator:
    made = Authenticator({})
    made.certificates.take_client_authorities([x509.load_der_x509_certificate(der)])
    return made


def test_a_certificate_proves_an_identity() -> None:
    made = with_authority(CERTIFICATE)
    asked = exchange(certificate=CERTIFICATE)
    made.authenticate(asked)
    found = orjson.loads(asked.identity)
    assert (found["username"], found["groups"]) == ("eve", ["ops", "system:authenticated"])
    again = exchange(certificate=CERTIFICATE)
    made.authenticate(again)
    assert again.identity is asked.identity


def test_a_certificate_without_a_name_is_nobody() -> None:
    nameless = certificate((NameOID.ORGANIZATION_NAME, "ops"))
    with pytest.raises(Unauthorized):
        with_authority(nameless).authenticate(exchange(certificate=nameless))


def test_a_certificate_of_whom_tls_trusts_for_others_is_nobody() -> None:
    with pytest.raises(Unauthorized):
        Authenticator({}).authenticate(exchange(certificate=CERTIFICATE))


def test_a_token_goes_before_a_certificate() -> None:
    asked = exchange(headers={"Authorization": "Bearer s3cret"}, certificate=CERTIFICATE)
    Authenticator(read_token_lines(LINES)).authenticate(asked)
    assert orjson.loads(asked.identity)["username"] == "ada"


async def test_replaced_tokens_are_gone() -> None:
    made = Authenticator(read_token_lines(LINES))
    made.replace_tokens(read_token_lines(LINES[1:]))
    with pytest.raises(Unauthorized):
        await authenticate(made, exchange(headers={"Authorization": "Bearer s3cret"}))


class Prover:
    """Knows one token, asked often or not."""

    def __init__(self, expires_s: float = math.inf) -> None:
        self.asked: list[tuple[str, Sequence[str]]] = []
        self._found = credential(Identity("pat", scope=7), b"[7]", expires_s, ("api",))

    async def prove(self, token: str, audiences: Sequence[str]) -> Credential | None:
        self.asked.append((token, audiences))
        if token == "bad":
            raise InvalidToken("it is bad")
        return self._found if token == "good" else None


async def test_what_a_prover_has_proved_is_remembered() -> None:
    prover = Prover()
    made = Authenticator({}, provers=(prover,))
    for _ in range(2):
        asked = exchange(headers={"Authorization": "Bearer good"})
        await authenticate(made, asked)
        assert orjson.loads(asked.identity)["scope"] == 7
        assert asked.proof == b"[7]"
    assert prover.asked == [("good", made.accounts.audiences)]


async def test_what_has_expired_is_proved_again() -> None:
    prover = Prover(expires_s=1.0)
    made = Authenticator({}, provers=(prover,))
    for _ in range(2):
        await authenticate(made, exchange(headers={"Authorization": "Bearer good"}))
    assert len(prover.asked) == 2


async def test_a_key_that_is_gone_takes_what_it_proved_with_it() -> None:
    prover, key = Prover(), make_key("tokens", 0)
    made = Authenticator({}, provers=(prover,))
    made.take_keys([pb.SigningKey(id=key.id, purpose="tokens", public_key=key.public_key)])
    await authenticate(made, exchange(headers={"Authorization": "Bearer good"}))
    made.take_keys([])
    await authenticate(made, exchange(headers={"Authorization": "Bearer good"}))
    assert len(prover.asked) == 2


async def test_a_review_brings_the_proof_along_and_says_why_not() -> None:
    made = Authenticator({}, provers=(Prover(),))
    assert await made.review("good", ["x", "api"]) == {
        "authenticated": True,
        "user": {"username": "pat"},
        "audiences": ["api"],
        "proof": "[7]",
    }
    assert await made.review("bad", []) == {"user": {}, "error": "[invalid bearer token, it is bad]"}


async def test_a_review_without_audiences_is_for_the_server_itself() -> None:
    made = Authenticator(read_token_lines(LINES))
    assert (await made.review("other", []))["audiences"] == list(made.accounts.audiences)


async def test_a_review_says_who() -> None:
    made = Authenticator(read_token_lines(LINES))
    assert await made.review("other", ["api"]) == {
        "authenticated": True,
        "user": {"username": "bob", "uid": "u2", "groups": ["system:authenticated"]},
        "audiences": ["api"],
    }
    assert await made.review("no", []) == {"user": {}, "error": "invalid bearer token"}
    assert "authenticated" not in await made.review("", [])
