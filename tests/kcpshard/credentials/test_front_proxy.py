from cryptography import x509
from cryptography.x509.oid import NameOID

from kcpshard.credentials.front_proxy import LIFE, FrontProxyCertificates, common_name
from kcpshard.credentials.keys import CERTIFICATES, FRONT_PROXY, KeyRing, make_key
from kcpshard.rpc import shard_pb2 as pb

NOW_US = 1_796_000_000_000_000


def ring(*purposes: str) -> KeyRing:
    found = KeyRing()
    take(found, *purposes)
    return found


def take(found: KeyRing, *purposes: str) -> None:
    keys = []
    for purpose in purposes:
        made = make_key(purpose, NOW_US)
        keys.append(
            pb.SigningKey(
                id=made.id, purpose=purpose, private_key=made.private_key, certificate=made.certificate, signs=True
            )
        )
    found.take(keys)


def test_each_logical_cluster_has_a_certificate_with_its_own_name() -> None:
    keys = ring(FRONT_PROXY, CERTIFICATES)
    made = FrontProxyCertificates(keys, lambda: NOW_US)
    assert keys.front_proxy is not None
    for cluster_id in (7, 8):
        found = x509.load_pem_x509_certificate(made.pair(cluster_id))
        found.verify_directly_issued_by(keys.front_proxy.certificate)
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert [name.value for name in names] == [common_name(cluster_id)]
    assert b"PRIVATE KEY" in made.pair(7)
    assert keys.front_proxy_authorities.count(b"BEGIN CERTIFICATE") == 1


def test_it_is_used_again_until_it_grows_old_or_the_authority_is_another() -> None:
    now = [NOW_US]
    keys = ring(FRONT_PROXY)
    made = FrontProxyCertificates(keys, lambda: now[0])
    first = made.pair(7)
    assert made.pair(7) == first
    now[0] += int(LIFE.total_seconds() * 0.7e6)
    second = made.pair(7)
    assert second != first
    take(keys, FRONT_PROXY)
    assert made.pair(7) != second


def test_without_an_authority_there_is_none() -> None:
    assert FrontProxyCertificates(ring(CERTIFICATES), lambda: NOW_US).pair(7) == b""
