from kcpshard.api.body_limit import LIMIT_CAUSE, body_too_large


def test_the_refusal_says_how_much_may_be_sent() -> None:
    error = body_too_large(500)
    assert error.code == 413 and "may have 500 bytes" in error.message
    assert error.status()["details"]["causes"] == [{"reason": LIMIT_CAUSE, "message": "500"}]
