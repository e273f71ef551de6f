"""Everything that an administrator of one logical cluster can get hold of, and what can be made of it."""

import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kcp import certificates
from kcp.certificates import Pair, Subject
from tests.attack.wire import Wire


class Credential(NamedTuple):
    name: str
    wire: Wire


def context(authority: str, pair: Pair | None = None, directory: Path | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=authority)
    if pair is not None:
        assert directory is not None
        file = directory / f"{hashlib.sha256(pair.certificate).hexdigest()}.pem"
        file.write_bytes(pair.certificate + b"\n" + pair.key)
        made.load_cert_chain(file)
    return made


def bent_tokens(token: str, victim_id: int) -> Iterator[tuple[str, str]]:
    """Of a good service account token: what its holder may try to make of it."""
    head, claims, signature = token.split(".")
    header, body = _decoded(head), _decoded(claims)
    moved = {**body, "kcp.io": {"cluster": str(victim_id)}}
    bare = {key: value for key, value in body.items() if key != "kcp.io"}
    yield "claims of the victim", f"{head}.{_encoded(moved)}.{signature}"
    yield "claims of nobody", f"{head}.{_encoded(bare)}.{signature}"
    yield "no expiry", f"{head}.{_encoded({**body, 'exp': 9999999999})}.{signature}"
    yield "alg none", f"{_encoded({**header, 'alg': 'none'})}.{_encoded(moved)}."
    yield "alg None", f"{_encoded({**header, 'alg': 'None'})}.{_encoded(moved)}.{signature}"
    for secret in (b"", header.get("kid", "").encode(), head.encode()):
        signed = f"{_encoded({**header, 'alg': 'HS256'})}.{_encoded(moved)}"
        mac = hmac.new(secret or b"\0", signed.encode(), "sha256").digest()
        yield "alg HS256", f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    yield "no key", f"{_encoded({**header, 'kid': ''})}.{_encoded(moved)}.{signature}"
    yield "cut off", token[:-4]
    yield "legacy issuer", f"{head}.{_encoded({**moved, 'iss': 'kubernetes/serviceaccount'})}.{signature}"


def _decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _encoded(document: dict[str, Any]) -> str:
    text = json.dumps(document, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def self_made(name: str) -> Pair:
    """Signed by an authority that nobody knows."""
    now = certificates.now_utc()
    return certificates.issue(certificates.make_authority("attacker", now), Subject(name, "system:masters"), now)


PROXIED = (("X-Remote-User", "system:admin"), ("X-Remote-Group", "system:masters"))
IMPERSONATIONS = (
    (("Impersonate-User", "system:admin"), ("Impersonate-Group", "system:masters")),
    (("Impersonate-User", "system:serviceaccount:default:chief"),),
    (("Impersonate-User", "x"), ("Impersonate-Uid", "0"), ("Impersonate-Extra-kcp.io%2fscope", "0")),
    PROXIED,
)
