import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kcp.certificates import fingerprint, make_authority, now_utc
from kcpshard.api.client_authorities import certificates, digest

ONE, TWO = (make_authority(name, now_utc()).certificate for name in ("one", "two"))


def test_a_bundle_has_each_certificate_once() -> None:
    found = certificates(b"# comment\n" + ONE + b"text between\r\n" + TWO.replace(b"\n", b"\r\n"))
    assert [digest(der) for der in found] == [fingerprint(ONE), fingerprint(TWO)]
    assert found[0] == x509.load_pem_x509_certificate(ONE).public_bytes(Encoding.DER)


def test_other_blocks_are_passed_over() -> None:
    assert certificates(ONE.replace(b"CERTIFICATE", b"PUBLIC KEY")) == []
    assert certificates(b"") == []


def test_a_damaged_block_is_told() -> None:
    with pytest.raises(ValueError, match="base64"):
        certificates(b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
