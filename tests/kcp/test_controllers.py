import os

import pytest
from click.testing import CliRunner

from kcp.__main__ import main


def test_it_becomes_the_controllers(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, arguments: started.append(arguments))
    done = CliRunner().invoke(main, ["controllers", "--kubeconfig", "k", "--auto-publish-apis", "--help"])
    assert done.exit_code == 0, done.output
    assert started[0][-6:] == ["kcpsyncer", "controllers", "--kubeconfig", "k", "--auto-publish-apis", "--help"]
