from kcpfront.exchange import Reply
from tests.kcpfront.exchanges import exchange


def test_an_exchange_begins_with_nothing_learned() -> None:
    made = exchange(headers={"user-agent": "t/1"})
    assert (made.identity, made.body, made.duplicate_fields, made.started) == (b"", b"", [], False)
    assert made.user_agent == "t/1" and made.keep_alive


def test_a_reply_is_json_unless_it_says_otherwise() -> None:
    assert Reply(200, b"{}") == (200, b"{}", "application/json", b"")
