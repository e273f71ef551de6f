"""Proxies that have asked the client who it is and tell us in headers, as kube-apiserver believes them. Pure.

Only whoever shows a certificate signed by the authority for such proxies, with a name that is allowed, is believed;
from everybody else the headers mean nothing.
"""

from collections.abc import Callable, Sequence
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.oid import NameOID

from kcpfront.authentication.credential import Credential, authenticated, credential
from kcpfront.authentication.options import RequestHeaderOptions
from kcpfront.exchange import Headers
from kcpshard.api.requests import Identity

# When full the cache is emptied. A user costs 5 µs to make anew.
MAX_USERS = 4_096


class RequestHeaders:
    """`is_signed` says of a certificate (DER) whether its signer is the authority for proxies; names are seen here."""

    def __init__(self, options: RequestHeaderOptions, is_signed: Callable[[bytes], bool]) -> None:
        self._options, self._is_signed = options, is_signed
        self._prefixes = tuple(prefix.lower() for prefix in options.extra_prefixes)
        self._users: dict[tuple[object, ...], Credential] = {}
        self._proxies: dict[bytes, bool] = {}

    def forget(self) -> None:
        """The authorities have changed."""
        self._proxies.clear()

    def prove(self, certificate: bytes, headers: Headers) -> Credential | None:
        """None: not a proxy, or one that names nobody: then its own certificate counts, if it is anybody's."""
        if not self._is_proxy(certificate):
            return None
        username = self._first(headers, self._options.username_headers)
        if not username:
            return None
        uid = self._first(headers, self._options.uid_headers)
        groups = tuple(value for name in self._options.group_headers for value in headers.getall(name, []) if value)
        extra = self._extra(headers)
        key = (username, uid, groups, extra)
        found = self._users.get(key)
        if found is None:
            user = Identity(username, uid, groups, {name: list(values) for name, values in extra})
            if len(self._users) >= MAX_USERS:
                self._users.clear()
            found = self._users[key] = credential(authenticated(user))
        return found

    def _is_proxy(self, der: bytes) -> bool:
        known = self._proxies.get(der)
        if known is None:
            if len(self._proxies) >= MAX_USERS:
                self._proxies.clear()
            known = self._proxies[der] = self._is_allowed(der) and self._is_signed(der)
        return known

    def _is_allowed(self, der: bytes) -> bool:
        if not self._options.allowed_names:
            return True
        names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return bool(names) and names[-1].value in self._options.allowed_names

    def _first(self, headers: Headers, names: Sequence[str]) -> str:
        for name in names:
            if value := headers.get(name):
                return value
        return ""

    def _extra(self, headers: Headers) -> tuple[tuple[str, tuple[str, ...]], ...]:
        if not self._prefixes:
            return ()
        found: dict[str, tuple[str, ...]] = {}
        for name in dict.fromkeys(each.lower() for each in headers):
            for prefix in self._prefixes:
                if name.startswith(prefix):
                    key = unquote(name[len(prefix) :])
                    found[key] = (*found.get(key, ()), *headers.getall(name, []))
        return tuple(found.items())
