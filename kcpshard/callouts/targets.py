"""What a tenant's configuration names: a URL or a Service, and the certificates to trust. Pure.

`clientConfig` of webhooks and of conversion, `spec` of an APIService and everything else that makes a shard call out is
read into a `ClientConfig`; `target` says what is dialled for it.
"""

import base64
import binascii
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from kcpshard.callouts.errors import InvalidTarget

_HTTPS = 443
# What may stand in a path as it is, next to letters and digits.
_SAFE = "/:@!$&'()*+,;=-._~%"


class ServiceReference(NamedTuple):
    namespace: str
    name: str
    path: str = ""
    port: int = _HTTPS


class ClientConfig(NamedTuple):
    """Exactly one of `url` and `service`. An empty bundle means the machine's trusted roots."""

    url: str = ""
    service: ServiceReference | None = None
    ca_bundle: bytes = b""
    insecure: bool = False  # an APIService's insecureSkipTLSVerify
    shows_certificate: bool = False  # that of the logical cluster's front proxy


class Target(NamedTuple):
    """One https origin and path. `host` is what the certificate must be for."""

    host: str
    port: int
    path: str
    service: ServiceReference | None

    @property
    def authority(self) -> str:
        """As in the Host header and in what is told of a failure; a URL's default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _HTTPS and self.service is None else f"{host}:{self.port}"


def client_config(document: Mapping[str, Any]) -> ClientConfig:
    """Of a valid `clientConfig` in an object. Raises InvalidTarget for a bundle that is not base64."""
    service = document.get("service")
    return ClientConfig(
        document.get("url") or "",
        service
        and ServiceReference(
            service["namespace"], service["name"], service.get("path") or "", service.get("port") or _HTTPS
        ),
        ca_bundle(document.get("caBundle")),
    )


def ca_bundle(text: str | None) -> bytes:
    """A `caBundle` field. One of nothing but white space counts as none."""
    try:
        found = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidTarget("the CA bundle is not base64") from None
    return found if found.strip() else b""


def target(config: ClientConfig) -> Target:
    """Raises InvalidTarget."""
    if config.service is not None:
        service = config.service
        return Target(f"{service.name}.{service.namespace}.svc", service.port, _path(service.path), service)
    if not config.url:
        raise InvalidTarget("webhook configuration must have either service or URL")
    try:
        parts = urlsplit(config.url)
        return _of_url(parts)
    except ValueError as error:
        raise InvalidTarget(f"Unparsable URL: {error}") from None


def _of_url(parts: SplitResult) -> Target:
    if parts.scheme != "https":
        raise InvalidTarget(f"'https' is the only allowed URL scheme, not {parts.scheme!r}")
    if parts.username is not None or parts.password is not None:
        raise InvalidTarget("user information is not permitted in the URL")
    if parts.fragment or parts.query:
        raise InvalidTarget("queries and fragments are not permitted in the URL")
    host = parts.hostname or ""
    if not host or any(char <= " " or char in "%\\/?#@" or char == "\x7f" for char in host):
        raise InvalidTarget("a host must be specified in the URL")
    return Target(_ascii(host), parts.port or _HTTPS, _path(parts.path), None)


def _ascii(host: str) -> str:
    if ":" in host:
        return str(ip_address(host))  # ValueError, also for a zone
    return host if host.isascii() else host.encode("idna").decode()


def _path(path: str) -> str:
    shown = quote(path, safe=_SAFE)
    return shown if shown.startswith("/") else f"/{shown}"
