from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from kcp import certificates
from kcp.certificates import Subject
from kcpshard.bootstrap.authority import Authority
from kcpshard.bootstrap.join_tokens import JoinRefused
from kcpshard.bootstrap.renewal import renewed
from kcpshard.rpc.join_client import _certificate_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAIR = certificates.make_authority("internal", NOW)
AUTHORITY = Authority(PAIR.certificate, PAIR.key)
KEY = ec.generate_private_key(ec.SECP256R1())
REQUEST = _certificate_request(KEY, "system:admin")


def shown(subject: Subject, *hosts: str) -> bytes:
    return certificates.issue(PAIR, subject, NOW, hosts).certificate


@pytest.mark.parametrize(
    ("subject", "hosts"),
    [(Subject("shard-3", unit="shard"), ["10.0.0.1", "shard.example"]), (Subject("front-a", unit="front"), [])],
)
def test_role_name_and_hosts_stay_and_the_key_is_that_of_the_request(subject: Subject, hosts: list[str]) -> None:
    later = NOW + timedelta(days=300)
    fresh = renewed(AUTHORITY, shown(subject, *hosts), REQUEST, later)
    parsed = x509.load_pem_x509_certificate(fresh)
    assert [each.value for each in parsed.subject] == [subject.unit, subject.common_name]
    assert sorted(certificates.certificate_hosts(fresh)) == sorted(hosts)
    assert parsed.public_key() == KEY.public_key()
    assert parsed.not_valid_after_utc == later + timedelta(days=365)
    parsed.verify_directly_issued_by(x509.load_pem_x509_certificate(PAIR.certificate))


@pytest.mark.parametrize("subject", [Subject("a", unit="admin"), Subject("a"), Subject("a", unit="anyone")])
def test_other_roles_are_not_renewed(subject: Subject) -> None:
    with pytest.raises(JoinRefused):
        renewed(AUTHORITY, shown(subject), REQUEST, NOW)


def test_a_request_that_is_none_is_refused() -> None:
    with pytest.raises(JoinRefused, match="certificate request"):
        renewed(AUTHORITY, shown(Subject("front-a", unit="front")), b"nonsense", NOW)
