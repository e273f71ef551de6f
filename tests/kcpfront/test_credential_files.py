import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kcpfront.credential_files import CredentialError, CredentialFiles
from kcpfront.server import Front
from kcpfront.settings import Settings
from kcpshard.api.proofs import decode_proof
from kcpshard.credentials.issued_certificates import issue
from kcpshard.credentials.keys import KeyRing, make_key
from kcpshard.rpc import shard_pb2 as pb
from tests.kcpfront.fake_router import FakeRouter
from tests.kcpfront.http_client import HttpClient
from tests.kcpfront.tls_files import Authority

PATH = "/api/v1/namespaces/default/configmaps/a"


@pytest.fixture
def authority() -> Authority:
    return Authority("serving")


@pytest.fixture
def clients() -> Authority:
    return Authority("clients")


@pytest.fixture
def pki(tmp_path: Path, authority: Authority, clients: Authority) -> Path:
    authority.issue(tmp_path / "serving.crt", tmp_path / "serving.key", "server")
    (tmp_path / "client-ca.crt").write_bytes(clients.certificate)
    (tmp_path / "tokens.csv").write_text("t0ken,ada,1\n")
    return tmp_path


@pytest.fixture
async def front(pki: Path, router: FakeRouter) -> AsyncIterator[Front]:
    made = Front(router, router, CredentialFiles(pki, pki / "tokens.csv"), Settings(drain_s=1.0))
    yield made
    await made.stop()


def client_context(authority: Authority, pki: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    if pki is not None:
        context.load_cert_chain(pki / "client.crt", pki / "client.key")
    return context


async def test_a_token_over_tls(front: Front, authority: Authority, router: FakeRouter) -> None:
    client = HttpClient("127.0.0.1", await front.start("127.0.0.1", 0), "t0ken", client_context(authority))
    router.objects["a"] = {"a": 1}
    assert (await client.get(PATH)).json() == {"a": 1}
    client.close()


async def test_a_client_certificate(
    front: Front, authority: Authority, clients: Authority, pki: Path, router: FakeRouter
) -> None:
    clients.issue(pki / "client.crt", pki / "client.key", "eve", "ops")
    client = HttpClient("127.0.0.1", await front.start("127.0.0.1", 0), None, client_context(authority, pki))
    await client.get(PATH)
    identity = orjson.loads(router.requests[0].identity)
    assert (identity["username"], identity["groups"]) == ("eve", ["ops", "system:authenticated"])
    client.close()


async def test_a_certificate_of_another_ca_fails_the_handshake(front: Front, authority: Authority, pki: Path) -> None:
    Authority("strangers").issue(pki / "client.crt", pki / "client.key", "eve")
    client = HttpClient("127.0.0.1", await front.start("127.0.0.1", 0), None, client_context(authority, pki))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await client.get(PATH)
    client.close()


async def test_an_expired_certificate_is_replaced_without_a_restart(
    front: Front, authority: Authority, pki: Path, router: FakeRouter
) -> None:
    authority.issue(pki / "serving.crt", pki / "serving.key", "server", days=-1)
    await front.reload()
    port = await front.start("127.0.0.1", 0)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        await HttpClient("127.0.0.1", port, "t0ken", client_context(authority)).get(PATH)
    authority.issue(pki / "serving.crt", pki / "serving.key", "server")
    await front.reload()
    client = HttpClient("127.0.0.1", port, "t0ken", client_context(authority))
    assert (await client.get(PATH)).code == 404
    assert front.metrics.certificate_reloads == 2
    assert front.metrics.certificate_not_after() > time.time()
    client.close()


async def test_open_connections_outlive_a_reload(front: Front, authority: Authority, pki: Path) -> None:
    client = HttpClient("127.0.0.1", await front.start("127.0.0.1", 0), "t0ken", client_context(authority))
    assert (await client.get(PATH)).code == 404
    authority.issue(pki / "serving.crt", pki / "serving.key", "server")
    await front.reload()
    assert (await client.get(PATH)).code == 404
    assert client.opened == 1
    client.close()


async def test_unusable_new_files_leave_the_old_in_use(
    front: Front, authority: Authority, pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = await front.start("127.0.0.1", 0)
    (pki / "serving.crt").write_text("nonsense")
    await front.reload()
    assert "changed credentials are not used" in caplog.text
    client = HttpClient("127.0.0.1", port, "t0ken", client_context(authority))
    assert (await client.get(PATH)).code == 404
    client.close()


async def test_a_changed_token_file_is_taken_into_use(front: Front, authority: Authority, pki: Path) -> None:
    client = HttpClient("127.0.0.1", await front.start("127.0.0.1", 0), "t0ken", client_context(authority))
    (pki / "tokens.csv").write_text("newtoken,ada,1\n")
    await front.reload()
    assert (await client.get(PATH)).code == 401
    client.token = "newtoken"
    assert (await client.get(PATH)).code == 404
    client.close()


async def test_old_protocols_are_refused(front: Front, authority: Authority) -> None:
    port = await front.start("127.0.0.1", 0)
    context = client_context(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=context)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=r"serving\.crt"):
        CredentialFiles(tmp_path, None).tls_context()
    with pytest.raises(CredentialError, match=r"tokens\.csv"):
        CredentialFiles(tmp_path, tmp_path / "tokens.csv").tokens()


def test_changes_are_seen_once(pki: Path) -> None:
    files = CredentialFiles(pki, pki / "tokens.csv")
    assert not files.changed()
    os.utime(pki / "serving.crt", (1, 1))
    assert files.changed() and not files.changed()
    (pki / "tokens.csv").unlink()
    assert files.changed()


def test_every_cipher_has_forward_secrecy_and_is_authenticated(pki: Path) -> None:
    context = CredentialFiles(pki, None).tls_context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    old = [cipher for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    assert old and all(cipher["aead"] and cipher["name"].startswith("ECDHE-") for cipher in old)


async def test_an_authority_from_the_shard_map_is_trusted_at_once(
    front: Front, authority: Authority, pki: Path, router: FakeRouter
) -> None:
    port = await front.start("127.0.0.1", 0)
    made = make_key("certificates", time.time_ns() // 1000)
    ring = KeyRing()
    key = pb.SigningKey(
        id=made.id, purpose="certificates", private_key=made.private_key, certificate=made.certificate, signs=True
    )
    ring.take([key])
    assert ring.authority is not None
    private = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name.from_rfc4514_string("CN=jane"))
    pem = request.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)
    certificate = issue(ring.authority, pem, ("client auth",), None, 42, time.time_ns() // 1000)
    (pki / "client.crt").write_bytes(certificate)
    (pki / "client.key").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    client = HttpClient("127.0.0.1", port, None, client_context(authority, pki))
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await client.get(PATH)
    client.close()
    front.take_keys([key])
    client = HttpClient("127.0.0.1", port, None, client_context(authority, pki))
    router.objects["a"] = {"a": 1}
    assert (await client.get(PATH)).code == 200
    assert orjson.loads(router.requests[-1].identity)["scope"] == 42
    assert decode_proof(router.requests[-1].proof).cluster == 42
    client.close()
