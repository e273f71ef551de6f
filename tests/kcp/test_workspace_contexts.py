import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from kcp import workspace_contexts
from kcp.output import Refused
from kcp.workspace_contexts import Kubeconfig


def config(name: str = "root", server: str = "https://h:1/clusters/root", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, **more}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "u", "namespace": "n"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config(**{"certificate-authority": "ca.crt"})))
    return path


def entered(path: Path, workspace: str) -> Kubeconfig:
    loaded = workspace_contexts.load(str(path))
    loaded.enter(loaded.add(loaded.current, workspace, f"https://h:1/clusters/{workspace}"))
    loaded.save()
    return workspace_contexts.load(str(path))


def test_entering_adds_a_context_and_leaves_others_as_they_are(file: Path) -> None:
    found = entered(file, "root:a")
    assert (found.current, found.previous) == ("root:a", "root")
    assert found.server_of("root") == "https://h:1/clusters/root"
    assert found.server_of("root:a") == "https://h:1/clusters/root:a"
    context = found.find("contexts", "root:a")
    assert context is not None and context["context"] == {"cluster": "root:a", "user": "u"}
    assert found.cluster_of("root:a")["certificate-authority"] == str(file.parent / "ca.crt")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_going_there_again_adds_nothing(file: Path) -> None:
    entered(file, "root:a")
    found = entered(file, "root")
    assert (found.current, found.previous) == ("root", "root:a")
    assert entered(file, "root:a").previous == "root"
    assert len(yaml.safe_load(file.read_text())["contexts"]) == 2


def test_a_name_that_means_something_else_is_not_taken(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    document["contexts"].append({"name": "root:a", "context": {"cluster": "elsewhere", "user": "u"}})
    document["clusters"].append({"name": "elsewhere", "cluster": {"server": "https://other/clusters/root:a"}})
    file.write_text(yaml.safe_dump(document))
    found = entered(file, "root:a")
    assert found.current == "root:a@h:1"
    assert found.server_of("root:a") == "https://other/clusters/root:a"


def test_a_file_in_front_moves_only_itself(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    monkeypatch.setenv("KUBECONFIG", f"{own}:{file}")
    loaded = workspace_contexts.load(None)
    loaded.enter(loaded.add(loaded.current, "root:a", "https://h:1/clusters/root:a"))
    loaded.save()
    assert workspace_contexts.load(None).current == "root:a"
    assert workspace_contexts.load(str(file)).current == "root"
    assert "token" not in own.read_text()


def test_what_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("- a")
    with pytest.raises(Refused, match="is no kubeconfig"):
        workspace_contexts.load(str(bad))
    with pytest.raises(Refused, match="no context"):
        workspace_contexts.load(str(tmp_path / "none")).cluster_of("x")
