import argparse
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kcp.authentication import _OPTIONS, authentication_options, front_arguments, shard_arguments
from kcpfront.authentication.arguments import add_arguments, read_arguments


@click.command()
@authentication_options
def said(**authentication: object) -> None:
    click.echo("\n".join(front_arguments(authentication)))
    click.echo("--")
    click.echo("\n".join(shard_arguments(authentication)))


def run(*words: str) -> tuple[list[str], list[str]]:
    found = CliRunner().invoke(said, words, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    front, _, shard = found.output.partition("--\n")
    return front.split(), shard.split()


def test_what_is_not_said_is_not_passed_on() -> None:
    assert run() == ([], [])


def test_shards_hear_what_they_sign_tokens_by() -> None:
    both = ["--service-account-issuer=https://me", "--api-audiences=a,b"]
    assert run("--api-audiences", "a,b", "--service-account-issuer", "https://me") == (both, both)


def test_fronts_understand_every_option(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    values = {"--anonymous-auth": "false", "--authentication-token-webhook-cache-ttl": "10s"}
    values["--authentication-token-webhook-version"] = "v1"
    words = []
    for name, settings in _OPTIONS.items():
        words += [name, values.get(name, "A,B" if "metavar" in settings else str(file))]
    passed, _ = run(*words)
    assert len(passed) == len(_OPTIONS)
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    found = read_arguments(parser.parse_args(passed))
    assert found.anonymous is False and found.config_file == file
    assert found.webhook is not None and found.webhook == (file, 10.0, "v1")
    assert found.request_header is not None and found.request_header.uid_headers == ("A", "B")


def test_a_file_must_be_there_and_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = CliRunner().invoke(said, ["--authentication-config", str(tmp_path / "nowhere")])
    assert found.exit_code == 2 and "does not exist" in found.output
    monkeypatch.chdir(tmp_path)
    Path("auth.yaml").write_text("x")
    assert run("--authentication-config", "auth.yaml")[0] == [f"--authentication-config={tmp_path}/auth.yaml"]
