import pytest

from kcpshard.callouts.errors import BadStatus, InvalidTarget, Unreachable, webhook_failed


def test_what_clients_are_told() -> None:
    assert webhook_failed("a", Unreachable('Post "https://b/": EOF')) == (
        'failed calling webhook "a": failed to call webhook: Post "https://b/": EOF'
    )
    assert webhook_failed("a", InvalidTarget("no")) == 'failed calling webhook "a": could not get REST client: no'


@pytest.mark.parametrize(
    ("code", "body", "text"),
    [
        (500, b'say "no"', 'an error on the server ("say \\"no\\"") has prevented the request from succeeding'),
        (302, b"", "the server responded with the status code 302 but did not return more information"),
        (406, b"", "the server was unable to respond with a content type that the client supports"),
        (503, b"{not json", "the server is currently unable to handle the request"),
        (500, b"x" * 5000, f'an error on the server ("{"x" * 2048}") has prevented the request from succeeding'),
    ],
)
def test_codes(code: int, body: bytes, text: str) -> None:
    assert str(BadStatus(code, body)) == text
