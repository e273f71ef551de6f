from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from kcp import certificates
from kcp.certificates import Subject, issue, make_authority, needs_renewal

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AUTHORITY = make_authority("test", NOW)


def parse(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def test_a_serving_certificate_is_valid_for_its_names_under_its_authority() -> None:
    pair = issue(AUTHORITY, Subject("front"), NOW, ["localhost", "127.0.0.1"])
    store = Store([parse(AUTHORITY.certificate)])
    for name in (x509.DNSName("localhost"), x509.IPAddress(certificates.ipaddress.ip_address("127.0.0.1"))):
        PolicyBuilder().store(store).time(NOW).build_server_verifier(name).verify(parse(pair.certificate), [])


def test_another_authority_does_not_vouch_for_it() -> None:
    pair = issue(AUTHORITY, Subject("front"), NOW, ["localhost"])
    verifier = PolicyBuilder().store(Store([parse(make_authority("other", NOW).certificate)])).time(NOW)
    with pytest.raises(Exception, match="candidates exhausted"):
        verifier.build_server_verifier(x509.DNSName("localhost")).verify(parse(pair.certificate), [])


def test_a_client_certificate_may_not_serve() -> None:
    pair = issue(AUTHORITY, Subject("alice", organizations=("devs", "ops")), NOW)
    usages = parse(pair.certificate).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    organizations = parse(pair.certificate).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [each.value for each in organizations] == ["devs", "ops"]


def test_the_role_is_the_organizational_unit() -> None:
    subject = parse(issue(AUTHORITY, Subject("shard-2", unit="shard"), NOW).certificate).subject
    assert [each.value for each in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)] == ["shard"]


@pytest.mark.parametrize(
    ("days", "due"),
    [
        pytest.param(0, False, id="new"),
        pytest.param(240, False, id="more than a third is left"),
        pytest.param(245, True, id="less than a third is left"),
        pytest.param(400, True, id="expired"),
    ],
)
def test_renewal_is_due_in_the_last_third(days: int, due: bool) -> None:
    pair = issue(AUTHORITY, Subject("front"), NOW, ["localhost"])
    assert needs_renewal(pair.certificate, NOW + timedelta(days=days), ["localhost"]) is due


@pytest.mark.parametrize(
    ("hosts", "due"),
    [
        pytest.param(["localhost", "::1"], False, id="all named"),
        pytest.param(["0:0:0:0:0:0:0:1", "LOCALHOST"], False, id="other spellings"),
        pytest.param(["localhost", "kcp.example.com"], True, id="a new name"),
        pytest.param(["10.0.0.1"], True, id="a new address"),
    ],
)
def test_renewal_is_due_for_a_new_name(hosts: list[str], due: bool) -> None:
    pair = issue(AUTHORITY, Subject("front"), NOW, ["localhost", "::1"])
    assert needs_renewal(pair.certificate, NOW, hosts) is due


def test_renewal_may_keep_the_key() -> None:
    first = issue(AUTHORITY, Subject("front"), NOW)
    second = issue(AUTHORITY, Subject("front"), NOW + timedelta(days=300), key=first.key)
    assert second.key == first.key
    assert second.certificate != first.certificate
    assert certificates.is_pair(*second)


def test_a_certificate_does_not_outlive_its_authority() -> None:
    late = NOW + certificates.AUTHORITY_LIFE - timedelta(days=10)
    pair = issue(AUTHORITY, Subject("front"), late)
    assert parse(pair.certificate).not_valid_after_utc == parse(AUTHORITY.certificate).not_valid_after_utc


def test_pairs_are_told_from_strangers_and_from_rubbish() -> None:
    one, other = issue(AUTHORITY, Subject("a"), NOW), issue(AUTHORITY, Subject("b"), NOW)
    assert certificates.is_pair(*one)
    assert not certificates.is_pair(one.certificate, other.key)
    assert not certificates.is_pair(b"", one.key)
    assert not certificates.is_pair(one.certificate, b"rubbish")


def test_the_fingerprint_is_that_of_the_der_form() -> None:
    from hashlib import sha256

    from cryptography.hazmat.primitives.serialization import Encoding

    der = parse(AUTHORITY.certificate).public_bytes(Encoding.DER)
    assert certificates.fingerprint(AUTHORITY.certificate) == sha256(der).hexdigest()
