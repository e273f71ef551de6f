"""The registry by itself, and the whole way: registered through the API, a connection, an identity, an end."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

import kcpfront
from kcp.certificates import Pair, Subject, fingerprint, issue, make_authority, now_utc
from kcpfront.authentication.tenant_authorities import TenantAuthorities
from kcpfront.embedding import EmbeddedServer
from kcpshard.rpc import shard_pb2 as pb
from tests.attack.credentials import context
from tests.attack.targets import Attack
from tests.attack.wire import Wire

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B, SAME = (make_authority(name, NOW) for name in ("a", "b", "a"))


def told(path: str, *pairs: Pair, since: int = 1, cluster_id: int = 7) -> pb.TenantAuthorities:
    pem = b"".join(pair.certificate for pair in pairs)
    return pb.TenantAuthorities(cluster=path, cluster_id=cluster_id, since=since, uid="u", certificates=pem)


def signer(known: TenantAuthorities, pair: Pair, now: datetime = NOW) -> str | None:
    found = known.signer(x509.load_pem_x509_certificate(pair.certificate), now)
    return found[0] if found else None


def leaf(
    authority: Pair, usages: list[x509.ObjectIdentifier], algorithm: Any = None, is_authority: bool = False
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    signed_by = x509.load_pem_x509_certificate(authority.certificate)
    made = x509.CertificateBuilder().subject_name(x509.Name.from_rfc4514_string("CN=x")).issuer_name(signed_by.subject)
    made = made.public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    if usages:
        made = made.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    private: Any = serialization.load_pem_private_key(authority.key, None)
    certificate = made.sign(private, algorithm or hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), b"")


def test_an_authority_is_worth_something_where_it_is_registered() -> None:
    known = TenantAuthorities()
    change = known.take(1, [told("root:x", A, B), told("root:y", B, cluster_id=8)])
    assert (sorted(change.fresh), change.lost) == (sorted([A.certificate, B.certificate]), False)
    by_a = signer(known, issue(A, Subject("ann"), NOW))
    assert by_a == fingerprint(A.certificate)
    proof = known.proof("root:x", by_a)
    assert proof is not None
    assert (proof.cluster, proof.authority, proof.objects[0].name) == (7, by_a, "kcp-client-ca")
    assert known.proof("root:y", by_a) is None
    assert known.proof("*", by_a) is None
    of_b = known.proof("root:y", fingerprint(B.certificate))
    assert of_b is not None and of_b.cluster == 8


def test_what_changes_is_told() -> None:
    known = TenantAuthorities()
    known.take(1, [told("root:x", A), told("root:y", A)])
    assert known.take(1, [told("root:x")]) == ([], False), "the other still has it"
    assert known.take(1, [told("root:y", B)]) == ([B.certificate], True)
    assert list(known.anchors()) == [B.certificate]
    assert signer(known, issue(A, Subject("ann"), NOW)) is None
    assert len(known) == 1


def test_one_of_two_with_the_same_name_counts_the_first_registered() -> None:
    known = TenantAuthorities()
    known.take(1, [told("root:x", A, since=5)])
    assert known.take(1, [told("root:thief", SAME, since=6)]) == ([], False)
    assert signer(known, issue(A, Subject("ann"), NOW)) == fingerprint(A.certificate)
    assert signer(known, issue(SAME, Subject("ann"), NOW)) is None
    assert known.take(2, [told("root:older", SAME, since=4)]) == ([SAME.certificate], True)
    assert known.complete(2, set()) == ([A.certificate], True)


def test_names_of_the_installation_are_nobodys() -> None:
    known = TenantAuthorities()
    known.reserve([x509.load_pem_x509_certificate(SAME.certificate)])
    assert known.take(1, [told("root:x", A)]) == ([], False)
    assert (list(known.anchors()), signer(known, issue(A, Subject("ann"), NOW))) == ([], None)


def test_what_a_shard_does_not_name_any_more_is_gone_but_for_what_another_names() -> None:
    known = TenantAuthorities()
    known.take(1, [told("root:x", A), told("root:y", B)])
    known.take(2, [told("root:x", A)])
    assert known.complete(1, {"root:z"}) == ([], True)
    assert list(known.anchors()) == [A.certificate]
    assert known.take(2, [told("root:x")]) == ([], True)
    assert len(known) == 0


@pytest.mark.parametrize(
    ("pair", "is_good"),
    [
        (leaf(A, [ExtendedKeyUsageOID.CLIENT_AUTH]), True),
        (leaf(A, [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), True),
        (leaf(A, []), True),
        (leaf(A, [ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (leaf(A, [], is_authority=True), False),
        (leaf(SAME, []), False),
        (leaf(B, []), False),
    ],
    ids=[
        "for clients",
        "for anything",
        "for whatever",
        "for servers",
        "an authority",
        "another of the name",
        "another",
    ],
)
def test_our_own_examination(pair: Pair, is_good: bool) -> None:
    known = TenantAuthorities()
    known.take(1, [told("root:x", A)])
    assert (signer(known, pair) is not None) is is_good
    for now in (NOW - timedelta(days=2), NOW + timedelta(days=2)):
        assert signer(known, pair, now) is None, "not valid yet, or not any more"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with kcpfront.embedded() as made:
        yield made


CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def ask(
    wire: Wire, method: str, target: str, body: Any = None, media_type: str = "application/json"
) -> tuple[int, Any]:
    data = json.dumps(body).encode() if body is not None else b""
    answer = wire.ask(Attack(method, target, (("Content-Type", media_type),), data))
    return answer.code, json.loads(answer.body) if answer.body else None


def until(wire: Wire, target: str, body: Any, code: int) -> Any:
    for _ in range(100):
        found, document = ask(wire, "POST", target, body)
        if found == code:
            return document
        time.sleep(0.02)
    raise AssertionError(f"{target} answers {found}: {document}")


def test_a_client_of_a_tenants_authority(server: EmbeddedServer, tmp_path: Path) -> None:
    port = int(server.url.rpartition(":")[2])
    admin = Wire(port, context(server.authority), (("Authorization", f"Bearer {server.token}"),))
    for path in ("home", "away"):
        server.create_cluster(path)
    authority = make_authority("team", now_utc())
    client = Wire(
        port, context(server.authority, issue(authority, Subject("ann", ("system:masters",)), now_utc()), tmp_path)
    )
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    assert client.ask(Attack("GET", "/version")).code == 0, "an unknown authority does not even connect"
    pem = authority.certificate.decode()
    made = {"metadata": {"name": "kcp-client-ca"}, "data": {"client-ca-file": pem}}
    assert ask(admin, "POST", f"/clusters/home{CONFIG_MAPS}", made)[0] == 201

    found = until(client, f"/clusters/home{WHO}", review, 201)
    assert found["status"]["userInfo"]["username"] == "ann"
    assert ask(client, "GET", "/clusters/home/api/v1/secrets")[0] == 200, "master of its own logical cluster"
    for other in ("away", "none", "root", "system:shards", "%2a"):
        assert ask(client, "GET", f"/clusters/{other}/api/v1/secrets")[0] == 401
    watch = f"/clusters/home{CONFIG_MAPS}?watch=1&timeoutSeconds=20&resourceVersion=0"

    assert ask(admin, "DELETE", f"/clusters/home{CONFIG_MAPS}/kcp-client-ca")[0] == 200
    assert ask(client, "GET", "/clusters/home/api/v1/secrets")[0] == 401, "at once, on the same connection"
    assert ask(client, "GET", watch)[0] == 401
    assert ask(admin, "POST", f"/clusters/home{CONFIG_MAPS}", made)[0] == 201
    until(client, f"/clusters/home{WHO}", review, 201)
    client.close()
    admin.close()
