import json

from click.testing import CliRunner

from kcp.__main__ import main


def test_a_person_gets_a_line_and_a_program_json() -> None:
    assert CliRunner().invoke(main, ["version"]).output.startswith("kcp 0.")
    [row] = json.loads(CliRunner().invoke(main, ["version", "-o", "json"]).output)
    assert set(row) == {"kcp", "python"}


def test_every_command_says_how_to_use_it() -> None:
    for command in ([], ["start"], ["shard"], ["shard", "verify"], ["front"], ["shards", "list"], ["token", "create"]):
        result = CliRunner().invoke(main, [*command, "--help"])
        assert result.exit_code == 0, result.output
        assert result.output.startswith("Usage: ")


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main, ["stop"]).exit_code == 2
