import json

import click
import pytest
import yaml
from click.testing import CliRunner

from kcp.output import Refused, os_sentence, render

ROWS = [{"name": "shard-1", "slots": 8192, "state": None}, {"name": "shard-10", "slots": 3, "state": "Ready"}]


def test_a_table_is_aligned_under_its_heads() -> None:
    assert render(ROWS, "table") == "NAME       SLOTS   STATE\nshard-1    8192    -\nshard-10   3       Ready\n"


def test_an_empty_table_says_so() -> None:
    assert render([], "table") == "No entries.\n"


def test_json_and_yaml_hold_the_same() -> None:
    assert json.loads(render(ROWS, "json")) == yaml.safe_load(render(ROWS, "yaml")) == ROWS


def test_a_refusal_is_one_sentence_on_standard_error_and_a_code() -> None:
    @click.command()
    def command() -> None:
        raise Refused("port 6443 of localhost is in use by another program")

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "kcp: port 6443 of localhost is in use by another program\n"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        pytest.param(OSError(28, "No space left on device", "/x/y"), "cannot write /x/y: No space left on device"),
        pytest.param(OSError(28, "No space left on device"), "cannot write: No space left on device"),
        pytest.param(OSError("odd"), "cannot write: odd"),
    ],
)
def test_file_errors_in_words(fault: OSError, sentence: str) -> None:
    assert os_sentence("cannot write", fault) == sentence
