import argparse
from pathlib import Path

import pytest

from kcpfront.authentication.arguments import add_arguments, read_arguments
from kcpfront.authentication.options import AuthenticationOptions, RequestHeaderOptions, WebhookOptions


def read(*words: str) -> AuthenticationOptions:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return read_arguments(parser.parse_args(words))


def test_nothing() -> None:
    assert read() == AuthenticationOptions()


def test_everything() -> None:
    found = read(
        "--anonymous-auth=false",
        "--service-account-issuer=https://me",
        "--api-audiences=a,b",
        "--api-audiences=c",
        "--authentication-config=/auth.yaml",
        "--authentication-token-webhook-config-file=/hook",
        "--authentication-token-webhook-cache-ttl=1m30s",
        "--authentication-token-webhook-version=v1",
        "--requestheader-client-ca-file=/ca",
        "--requestheader-allowed-names=p, q",
        "--requestheader-username-headers=X-User",
        "--requestheader-uid-headers=X-Uid",
        "--requestheader-group-headers=X-Group",
        "--requestheader-extra-headers-prefix=X-Extra-",
    )
    assert found == AuthenticationOptions(
        "https://me",
        ("a", "b", "c"),
        False,
        Path("/auth.yaml"),
        WebhookOptions(Path("/hook"), 90.0, "v1"),
        RequestHeaderOptions(Path("/ca"), ("p", "q"), ("X-User",), ("X-Uid",), ("X-Group",), ("X-Extra-",)),
    )


def test_a_duration_that_is_none() -> None:
    with pytest.raises(argparse.ArgumentError, match="not a duration"):
        read("--authentication-token-webhook-cache-ttl=5")
