import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kcp import certificates, credentials, installation
from kcp.__main__ import main
from kcpshard.bootstrap.join_tokens import parse_token
from kcpshard.bootstrap.token_file import TokenFile


@pytest.fixture
def made(tmp_path: Path) -> installation.Installation:
    result = replace(installation.plan(tmp_path, 1), internal_listen="10.0.0.1:7443")
    credentials.make(result, "https://10.0.0.1:6443", [])
    installation.save(result)
    return result


def create(root: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["token", "create", "--root-directory", str(root), *options])


def test_the_whole_command_is_printed_and_only_a_hash_is_kept(made: installation.Installation) -> None:
    result = create(made.root, "--role", "front")
    assert result.exit_code == 0, result.output
    words = shlex.split(result.output)
    assert words[:3] == ["kcp", "front", "--join"]
    assert words[4:] == ["--server", "10.0.0.1:7443", "--listen", "0.0.0.0:6443"]
    token = parse_token(words[3])
    assert token.authority_digest == certificates.fingerprint((made.pki / "internal-ca.crt").read_bytes())
    [(id_, record)] = TokenFile(made.pki / "join-tokens").read().items()
    assert (id_, record.roles, record.reusable) == (token.id, ("front",), False)
    assert token.secret not in (made.pki / "join-tokens").read_text()


def test_a_reusable_token(made: installation.Installation) -> None:
    create(made.root, "--role", "shard", "--reusable")
    [record] = TokenFile(made.pki / "join-tokens").read().values()
    assert record.reusable


def test_without_an_internal_address_nobody_can_join(made: installation.Installation) -> None:
    installation.save(replace(made, internal_listen=""))
    result = create(made.root, "--role", "shard")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "kcp: nobody can join: start kcp with --internal-listen HOST:PORT first\n"


def test_without_an_installation(tmp_path: Path) -> None:
    assert create(tmp_path / "none", "--role", "shard").stderr == f"kcp: there is no installation in {tmp_path}/none\n"


def test_a_damaged_file_is_said(made: installation.Installation) -> None:
    (made.pki / "join-tokens").write_text("{")
    assert "join-tokens is damaged" in create(made.root, "--role", "shard").stderr
