from datetime import UTC, datetime, timedelta

import pytest

from kcpshard.bootstrap.join_tokens import JoinRefused, JoinToken, TokenText, new_token, parse_token, redeem

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "d" * 64


def made(*, reusable: bool = False, roles: tuple[str, ...] = ("shard",)) -> tuple[TokenText, dict[str, JoinToken]]:
    text, record = new_token(DIGEST, roles, NOW, timedelta(hours=1), reusable=reusable)
    return text, {text.id: record}


def test_the_secret_is_not_kept_and_the_text_round_trips() -> None:
    text, tokens = made()
    assert text.secret not in repr(tokens)
    assert len(text.secret) >= 43
    assert parse_token(f" {text}\n") == text


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", f"a..{DIGEST}", f"a.b.{DIGEST}.d"])
def test_other_texts_are_no_tokens(text: str) -> None:
    with pytest.raises(JoinRefused, match="not a join token"):
        parse_token(text)


def test_a_one_time_token_serves_one_key_any_number_of_times() -> None:
    text, tokens = made()
    used = {text.id: redeem(tokens, text, "shard", "key", NOW)}
    assert redeem(used, text, "shard", "key", NOW) == used[text.id]
    with pytest.raises(JoinRefused, match="has been used"):
        redeem(used, text, "shard", "other", NOW)


def test_a_reusable_token_serves_many() -> None:
    text, tokens = made(reusable=True)
    assert redeem(tokens, text, "shard", "key", NOW) == tokens[text.id]


def test_unknown_ids_and_wrong_secrets_get_the_same_answer() -> None:
    text, tokens = made()
    for wrong in (text._replace(secret="x"), text._replace(id="unknown"), text._replace(id="unknown", secret="")):
        with pytest.raises(JoinRefused, match=r"^the join token is not valid$"):
            redeem(tokens, wrong, "shard", "key", NOW)


def test_expiry_and_role_are_told_to_who_has_the_secret() -> None:
    text, tokens = made()
    with pytest.raises(JoinRefused, match="expired"):
        redeem(tokens, text, "shard", "key", NOW + timedelta(hours=1))
    with pytest.raises(JoinRefused, match="for shard, not for front"):
        redeem(tokens, text, "front", "key", NOW)


@pytest.mark.parametrize("roles", [(), ("admin",), ("shard", "syncer")])
def test_tokens_are_made_for_fronts_and_shards_only(roles: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="front or shard"):
        made(roles=roles)
