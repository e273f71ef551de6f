from kcpfront.body_limits import KEPT_S, BodyLimits
from kcpshard.api.body_limit import body_too_large
from kcpshard.api.errors import RequestEntityTooLarge

KEY, OTHER = ("a", b"me", b""), ("a", b"you", b"")


def test_a_limit_counts_for_whom_it_was_told_and_for_a_while() -> None:
    limits = BodyLimits()
    assert limits.of(KEY, 1000, 0.0) == 1000
    limits.learn(KEY, body_too_large(500).body(), 0.0)
    assert limits.of(KEY, 1000, KEPT_S) == 500
    assert limits.of(KEY, 100, KEPT_S) == 100
    assert limits.of(OTHER, 1000, 0.0) == 1000
    assert limits.of(KEY, 1000, KEPT_S + 0.1) == 1000


def test_other_refusals_say_nothing() -> None:
    limits = BodyLimits()
    for refusal in (RequestEntityTooLarge("too large").body(), b"", b"[]", b'{"details":{"causes":[{"reason":"x"}]}}'):
        limits.learn(KEY, refusal, 0.0)
    assert limits.of(KEY, 1000, 0.0) == 1000


def test_what_is_kept_is_bounded() -> None:
    limits = BodyLimits()
    for number in range(5000):
        limits.learn(("a", str(number).encode(), b""), body_too_large(500).body(), 0.0)
    assert len(limits._known) <= 4096
