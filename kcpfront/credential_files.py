"""Certificates, client CA and tokens on disk: loaded at start, loaded again when they have changed."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from kcpfront.authentication.static_tokens import TokenFileError, read_token_lines
from kcpshard.api.requests import Identity

_log = logging.getLogger(__name__)


class CredentialError(Exception):
    """A file is missing or cannot be used; the text is one sentence for the operator."""


class CredentialFiles:
    """`changed()` once a minute; what then cannot be loaded leaves the old in use."""

    def __init__(self, pki: Path, token_file: Path | None, proxy_ca: Path | None = None) -> None:
        """`proxy_ca`: authorities of proxies that tell who asks; what a certificate of theirs is worth is decided
        elsewhere."""
        self._certificate, self._key = pki / "serving.crt", pki / "serving.key"
        self._client_ca = pki / "client-ca.crt"
        self._tokens, self._proxy_ca = token_file, proxy_ca
        self._authorities: tuple[bytes, ...] = ()  # PEM; beside the client CA
        self._context: ssl.SSLContext | None = None  # the last one made
        self._seen = self._stamps()

    def trust(self, authorities: Sequence[bytes]) -> None:
        """Further authorities of clients' certificates, PEM: new connections know them at once. One that is not named
        any more is known until the next context is made; what its certificates are worth is decided elsewhere."""
        fresh = set(authorities) - set(self._authorities)
        self._authorities = tuple(authorities)
        self.trust_also(list(fresh))

    def trust_also(self, authorities: Sequence[bytes]) -> None:
        """Further ones, PEM, in the last context that was made and in no later one."""
        if self._context is None or not authorities:
            return
        self._context.verify_mode = ssl.CERT_OPTIONAL
        try:
            self._context.load_verify_locations(cadata=b"\n".join(authorities).decode())
        except ssl.SSLError:
            if len(authorities) == 1:
                _log.error("a registered client authority cannot be used by TLS: it is left out")
                return
            for each in authorities:
                self.trust_also([each])

    def _stamps(self) -> list[tuple[int, int, int]]:
        found = []
        paths = [self._certificate, self._key, self._client_ca, *filter(None, (self._tokens, self._proxy_ca))]
        for path in paths:
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except FileNotFoundError:
                found.append((0, 0, 0))
        return found

    def changed(self) -> bool:
        """Whether a file is another than at the last call."""
        seen, self._seen = self._seen, self._stamps()
        return seen != self._seen

    def tls_context(self) -> ssl.SSLContext:
        """Raises CredentialError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        # Kubernetes clients do not resume sessions; tickets would be two more records per connection.
        context.num_tickets = 0
        # Whatever is trusted is trusted for itself: a tenant may register an intermediate authority.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_cert_chain(self._certificate, self._key)
            if self._client_ca.exists():
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(self._client_ca)
            if self._proxy_ca is not None:
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(self._proxy_ca)
            if self._authorities:
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(cadata=b"\n".join(self._authorities).decode())
        except (OSError, ssl.SSLError) as error:
            raise CredentialError(f"cannot use {self._certificate}, its key or {self._client_ca}: {error}") from error
        self._context = context
        return context

    def client_authorities(self) -> Sequence[x509.Certificate]:
        """Of the installation's own clients; empty without a file. Raises CredentialError."""
        return _certificates(self._client_ca) if self._client_ca.exists() else ()

    def proxy_authorities(self) -> Sequence[x509.Certificate]:
        """Raises CredentialError."""
        return _certificates(self._proxy_ca) if self._proxy_ca is not None else ()

    def not_after(self) -> float:
        """End of the serving certificate's validity, seconds since the epoch; 0 if it cannot be read."""
        try:
            certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        except (OSError, ValueError):
            return 0.0
        return certificate.not_valid_after_utc.timestamp()

    def tokens(self) -> dict[bytes, Identity]:
        """Raises CredentialError."""
        if self._tokens is None:
            return {}
        try:
            with self._tokens.open(newline="", encoding="utf-8") as lines:
                return read_token_lines(lines)
        except (OSError, ValueError, TokenFileError) as error:
            raise CredentialError(f"cannot use the token file {self._tokens}: {error}") from error


def _certificates(path: Path) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CredentialError(f"cannot use the certificates of {path}: {error}") from error
