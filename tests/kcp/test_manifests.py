import io
from pathlib import Path

import pytest

from kcp.manifests import parse, read_manifests
from kcp.output import Refused

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def names(paths: list[str], recursive: bool = False) -> list[str]:
    return [manifest.object["metadata"]["name"] for manifest in read_manifests(paths, recursive)]


def test_files_of_a_directory_in_order_and_their_documents(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(MAP % "b1" + "---\n" + MAP % "b2" + "---\n")
    (tmp_path / "a.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')
    (tmp_path / "readme.md").write_text("no manifest")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.yml").write_text(MAP % "c")
    assert names([str(tmp_path)]) == ["a", "b1", "b2"]
    assert names([str(tmp_path)], recursive=True) == ["a", "b1", "b2", "c"]


def test_what_others_stand_on_comes_first(tmp_path: Path) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n"
    crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: d}\n"
    file = tmp_path / "all.yaml"
    file.write_text("---\n".join((MAP % "a", crd, namespace)))
    assert names([str(file)]) == ["n", "d", "a"]


def test_lists_are_their_items() -> None:
    text = b'{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "X", "metadata": {}}]}'
    assert [manifest.object["kind"] for manifest in parse("x", text)] == ["X"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((MAP % "in").encode())))
    assert names(["-"]) == ["in"]


@pytest.mark.parametrize("text", ["a: [", "text", "kind: ConfigMap", "apiVersion: v1\nkind: ConfigMap", "\xff"])
def test_what_is_no_object(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=r"x\.yaml"):
        read_manifests([str(file)])


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        read_manifests([str(tmp_path)])
    with pytest.raises(Refused, match="cannot read"):
        read_manifests([str(tmp_path / "missing.yaml")])
