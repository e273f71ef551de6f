"""The file of join tokens (`pki/join-tokens`): `kcp token create` adds to it, the first shard redeems from it.

Both do so under a lock and replace the file whole: a crash leaves the old content or the new.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from kcpshard.bootstrap.join_tokens import JoinToken, TokenText, new_token, redeem


class DamagedTokenFile(Exception):
    """The text is a sentence for the operator."""


class TokenFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def create(
        self, authority_digest: str, roles: tuple[str, ...], now: datetime, life: timedelta, *, reusable: bool = False
    ) -> str:
        """A new token; its text is shown now or never. Expired ones are dropped."""
        text, record = new_token(authority_digest, roles, now, life, reusable=reusable)
        with self._locked():
            kept = {i: t for i, t in self.read().items() if datetime.fromisoformat(t.expires) > now}
            self._replace({**kept, text.id: record})
        return str(text)

    def redeem(self, text: TokenText, role: str, key_digest: str, now: datetime) -> None:
        """Use a token; durable when it returns. Raises JoinRefused."""
        with self._locked():
            tokens = self.read()
            record = redeem(tokens, text, role, key_digest, now)
            if record != tokens[text.id]:
                self._replace({**tokens, text.id: record})

    def read(self) -> dict[str, JoinToken]:
        try:
            document = orjson.loads(self._path.read_bytes())
            return {i: JoinToken(t["digest"], tuple(t["roles"]), t["expires"], t["reusable"], t["usedBy"])
                    for i, t in document["tokens"].items()}  # fmt: skip
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedTokenFile(f"{self._path} is damaged: remove it and make new join tokens") from error

    def _replace(self, tokens: Mapping[str, JoinToken]) -> None:
        found = {
            i: {
                "digest": t.secret_digest,
                "roles": t.roles,
                "expires": t.expires,
                "reusable": t.reusable,
                "usedBy": t.used_by,
            }
            for i, t in tokens.items()
        }
        temporary = self._path.with_name(f".{self._path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps({"format": 1, "tokens": found}, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(f".{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
