from kcpfront.authentication.credential import credential, digest
from kcpshard.api.requests import Identity, decode_identity


def test_a_credential_has_its_identity_encoded() -> None:
    user = Identity("ann", "1", ("devs",), {"a": ["b"]}, 5)
    assert decode_identity(credential(user).identity) == user


def test_tokens_are_told_apart_by_digest() -> None:
    assert digest("a") != digest("b")
    assert len(digest("\udc80")) == 32  # what came as no UTF-8 is a token too, if a wrong one
