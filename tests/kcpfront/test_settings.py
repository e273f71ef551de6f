from kcpfront.settings import Settings


def test_the_defaults_fit_together() -> None:
    settings = Settings()
    assert settings.drain_s <= 10  # what the supervisor waits before it kills
    assert settings.keepalive_s > 90  # Go's clients close idle connections first: no race with their next request
    assert settings.slow_watch_bytes == 8 << 20
