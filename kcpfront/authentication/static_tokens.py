"""kube-apiserver's static token file: token,user,uid[,"group,group"]. Pure."""

import csv
from collections.abc import Iterable

from kcpfront.authentication.credential import digest
from kcpshard.api.requests import Identity
from kcpshard.api.service_accounts import AUTHENTICATED


class TokenFileError(Exception):
    """The token file cannot be used; the text says where and why."""


def read_token_lines(lines: Iterable[str]) -> dict[bytes, Identity]:
    """SHA-256 of each token → identity."""
    found: dict[bytes, Identity] = {}
    for number, row in enumerate(csv.reader(lines, skipinitialspace=True), 1):
        if not row or row[0].startswith("#"):
            continue
        if len(row) < 3:
            raise TokenFileError(f"line {number}: token, user and uid are needed, {len(row)} fields found")
        token, user, uid = (field.strip() for field in row[:3])
        if not token or not user:
            raise TokenFileError(f"line {number}: the token or the user is empty")
        groups = [g.strip() for g in row[3].split(",") if g.strip()] if len(row) > 3 else []
        found[digest(token)] = Identity(user, uid, (*dict.fromkeys([*groups, AUTHENTICATED]),))
    return found
