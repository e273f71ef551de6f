from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kcpshard.bootstrap.join_tokens import JoinRefused, parse_token
from kcpshard.bootstrap.token_file import DamagedTokenFile, TokenFile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIGEST = "d" * 64


def test_a_token_is_used_once_also_by_another_reader_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "join-tokens"
    text = parse_token(TokenFile(path).create(DIGEST, ("front", "shard"), NOW, HOUR))
    TokenFile(path).redeem(text, "front", "key", NOW)
    with pytest.raises(JoinRefused):
        TokenFile(path).redeem(text, "front", "other", NOW)


def test_only_the_owner_can_read_it_and_no_secret_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "join-tokens"
    text = parse_token(TokenFile(path).create(DIGEST, ("front",), NOW, HOUR))
    assert path.stat().st_mode & 0o777 == 0o600
    assert text.secret.encode() not in path.read_bytes()


def test_expired_tokens_are_dropped_when_one_is_made(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "join-tokens")
    file.create(DIGEST, ("front",), NOW, HOUR)
    kept = parse_token(file.create(DIGEST, ("front",), NOW, 3 * HOUR))
    new = parse_token(file.create(DIGEST, ("front",), NOW + 2 * HOUR, HOUR))
    assert set(file.read()) == {kept.id, new.id}


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"tokens": {"a": {}}}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "join-tokens"
    path.write_bytes(content)
    with pytest.raises(DamagedTokenFile, match=str(path)):
        TokenFile(path).read()


def test_no_file_means_no_tokens(tmp_path: Path) -> None:
    assert TokenFile(tmp_path / "join-tokens").read() == {}
