"""`kcp ws` against an embedded server."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kcp.workspaces import ws
from kcpfront.embedding import EmbeddedServer, embedded


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with embedded() as made:
        yield made


@pytest.fixture
def kubeconfig(server: EmbeddedServer, tmp_path: Path) -> str:
    path = tmp_path / "config"
    path.write_text(server.kubeconfig.read_text())
    return str(path)


def run(kubeconfig: str, *arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(ws, [*arguments], env={"KUBECONFIG": kubeconfig})
    assert done.exit_code == code, (arguments, done.output, done.exception)
    return done


def test_a_walk(kubeconfig: str) -> None:
    assert "'root'" in run(kubeconfig, "current").output
    assert "(type root:organization) is ready" in run(kubeconfig, "create", "org", "--enter").output
    run(kubeconfig, "create", "team")
    assert "'root:org:team'" in run(kubeconfig, "team").output
    assert "'root:org'" in run(kubeconfig, "..").output
    assert "'root:org:team'" in run(kubeconfig, "-").output
    assert "'root:org'" in run(kubeconfig, "-").output
    assert run(kubeconfig, "current", "--short").output == "root:org\n"
    listed = json.loads(run(kubeconfig, "list", "-o", "json").output)
    assert [(each["name"], each["phase"]) for each in listed] == [("team", "Ready")]
    assert "team" in run(kubeconfig).output
    assert run(kubeconfig, "tree", ":root").output == "root\n└── org\n    └── team\n"
    assert [each["path"] for each in json.loads(run(kubeconfig, "tree", ":root", "-o", "json").output)] == [
        "root:org", "root:org:team",
    ]  # fmt: skip
    assert "is deleted" in run(kubeconfig, "delete", ":root:org").output
    assert run(kubeconfig, "tree", ":root").output == "root\n"


def test_what_is_not_there(kubeconfig: str) -> None:
    assert "workspace 'root:nope' not found" in run(kubeconfig, "nope", code=1).output
    assert "NotFound" in run(kubeconfig, "delete", "nope", code=1).output
    assert "no workspace before" in run(kubeconfig, "-", code=1).output
    assert "nothing above root" in run(kubeconfig, "..", code=1).output


def test_one_that_exists_already(kubeconfig: str) -> None:
    run(kubeconfig, "create", "twice", "--type", "root:universal")
    run(kubeconfig, "create", "twice", code=1)
    found = json.loads(run(kubeconfig, "create", "twice", "--ignore-existing", "-o", "json").output)
    assert found[0]["status"]["phase"] == "Ready"


def test_a_terminal_of_its_own(kubeconfig: str, tmp_path: Path) -> None:
    environment = {"KUBECONFIG": kubeconfig, "XDG_RUNTIME_DIR": str(tmp_path)}
    first = CliRunner().invoke(ws, ["shell"], env=environment)
    assert first.output == (
        f"export KUBECONFIG={tmp_path}/kcp-{os.getuid()}/terminal-{os.getppid()}.kubeconfig:{kubeconfig}\n"
    )
    own = first.output.partition("=")[2].strip()
    run(kubeconfig, "create", "mine")
    assert "'root:mine'" in run(own, "mine").output
    assert "'root'" in run(kubeconfig, "current").output


def test_it_becomes_a_plugin_of_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kubeconfig: str) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    run(kubeconfig, "install", "--directory", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    done = subprocess.run([tmp_path / "kubectl-ws", "current", "--short"], capture_output=True, text=True)
    assert done.stdout == "root\n", done.stderr
    assert "there is a kubectl-ws already" in run(kubeconfig, "install", code=1).output
