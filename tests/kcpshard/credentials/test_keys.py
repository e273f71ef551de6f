import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kcpshard.credentials.keys import CERTIFICATES, PURPOSES, TOKENS, KeyRing, make_key
from kcpshard.rpc import shard_pb2 as pb

NOW_US = 1_796_000_000_000_000


def delivered(purpose: str, signs: bool = True, private: bool = True) -> pb.SigningKey:
    made = make_key(purpose, NOW_US)
    key = made.private_key if private else b""
    return pb.SigningKey(
        id=made.id,
        purpose=purpose,
        public_key=made.public_key,
        private_key=key,
        certificate=made.certificate,
        signs=signs,
    )


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_key_is_new_each_time(purpose: str) -> None:
    first, second = make_key(purpose, NOW_US), make_key(purpose, NOW_US)
    assert first.id != second.id
    load_pem_public_key(first.public_key)
    assert bool(first.certificate) is (purpose != TOKENS)


def test_an_authority_has_a_name_of_its_own_and_signs_leaves_only() -> None:
    first, second = (x509.load_pem_x509_certificate(make_key(CERTIFICATES, NOW_US).certificate) for _ in range(2))
    assert first.subject != second.subject
    constraints = first.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)


def test_a_ring_signs_with_the_key_that_signs() -> None:
    ring, old, new = KeyRing(), delivered(TOKENS, signs=False), delivered(TOKENS)
    ring.take([old, new, delivered(CERTIFICATES)])
    assert ring.token_signer is not None and ring.token_signer.id == new.id
    assert ring.authority is not None
    assert ring.token_keys == {old.id, new.id}


def test_without_private_keys_nothing_is_signed() -> None:
    ring = KeyRing()
    ring.take([delivered(TOKENS, private=False)])
    assert ring.token_signer is None and ring.authority is None
