"""The certificate authorities of logical clusters' own clients, as the shards tell of them. Pure.

TLS verifies by one set of authorities for all, before anybody has said which logical cluster they want, and it looks
them up by name. So a name counts once in an installation: for the authority that was registered first, in as many
logical clusters as it is registered. What a certificate is worth is found out here, by an examination of our own: it
must be signed by that authority directly.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from kcpshard.api.client_authorities import CONFIG_MAPS, NAME, NAMESPACE, certificates, digest
from kcpshard.api.proofs import ClaimedObject, Proof

MAX_AUTHORITIES = 50_000  # of one front: about 3 kB each, and as much again in OpenSSL
_SIGNED_BY = frozenset({"sha256", "sha384", "sha512"})


class Registration(Protocol):
    """The message TenantAuthorities."""

    cluster: str
    cluster_id: int
    since: int
    uid: str
    certificates: bytes


class _Held(NamedTuple):
    """An authority in one logical cluster."""

    since: int
    digest: str
    cluster: str


class _Known(NamedTuple):
    cluster_id: int
    uid: str
    held: tuple[tuple[bytes, str], ...]  # subject and digest


class Change(NamedTuple):
    """Of what TLS has to trust: PEM of those that are new; whether some are no longer."""

    fresh: Sequence[bytes]
    lost: bool


class TenantAuthorities:
    """Told by `take`; asked by `signer` and `proof`."""

    def __init__(self) -> None:
        self._reserved: frozenset[bytes] = frozenset()
        self._by_shard: dict[int, set[str]] = {}
        self._by_cluster: dict[str, _Known] = {}
        self._holders: dict[bytes, set[_Held]] = {}  # by subject
        self._certificates: dict[str, x509.Certificate] = {}  # by digest
        self._uses: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._certificates)

    def reserve(self, installation: Iterable[x509.Certificate]) -> None:
        """Names of the installation's own authorities: no tenant's counts under one of them."""
        self._reserved = frozenset(each.subject.public_bytes() for each in installation)

    def take(self, shard: int, told: Iterable[Registration]) -> Change:
        """What a shard says of some of its logical clusters. One that has moved is told of by two for a while."""
        before: dict[bytes, str] = {}
        for each in told:
            mine = self._by_shard.setdefault(shard, set())
            if each.certificates:
                mine.add(each.cluster)
                self._replace(each.cluster, self._read(each), each.since, before)
            else:
                mine.discard(each.cluster)
                if not any(each.cluster in paths for paths in self._by_shard.values()):
                    self._replace(each.cluster, None, 0, before)
        return self._change(before)

    def complete(self, shard: int, named: Iterable[str]) -> Change:
        """The shard has named all that it has: what else it had told of is gone."""
        before: dict[bytes, str] = {}
        mine = self._by_shard.setdefault(shard, set())
        gone, self._by_shard[shard] = mine - set(named), mine & set(named)
        for path in gone:
            if not any(path in paths for paths in self._by_shard.values()):
                self._replace(path, None, 0, before)
        return self._change(before)

    def anchors(self) -> Iterator[bytes]:
        """PEM of every authority that counts."""
        for subject in list(self._holders):
            if found := self._winner(subject):
                yield _pem(self._certificates[found])

    def signer(self, certificate: x509.Certificate, now: datetime) -> tuple[str, datetime] | None:
        """The digest of the authority that has signed it, and until when that holds; None for what is not good."""
        found = self._winner(certificate.issuer.public_bytes())
        if not found:
            return None
        authority = self._certificates[found]
        if not (_is_valid(authority, now) and _is_valid(certificate, now) and _is_for_clients(certificate)):
            return None
        try:
            algorithm = certificate.signature_hash_algorithm  # None for Ed25519
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            return None
        if algorithm is not None and algorithm.name not in _SIGNED_BY:
            return None
        return found, min(authority.not_valid_after_utc, certificate.not_valid_after_utc)

    def proof(self, path: str, authority: str) -> Proof | None:
        """For an identity by that authority in a logical cluster; None: there it is nobody's."""
        known = self._by_cluster.get(path)
        if known is None or not any(authority == each for _, each in known.held):
            return None
        claimed = ClaimedObject(CONFIG_MAPS, NAMESPACE, NAME, known.uid)
        return Proof(known.cluster_id, (claimed,), authority=authority)

    # --- keeping

    def _read(self, told: Registration) -> _Known:
        """What cannot be read is passed over: the shard has looked at it before it was stored."""
        held = []
        try:
            found = certificates(told.certificates)
        except ValueError:
            found = []
        for der in found:
            name = digest(der)
            try:
                parsed = self._certificates.get(name) or x509.load_der_x509_certificate(der)
                held.append((parsed.subject.public_bytes(), name))
            except (ValueError, TypeError):
                continue
            if name not in self._certificates:
                if len(self._certificates) >= MAX_AUTHORITIES:
                    held.pop()
                    continue
                self._certificates[name] = parsed
        return _Known(told.cluster_id, told.uid, tuple(held))

    def _replace(self, path: str, known: _Known | None, since: int, before: dict[bytes, str]) -> None:
        old = self._by_cluster.pop(path, None)
        for subject, _ in (*(old.held if old else ()), *(known.held if known else ())):
            before.setdefault(subject, self._winner(subject))
        if known is not None:
            self._by_cluster[path] = known
            for subject, name in known.held:
                self._holders.setdefault(subject, set()).add(_Held(since, name, path))
                self._uses[name] = self._uses.get(name, 0) + 1
        for subject, name in old.held if old else ():
            self._drop(path, subject, name, known)

    def _drop(self, path: str, subject: bytes, name: str, known: _Known | None) -> None:
        holders = self._holders[subject]
        mine = sorted(each for each in holders if each.cluster == path and each.digest == name)
        stays = known is not None and (subject, name) in known.held
        for each in mine[:-1] if stays else mine:
            holders.discard(each)
        if not holders:
            del self._holders[subject]
        self._uses[name] -= 1
        if not self._uses[name]:
            del self._uses[name], self._certificates[name]

    def _winner(self, subject: bytes) -> str:
        """The digest of the authority that counts under that name; "" for none."""
        holders = self._holders.get(subject)
        return min(holders).digest if holders and subject not in self._reserved else ""

    def _change(self, before: dict[bytes, str]) -> Change:
        after = {subject: self._winner(subject) for subject in before}
        fresh = [_pem(self._certificates[new]) for subject, new in after.items() if new and new != before[subject]]
        return Change(fresh, any(old and after[subject] != old for subject, old in before.items()))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _is_for_clients(certificate: x509.Certificate) -> bool:
    """As kube-apiserver: an extendedKeyUsage, where there is one, must name clients; an authority is no client."""
    extensions = certificate.extensions
    try:
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.intersection(usages):
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        if not extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return False
    except x509.ExtensionNotFound:
        pass
    try:
        return not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return True
