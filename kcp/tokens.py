"""Bearer tokens: how they are made, and the static token file in kube-apiserver's format."""

import csv
import io
import secrets
import uuid
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class StaticToken(NamedTuple):
    """One line of the file: `token,user,uid,"group,group"`."""

    token: str
    user: str
    uid: str
    groups: tuple[str, ...] = ()


def new_token() -> str:
    """32 random bytes, written with letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(32)


def administrator() -> StaticToken:
    return StaticToken(new_token(), "kcp-admin", str(uuid.uuid4()), ("system:masters",))


CONTROLLERS = "system:kcp:controllers"


def controllers() -> StaticToken:
    """Of the multi-cluster controllers: a name of their own in audit records, and an administrator's rights."""
    return StaticToken(new_token(), CONTROLLERS, str(uuid.uuid4()), ("system:masters",))


def format_tokens(tokens: Iterable[StaticToken]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for token in tokens:
        writer.writerow([token.token, token.user, token.uid, ",".join(token.groups)])
    return text.getvalue()


def parse_tokens(text: str) -> Iterator[StaticToken]:
    """Lines with fewer than three columns raise ValueError, as kube-apiserver refuses them."""
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row:
            continue
        if len(row) < 3 or not row[0]:
            raise ValueError(f"line {number} does not have a token, a user and a uid")
        groups = tuple(filter(None, row[3].split(","))) if len(row) > 3 else ()
        yield StaticToken(row[0], row[1], row[2], groups)
