import orjson
import pytest

from kcpfront.authentication.service_account_tokens import ServiceAccountTokens
from kcpfront.handlers.issuer_discovery import CONFIGURATION, KEYS, reply
from kcpshard.api.errors import MethodNotAllowed
from kcpshard.credentials.keys import make_key
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpfront.exchanges import exchange


def accounts() -> ServiceAccountTokens:
    found, made = ServiceAccountTokens("https://issuer"), make_key("tokens", 0)
    found.take_keys([pb.SigningKey(id=made.id, purpose="tokens", public_key=made.public_key)])
    return found


def test_the_configuration_names_where_the_keys_are() -> None:
    asked = exchange(f"/clusters/root:a{CONFIGURATION}", headers={"Host": "kcp.example:6443"})
    found = orjson.loads(reply(asked, accounts()).body)
    assert found["issuer"] == "https://issuer"
    assert found["jwks_uri"] == "https://kcp.example:6443/clusters/root:a/openid/v1/jwks"


def test_a_strange_host_is_not_repeated() -> None:
    found = orjson.loads(reply(exchange(CONFIGURATION, headers={"Host": "a/b@c"}), accounts()).body)
    assert found["jwks_uri"].startswith("https://issuer/")


def test_keys_are_public_ones() -> None:
    known = accounts()
    answer = reply(exchange(KEYS), known)
    (key,) = orjson.loads(answer.body)["keys"]
    assert answer.content_type == "application/jwk-set+json"
    assert key.keys() == {"use", "kid", "alg", "kty", "crv", "x", "y"}
    assert [key["kid"]] == list(known.keys)


def test_they_are_read_only() -> None:
    with pytest.raises(MethodNotAllowed):
        reply(exchange(KEYS, "POST"), accounts())
