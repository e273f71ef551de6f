"""A kubeconfig that somebody else wrote, as the few values that we are ready to use. Pure: opens no file, runs nothing.

Libraries that load kubeconfigs execute what stands in them. Here a field that would run a program, open a file, take
another way, trust blindly or speak without encryption is refused by its name.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

MAX_BYTES = 256 * 1024
_PEM = "-----BEGIN "


@dataclass(frozen=True)
class Access:
    """Where a cluster is and who we are there. Never shown: `repr` has no secrets."""

    server: str  # https://host[:port][/path]
    authority: str = field(repr=False)  # PEM; "": the public authorities
    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)  # PEM, with `key`
    key: str = field(default="", repr=False)
    server_name: str = ""  # that its certificate must have, instead of the host


class Unusable(Exception):
    """The kubeconfig is not one that we use; `field` says where."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.field = where


# In a cluster's entry and in a user's, and why not.
_REFUSED_OF_CLUSTER = {
    "insecure-skip-tls-verify": "the server's certificate must be verified",
    "certificate-authority": "names a file: use certificate-authority-data",
    "proxy-url": "connections are made directly",
}
_REFUSED_OF_USER = {
    "exec": "programs are not executed",
    "auth-provider": "plug-ins are not used",
    "client-certificate": "names a file: use client-certificate-data",
    "client-key": "names a file: use client-key-data",
    "tokenFile": "names a file: use token",
    "username": "passwords are not used",
    "password": "passwords are not used",
    "as": "acting as somebody else is not used",
    "as-uid": "acting as somebody else is not used",
    "as-groups": "acting as somebody else is not used",
    "as-user-extra": "acting as somebody else is not used",
}


def parse(text: str) -> Access:
    """Raises Unusable; what it says names fields and never repeats a value."""
    if len(text) > MAX_BYTES:
        raise Unusable("", f"a kubeconfig has at most {MAX_BYTES} bytes")
    document = _load(text)
    context_name = document.get("current-context")
    if not context_name:
        raise Unusable("current-context", "is not set")
    context = _named(document, "contexts", "context", context_name)
    cluster_name, user_name = context.get("cluster"), context.get("user")
    cluster = _named(document, "clusters", "cluster", cluster_name)
    user = _named(document, "users", "user", user_name)
    _refuse(cluster, _REFUSED_OF_CLUSTER, f"clusters[{cluster_name}].cluster")
    _refuse(user, _REFUSED_OF_USER, f"users[{user_name}].user")
    return _access(cluster, f"clusters[{cluster_name}].cluster", user, f"users[{user_name}].user")


def _load(text: str) -> Mapping[str, Any]:
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise Unusable("", "aliases of YAML are not used")
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        raise Unusable("", "is not YAML") from None
    except (RecursionError, ValueError):
        raise Unusable("", "cannot be read") from None
    if not isinstance(document, dict):
        raise Unusable("", "is not a kubeconfig")
    return document


def _named(document: Mapping[str, Any], kind: str, inner: str, name: object) -> Mapping[str, Any]:
    entries = document.get(kind)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(inner), dict):
            found: Mapping[str, Any] = entry[inner]
            return found
    raise Unusable(kind, f"there is no entry {name!r}")


def _refuse(entry: Mapping[str, Any], refused: Mapping[str, str], where: str) -> None:
    for name, reason in refused.items():
        if entry.get(name):
            raise Unusable(f"{where}.{name}", reason)


def _access(cluster: Mapping[str, Any], at_cluster: str, user: Mapping[str, Any], at_user: str) -> Access:
    server = cluster.get("server")
    if not isinstance(server, str) or not server:
        raise Unusable(f"{at_cluster}.server", "is not set")
    _check_server(server, f"{at_cluster}.server")
    authority = _data(cluster, "certificate-authority-data", at_cluster)
    certificate = _data(user, "client-certificate-data", at_user)
    key = _data(user, "client-key-data", at_user)
    if bool(certificate) != bool(key):
        missing = "client-key-data" if certificate else "client-certificate-data"
        raise Unusable(f"{at_user}.{missing}", "is not set: a certificate and its key belong together")
    token = user.get("token") or ""
    if not isinstance(token, str) or not all(32 < ord(letter) < 127 for letter in token):
        raise Unusable(f"{at_user}.token", "is not a token")
    if not token and not certificate:
        raise Unusable(at_user, "has neither a token nor a certificate")
    name = cluster.get("tls-server-name") or ""
    return Access(server.rstrip("/"), authority, token, certificate, key, str(name))


def _check_server(server: str, where: str) -> None:
    try:
        parts = urlsplit(server)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise Unusable(where, "is not a URL") from None
    if parts.scheme != "https":
        raise Unusable(where, "must be https: nothing is sent without encryption")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise Unusable(where, "must be https://host[:port][/path]")


def _data(entry: Mapping[str, Any], name: str, where: str) -> str:
    """PEM out of base64."""
    value = entry.get(name)
    if not value:
        return ""
    try:
        text = base64.b64decode("".join(str(value).split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Unusable(f"{where}.{name}", "is not base64") from None
    if _PEM not in text:
        raise Unusable(f"{where}.{name}", "does not contain PEM")
    return text


def refused_fields() -> Iterator[str]:
    """Of all refused fields, for documentation and tests."""
    yield from (f"clusters[].cluster.{name}" for name in _REFUSED_OF_CLUSTER)
    yield from (f"users[].user.{name}" for name in _REFUSED_OF_USER)
