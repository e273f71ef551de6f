"""The command line of a shard."""

import pytest

from kcpshard.options import parse

SOCKETS = ["--front-socket", "f", "--admin-socket", "a", "--sync-socket", "s"]


def test_defaults() -> None:
    found = parse(["--data", "d", "--number", "2", *SOCKETS, "--peer", "unix:x", "--peer", "h:1"])
    assert (found.data, found.number, found.initial_shards, found.engine) == ("d", 2, 1, "rocksdb")
    assert found.peers == ("unix:x", "h:1")
    assert not found.accept_clock


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "--data", id="no directory"),
        pytest.param(["--data", "d", "--listen", "h:1"], "--tls-directory", id="network without certificates"),
        pytest.param(
            ["--data", "d", "--join-listen", "h:1", "--tls-directory", "t"], "--pki", id="joining without pki"
        ),
        pytest.param(["--data", "d", "--log-level", "loud"], "loud", id="unknown level"),
    ],
)
def test_what_does_not_fit_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(["--number", "1", *SOCKETS, *arguments])
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err


def test_the_memory_engine_needs_no_directory() -> None:
    assert parse(["--number", "1", *SOCKETS, "--engine", "memory"]).data == ""


def test_controllers_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--number", "1", *SOCKETS, "--data", "d", "--controllers=*,-namespace"]).controllers == "*,-namespace"
    with pytest.raises(SystemExit):
        parse(["--number", "1", *SOCKETS, "--data", "d", "--controllers=gardener"])
    assert "gardener" in capsys.readouterr().err


def test_ranges_of_addresses_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--number", "1", *SOCKETS, "--data", "d"]
    found = parse([*base, "--callout-allow", "10.0.0.0/8", "--callout-allow", "fd00::/8"])
    assert [str(network) for network in found.callout_allow] == ["10.0.0.0/8", "fd00::/8"]
    with pytest.raises(SystemExit):
        parse([*base, "--callout-allow", "everything"])
    assert "'everything' is not a range" in capsys.readouterr().err
