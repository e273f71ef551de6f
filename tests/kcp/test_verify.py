from pathlib import Path

import pytest
from click.testing import CliRunner

from kcp.__main__ import main
from kcp.directory_lock import lock_directory
from kcpshard.storage import verification
from kcpshard.storage.verification import Violation


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "shard-1" / "data"
    path.mkdir(parents=True)
    return path


def test_a_clean_directory(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "verify", lambda directory, opened: [])
    result = CliRunner().invoke(main, ["shard", "verify", str(data)])
    assert (result.exit_code, result.output) == (0, f"{data}: no violations\n")


def test_violations_are_listed_and_are_a_failure(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "verify", lambda directory, opened: [Violation("log_gap", f"in {directory}")])
    result = CliRunner().invoke(main, ["shard", "verify", str(data)])
    assert result.exit_code == 1
    assert result.stdout == f"VIOLATION   DETAIL\nlog_gap     in {data}\n"
    assert result.stderr == f"kcp: {data} has 1 violation\n"


def test_data_in_use_is_refused(data: Path) -> None:
    lock = lock_directory(data.parent.parent)
    result = CliRunner().invoke(main, ["shard", "verify", str(data)])
    lock.close()
    assert (result.exit_code, result.output) == (1, f"kcp: {data} is in use: stop kcp first, or verify a copy\n")


def test_what_is_no_data_directory_is_said(data: Path) -> None:
    result = CliRunner().invoke(main, ["shard", "verify", str(data), "-o", "json"])
    assert result.exit_code == 1
    assert "unreadable" in result.stdout
