import datetime
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from multidict import CIMultiDict

from kcpfront.authentication.options import RequestHeaderOptions
from kcpfront.authentication.request_headers import MAX_USERS, RequestHeaders
from tests.kcpfront.tls_files import NOW


def certificate(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + datetime.timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


PROXY = certificate("proxy")
OPTIONS = RequestHeaderOptions(
    Path("ca"), ("proxy",), ("X-Remote-User", "X-Other-User"), ("X-Remote-Uid",), ("X-Remote-Group",), ("X-Extra-",)
)
HEADERS = [
    ("x-remote-user", "ada"),
    ("X-Remote-Group", "dev"),
    ("X-Remote-Group", "ops"),
    ("X-Remote-Group", ""),
    ("X-Remote-Uid", "u1"),
    ("X-Extra-acme.io%2Fteam", "a"),
    ("X-Extra-ACME.io%2fteam", "b"),
]


def made(options: RequestHeaderOptions = OPTIONS, signed: bool = True) -> RequestHeaders:
    return RequestHeaders(options, lambda _: signed)


def headers(pairs: Sequence[tuple[str, str]] = HEADERS) -> CIMultiDict[str]:
    return CIMultiDict(pairs)


def test_what_a_proxy_tells() -> None:
    found = made().prove(PROXY, headers())
    assert found is not None and found.proof == b""
    assert (found.user.username, found.user.uid, found.user.scope) == ("ada", "u1", 0)
    assert found.user.groups == ("dev", "ops", "system:authenticated")
    assert found.user.extra == {"acme.io/team": ["a", "b"]}


def test_the_first_header_that_says_something_names_the_user() -> None:
    found = made().prove(PROXY, headers([("X-Remote-User", ""), ("X-Other-User", "eve")]))
    assert found is not None and found.user.username == "eve"


def test_another_name_or_signer_is_not_believed() -> None:
    assert made().prove(certificate("somebody"), headers()) is None
    assert made(signed=False).prove(PROXY, headers()) is None
    assert made(OPTIONS._replace(allowed_names=())).prove(certificate("somebody"), headers()) is not None


def test_a_proxy_that_names_nobody() -> None:
    assert made().prove(PROXY, headers(HEADERS[1:])) is None


def test_headers_that_are_not_configured_mean_nothing() -> None:
    found = made(RequestHeaderOptions(Path("ca"), (), ("X-Remote-User",))).prove(PROXY, headers())
    assert found is not None
    assert (found.user.uid, found.user.groups, found.user.extra) == ("", ("system:authenticated",), {})


def test_who_is_told_to_be_nobody_is_not_authenticated() -> None:
    found = made().prove(PROXY, headers([("X-Remote-User", "system:anonymous")]))
    assert found is not None and found.user.groups == ()


def test_the_same_user_is_one_object_and_many_are_bounded() -> None:
    one = made()
    assert one.prove(PROXY, headers()) is one.prove(PROXY, headers())
    for number in range(MAX_USERS + 5):
        one.prove(PROXY, headers([("X-Remote-User", f"u{number}")]))
    assert len(one._users) <= MAX_USERS


def test_changed_authorities_are_asked_again() -> None:
    answers = [True]
    one = RequestHeaders(OPTIONS, lambda _: answers[0])
    assert one.prove(PROXY, headers()) is not None
    answers[0] = False
    assert one.prove(PROXY, headers()) is not None
    one.forget()
    assert one.prove(PROXY, headers()) is None
