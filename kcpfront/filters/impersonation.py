"""Impersonate-User, -Uid, -Group and -Extra-… → whom the client asks to act as. Whether it may the shard decides."""

from typing import Any
from urllib.parse import unquote

import orjson

from kcpfront.exchange import Exchange
from kcpshard.api.errors import BadRequest

_PREFIX = "impersonate-"
_EXTRA = "impersonate-extra-"


def read_impersonation(exchange: Exchange) -> None:
    """Sets `exchange.impersonation`. Raises BadRequest for parts of an identity without a user.

    The names of all headers are looked at, because each of these asks for something that must not go unnoticed.
    """
    found = [name for name in exchange.headers if name[:12].lower() == _PREFIX]
    if found:
        exchange.impersonation = orjson.dumps(_wanted(exchange, dict.fromkeys(name.lower() for name in found)))


def _wanted(exchange: Exchange, names: dict[str, None]) -> dict[str, Any]:
    headers = exchange.headers
    user = headers.get("Impersonate-User") or ""
    wanted: dict[str, Any] = {
        "username": user,
        "uid": headers.get("Impersonate-Uid") or "",
        "groups": [group for group in headers.getall("Impersonate-Group", []) if group],
        # As kube-apiserver: lower case, and percent-encoded where a header's name may not hold it.
        "extra": {unquote(name[len(_EXTRA) :]): headers.getall(name, []) for name in names if name.startswith(_EXTRA)},
    }
    if not user:
        raise BadRequest(f"requested {', '.join(names)} without impersonating a user")
    return wanted
